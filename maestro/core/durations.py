"""Durations as people write them: `200ms`, `3s`, `5m`, `2h`, `1d`. Pure."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> float:
    """Return the seconds of a duration written as `200ms`, `3s`, `5m`, `2h`, `1d` or as a number of seconds.

    Raises ValueError.
    """
    seconds = -1.0
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    if 0 <= seconds < math.inf:
        return seconds
    raise ValueError("should be a duration such as 200ms, 3s, 5m, 2h or 1d, or a number of seconds")


Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=float | str)]
"""Seconds, from a duration as people write it."""
