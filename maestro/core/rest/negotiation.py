"""Which form an answer has: always JSON, whatever a client calls it."""

from __future__ import annotations

from collections.abc import Iterable

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONNegotiation(DefaultContentNegotiation):
    """Takes `application/problem+json`, which errors are, for a wish for JSON; `format` is a parameter like others."""

    def get_accept_list(self, request: Request) -> list[str]:
        """Return the media types the client accepts."""
        return [
            token.replace("application/problem+json", "application/json") for token in super().get_accept_list(request)
        ]

    def filter_renderers(self, renderers: Iterable[BaseRenderer], format: str) -> list[BaseRenderer]:  # noqa: A002
        """Leave the choice to the header: whether there is a parameter `format`, each view says."""
        return list(renderers)
