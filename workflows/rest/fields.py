"""Fields of what clients send that the framework reads too generously, or not at all."""

from __future__ import annotations

import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from rest_framework import serializers

from maestro.core.durations import parse_duration
from workflows.definition.limits import LONGEST_SECONDS

_TIME: TypeAdapter[datetime.datetime] = TypeAdapter(AwareDatetime)
_LONGEST = f"must be at most {LONGEST_SECONDS / 86_400:g} days"


@extend_schema_field(OpenApiTypes.DATETIME)
class TimeField(serializers.Field[Any, Any, Any, Any]):
    """A date and time with its zone."""

    default_error_messages = {"invalid": "must be a date and time with its zone, such as 2030-01-31T08:00:00Z"}

    def to_internal_value(self, data: Any) -> datetime.datetime:
        """Read the time."""
        moment = _read_time(data)
        if moment is None:
            self.fail("invalid")
        return moment


@extend_schema_field({"type": ["string", "number"]})
class DurationField(serializers.Field[Any, Any, Any, Any]):
    """A length of time as the definition language writes it."""

    default_error_messages = {
        "invalid": "must be a duration such as 90s, 5m, 2h or 1d, or a number of seconds",
        "too_long": _LONGEST,
    }

    def to_internal_value(self, data: Any) -> datetime.timedelta:
        """Read the duration."""
        duration = _read_duration(data)
        if duration is None:
            self.fail("invalid")
        if duration > LONGEST_SECONDS:
            self.fail("too_long")
        return datetime.timedelta(seconds=duration)


@extend_schema_field({"type": ["string", "number"]})
class TimeOrDurationField(serializers.Field[Any, Any, Any, Any]):
    """A time, or a length of time."""

    default_error_messages = {
        "invalid": "must be a date and time with its zone, such as 2030-01-31T08:00:00Z, or a duration such as 45m",
        "too_long": _LONGEST,
    }

    def to_internal_value(self, data: Any) -> datetime.datetime | datetime.timedelta:
        """Read whichever it is."""
        duration = _read_duration(data)
        if duration is not None and duration > LONGEST_SECONDS:
            self.fail("too_long")
        value = _read_time(data) if duration is None else datetime.timedelta(seconds=duration)
        if value is None:
            self.fail("invalid")
        return value


def _read_time(data: Any) -> datetime.datetime | None:
    # A number would be taken for seconds since 1970, and a text of digits too.
    if not isinstance(data, str) or "T" not in data.upper():
        return None
    try:
        return _TIME.validate_python(data).astimezone(datetime.UTC)
    except (ValidationError, OverflowError):
        return None


def _read_duration(data: Any) -> float | None:
    try:
        return parse_duration(data)
    except ValueError:
        return None
