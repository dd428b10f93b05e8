"""Gives every request an id, which errors, logs and the answer's header name."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from maestro.core.ids import new_id

HEADER = "X-Request-Id"


class RequestIdMiddleware:
    """Sets `request.request_id` and the header of the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with its id."""
        request.request_id = new_id()  # type: ignore[attr-defined]
        response = self._get_response(request)
        response[HEADER] = str(request.request_id)  # type: ignore[attr-defined]
        return response
