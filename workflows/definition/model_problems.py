"""What pydantic found wrong, in our codes and words. Which keys exist, and what is nearest to them, callers know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from workflows.definition.problems import Path, Problem, suggestion
from workflows.definition.values import JsonValue, describe

MISSING_KEY = "missing_key"
UNKNOWN_KEY = "unknown_key"

_BUILT_IN = frozenset(get_args(ErrorType))
_EXPECTED_TYPES = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "bytes_type": "text",
    "dataclass_type": "a mapping",
    "date_parsing": "a date such as 2024-12-31",
    "date_type": "a date such as 2024-12-31",
    "datetime_parsing": "a time such as 2024-12-31T23:59:59Z",
    "datetime_type": "a time such as 2024-12-31T23:59:59Z",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "dict_type": "a mapping",
    "float_parsing": "a number",
    "float_type": "a number",
    "frozen_set_type": "a list",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "none_required": "null",
    "set_type": "a list",
    "string_type": "text",
    "time_delta_parsing": "a duration",
    "time_delta_type": "a duration",
    "tuple_type": "a list",
    "url_parsing": "a URL",
    "url_type": "a URL",
    "uuid_parsing": "a UUID",
    "uuid_type": "a UUID",
}
_CONSTRAINTS = {
    "enum": ("not_allowed", "must be {expected}"),
    "literal_error": ("not_allowed", "must be {expected}"),
    "union_tag_invalid": ("not_allowed", "must have one of {expected_tags} as its {discriminator}"),
    "union_tag_not_found": ("not_allowed", "must have the key {discriminator}"),
    "greater_than": ("out_of_range", "must be greater than {gt}"),
    "greater_than_equal": ("out_of_range", "must be at least {ge}"),
    "less_than": ("out_of_range", "must be less than {lt}"),
    "less_than_equal": ("out_of_range", "must be at most {le}"),
    "multiple_of": ("out_of_range", "must be a multiple of {multiple_of}"),
    "finite_number": ("out_of_range", "must be a finite number"),
    "string_too_short": ("too_short", "must have at least {min_length} characters"),
    "string_too_long": ("too_long", "must have at most {max_length} characters"),
    "string_pattern_mismatch": ("wrong_format", "must match the pattern {pattern}"),
    "too_short": ("too_short", "must have at least {min_length} entries, not {actual_length}"),
    "too_long": ("too_long", "must have at most {max_length} entries, not {actual_length}"),
    "value_error": ("invalid_value", "{error}"),
    "assertion_error": ("invalid_value", "{error}"),
}


def read_errors(error: ValidationError, value: JsonValue, *, prefix: Path = ()) -> Iterator[tuple[Problem, JsonValue]]:
    """Yield each error as a problem, with the value that offends. `value` is what was validated; it stands at `prefix`."""
    for details in error.errors(include_url=False):
        code, message = _explain(details)
        yield Problem(code=code, path=(*prefix, *_real_path(details, value)), message=message), details["input"]


def _explain(details: ErrorDetails) -> tuple[str, str]:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return MISSING_KEY, "is required"
    if kind == "extra_forbidden":
        return UNKNOWN_KEY, "is not a known key"
    if kind in _EXPECTED_TYPES:
        return "wrong_type", f"must be {_EXPECTED_TYPES[kind]}, not {describe(details['input'])}"
    if kind in _CONSTRAINTS:
        code, message = _CONSTRAINTS[kind]
        return code, message.format_map(context) + _nearest_allowed(details)
    if kind in _BUILT_IN:
        return "invalid_value", f"is not a valid value ({kind.replace('_', ' ')})"
    return kind, details["msg"]


def _nearest_allowed(details: ErrorDetails) -> str:
    allowed = re.findall(r"'([^']*)'", str(details.get("ctx", {}).get("expected", "")))
    return suggestion(details["input"], allowed) if isinstance(details["input"], str) else ""


def _real_path(details: ErrorDetails, value: JsonValue) -> Path:
    """Return the location without the names pydantic adds for union members and keys, which the document has not."""
    path: list[str | int] = []
    for step in details["loc"]:
        if (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        ):
            value = value[step]
        elif details["type"] != "missing" or step is not details["loc"][-1]:
            continue
        path.append(step)
    return tuple(path)
