"""What pydantic found wrong, in our codes and words. Which keys exist, and what is nearest to them, callers know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from workflows.definition.problems import Path, Problem, in_singular, suggestion
from workflows.definition.values import JsonValue, describe

MISSING_KEY = "missing_key"
TOO_LONG = "too_long"
TOO_SHORT = "too_short"
UNKNOWN_KEY = "unknown_key"
WRONG_TYPE = "wrong_type"

_KEY_MARKER = "[key]"
_BUILT_IN = frozenset(get_args(ErrorType))
_EXPECTED_TYPES = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "bytes_type": "text",
    "dataclass_type": "a mapping",
    "date_parsing": "a date such as 2024-12-31",
    "date_type": "a date such as 2024-12-31",
    "datetime_from_date_parsing": "a time such as 2024-12-31T23:59:59Z",
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
    "int_parsing_size": "a whole number of 64 bits",
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
    "timezone_aware": "a time with its offset such as 2024-12-31T23:59:59Z",
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
    "string_too_short": (TOO_SHORT, "must have at least {min_length} characters"),
    "string_too_long": (TOO_LONG, "must have at most {max_length} characters"),
    "string_pattern_mismatch": ("wrong_format", "must match the pattern {pattern}"),
    "too_short": (TOO_SHORT, "must have at least {min_length:,} entries; it has {length:,}"),
    "too_long": (TOO_LONG, "must have at most {max_length:,} entries; it has {length:,}"),
    "value_error": ("invalid_value", "{error}"),
    "assertion_error": ("invalid_value", "{error}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One error of pydantic."""

    problem: Problem
    """The error in our words."""
    offending: JsonValue
    """The value it is about."""
    union: Path | None
    """Where the choice between alternatives stands that the error belongs to; None when there is no choice."""
    alternative: str | int | None
    """Which of the alternatives."""


def told_as(message: str) -> WrapValidator:
    """Return what makes a type of a model say in our words what it takes, whatever is wrong with a value."""

    def check(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(value)
        except ValidationError as error:
            raise ValueError(message) from error

    return WrapValidator(check)


def read_errors(error: ValidationError, value: JsonValue, *, prefix: Path = ()) -> Iterator[Finding]:
    """Yield each error. What was validated, `value`, stands at `prefix`."""
    for details in error.errors(include_url=False):
        if _is_echo(details):
            continue
        code, message = _explain(details)
        path, union, alternative = _locate(details, value)
        yield Finding(
            problem=Problem(code=code, path=(*prefix, *path), message=message),
            offending=details["input"],
            union=union,
            alternative=alternative,
        )


def _is_echo(details: ErrorDetails) -> bool:
    """Tell whether entries are called too few only because some of them were refused, each for a reason of its own."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def _explain(details: ErrorDetails) -> tuple[str, str]:
    kind, given = details["type"], details["input"]
    context = {**details.get("ctx", {}), "length": len(given) if isinstance(given, (list, dict)) else 0}
    if kind == "missing":
        return MISSING_KEY, "is required"
    if kind == "extra_forbidden":
        return UNKNOWN_KEY, "is not a known key"
    if kind in _EXPECTED_TYPES:
        return WRONG_TYPE, f"must be {_EXPECTED_TYPES[kind]}, not {describe(given)}"
    if kind in _CONSTRAINTS:
        code, message = _CONSTRAINTS[kind]
        return code, in_singular(message.format_map(context)) + _nearest_allowed(details)
    if kind in _BUILT_IN:
        return "invalid_value", f"is not a valid value ({kind.replace('_', ' ')})"
    return kind, details["msg"]


def _nearest_allowed(details: ErrorDetails) -> str:
    allowed = re.findall(r"'([^']*)'", str(details.get("ctx", {}).get("expected", "")))
    return suggestion(details["input"], allowed) if isinstance(details["input"], str) else ""


def _locate(details: ErrorDetails, value: JsonValue) -> tuple[Path, Path | None, str | int | None]:
    """Return the path in the document and, apart from it, which alternative of which choice pydantic names."""
    path: list[str | int] = []
    union: Path | None = None
    alternative: str | int | None = None
    for step in details["loc"]:
        if _has(value, step):
            value = value[step]
        elif details["type"] != "missing" or step is not details["loc"][-1]:
            if union is None and step != _KEY_MARKER:
                union, alternative = tuple(path), step
            continue
        path.append(step)
    return tuple(path), union, alternative


def _has(value: JsonValue, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value
