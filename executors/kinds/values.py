"""Types of values that the options of several kinds take: scalars that become text."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BeforeValidator


def write_scalar(value: object) -> object:
    """Return numbers and booleans as JSON writes them, anything else as it is."""
    return json.dumps(value) if isinstance(value, (bool, int, float)) else value


ScalarText = Annotated[str, BeforeValidator(write_scalar, json_schema_input_type=str | int | float | bool)]
"""Text; a number or boolean, which an expression that stands alone yields, becomes text."""
