"""What all REST views share of their description: pages and problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS

from maestro.core.rest.errors import CONTENT_TYPE

IDEMPOTENCY_HEADER = "Idempotency-Key"

# Any call may name a host that is not served, come without a key, or find the database away.
_ALWAYS = (400, 401, 403, 503)


class ProblemEntry(serializers.Serializer[Any]):
    """One thing wrong with what was sent."""

    path = serializers.CharField(allow_blank=True, help_text="Where: `tasks.clean.needs[0]`, or a parameter.")
    code = serializers.CharField(help_text="Stable code.")
    message = serializers.CharField()
    line = serializers.IntegerField(allow_null=True, help_text="Line of the YAML text; null where there is none.")
    column = serializers.IntegerField(allow_null=True, help_text="Column of the YAML text; null where there is none.")


class Problem(serializers.Serializer[Any]):
    """Why a call was refused (RFC 9457); some codes add members of their own."""

    type = serializers.CharField()
    title = serializers.CharField(help_text="The HTTP status in words.")
    status = serializers.IntegerField(help_text="The HTTP status.")
    detail = serializers.CharField(help_text="What is wrong and what to do, for people.")
    code = serializers.CharField(help_text="Stable code, for programs.")
    request_id = serializers.UUIDField(help_text="The id under which the server's log has this call.")
    errors = ProblemEntry(many=True, required=False)  # type: ignore[assignment]  # the framework takes fields off the class


def page_of(
    output: type[serializers.BaseSerializer[Any]], **members: serializers.Field[Any, Any, Any, Any]
) -> serializers.BaseSerializer[Any]:
    """Return the description of a page of a list, with the members it has beyond those of every page."""
    return inline_serializer(
        name=f"{output.__name__.removesuffix('Output')}Page",
        fields={
            "results": output(many=True),
            "next": serializers.URLField(allow_null=True, help_text="The page that follows; null on the last."),
            "previous": serializers.URLField(allow_null=True, help_text="The page before; null on the first."),
            **members,
        },
    )


def refusals(*statuses: int) -> Mapping[tuple[int, str], type[Problem]]:
    """Return the description of how a call may be refused: with these statuses, and those any call may have."""
    return {(status, CONTENT_TYPE): Problem for status in sorted({*_ALWAYS, *statuses})}


class Schema(AutoSchema):
    """Describes what every call that changes something takes besides its own."""

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters the view names, and the idempotency key."""
        named: list[Any] = super().get_override_parameters()
        if self.method in SAFE_METHODS:
            return named
        meaning = "Do this once, however often it is sent: whoever sends the key again gets the first answer."
        return [
            *named,
            OpenApiParameter(IDEMPOTENCY_HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER, description=meaning),
        ]

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Describe an operation; a key may be in use for another call (422), or for this one (409)."""
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None and self.method not in SAFE_METHODS:
            responses = operation["responses"]
            for status in ("409", "422"):
                responses.setdefault(status, responses["400"])
            operation["responses"] = dict(sorted(responses.items()))
        return operation
