"""Types of values that the options of several kinds take: durations, and scalars that become text."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated

from pydantic import BeforeValidator

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> float:
    """Return the seconds of a duration written as `200ms`, `3s`, `5m`, `2h`, `1d` or as a number of seconds."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * _UNIT_SECONDS[match[2]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    raise ValueError("should be a duration such as 200ms, 3s, 5m, 2h or 1d, or a number of seconds")


def write_scalar(value: object) -> object:
    """Return numbers and booleans as JSON writes them, anything else as it is."""
    return json.dumps(value) if isinstance(value, (bool, int, float)) else value


Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=float | str)]
"""Seconds, from a duration as people write it."""
ScalarText = Annotated[str, BeforeValidator(write_scalar, json_schema_input_type=str | int | float | bool)]
"""Text; a number or boolean, which an expression that stands alone yields, becomes text."""
