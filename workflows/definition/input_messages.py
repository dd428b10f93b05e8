"""What a value does wrong by its JSON Schema, in plain words. Values are not repeated: inputs may be confidential."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from jsonschema.exceptions import ValidationError

from workflows.definition.problems import Path, Problem, in_singular, suggestion
from workflows.definition.values import JsonValue, describe

_LONGEST = 200
_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}
_FORMATS = {
    "date": "a date such as 2024-12-31",
    "date-time": "a time such as 2024-12-31T23:59:59Z",
    "email": "an e-mail address",
    "hostname": "a host name",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "uri": "a URI such as https://example.org/path",
    "uuid": "a UUID",
}
_PLAIN: dict[str, tuple[str, str]] = {
    "anyOf": ("not_allowed", "matches none of the alternatives the schema allows"),
    "const": ("not_allowed", "must be {}"),
    "contains": ("not_allowed", "has not the items the schema asks for"),
    "exclusiveMaximum": ("out_of_range", "must be less than {}"),
    "exclusiveMinimum": ("out_of_range", "must be greater than {}"),
    "maximum": ("out_of_range", "must be at most {}"),
    "maxItems": ("too_long", "must have at most {} items"),
    "maxLength": ("too_long", "must have at most {} characters"),
    "maxProperties": ("too_long", "must have at most {} keys"),
    "minimum": ("out_of_range", "must be at least {}"),
    "minItems": ("too_short", "must have at least {} items"),
    "minLength": ("too_short", "must have at least {} characters"),
    "minProperties": ("too_short", "must have at least {} keys"),
    "multipleOf": ("out_of_range", "must be a multiple of {}"),
    "not": ("not_allowed", "is what the schema excludes"),
    "oneOf": ("not_allowed", "must match exactly one of the alternatives the schema allows"),
    "pattern": ("wrong_format", "must match the pattern {}"),
    "uniqueItems": ("not_allowed", "holds the same item more than once"),
}


def explain(error: ValidationError, path: Path) -> Problem:
    """Return an error of the validator as a problem of ours. `path` is where the validated value stands."""
    keyword: Any = error.validator  # None for the schema `false`
    wanted: Any = error.validator_value
    if keyword in _COMPUTED:
        code, message = _COMPUTED[keyword](wanted, error)
    elif keyword in _PLAIN:
        code, template = _PLAIN[keyword]
        message = template.format(_shown(wanted))
        message = in_singular(message) if code in ("too_long", "too_short") else message
    elif keyword is None:
        code, message = "not_allowed", "is not allowed here"
    else:
        code, message = "not_allowed", f"does not satisfy `{keyword}` of the schema"
    return Problem(code=code, path=(*path, *error.absolute_path), message=message)


def _type(wanted: Any, error: ValidationError) -> tuple[str, str]:
    words = " or ".join(_TYPES[name] for name in (wanted if isinstance(wanted, list) else [wanted]))
    return "wrong_type", f"must be {words}, not {describe(error.instance)}"


def _enum(allowed: Any, error: ValidationError) -> tuple[str, str]:
    texts = [value for value in allowed if isinstance(value, str)]
    near = suggestion(error.instance, texts) if isinstance(error.instance, str) else ""
    return "not_allowed", f"must be one of {_listed(allowed)}{near}"


def _format(name: Any, error: ValidationError) -> tuple[str, str]:
    return "wrong_format", f"must be {_FORMATS[name]}"


def _required(names: Any, error: ValidationError) -> tuple[str, str]:
    given: Any = error.instance
    return "missing_key", f"needs the key {_listed([name for name in names if name not in given])}"


def _additional(_allowed: Any, error: ValidationError) -> tuple[str, str]:
    given: Any = error.instance
    schema: Any = error.schema
    known = schema.get("properties", {})
    unknown = [name for name in given if name not in known]
    near = suggestion(unknown[0], known) if len(unknown) == 1 else ""
    return "unknown_key", f"has the unknown key {_listed(unknown)}{near}"


def _listed(values: Iterable[JsonValue]) -> str:
    return _cut(", ".join(map(_shown, values)))


def _shown(value: JsonValue) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_COMPUTED: dict[str, Callable[[Any, ValidationError], tuple[str, str]]] = {
    "additionalProperties": _additional,
    "enum": _enum,
    "format": _format,
    "required": _required,
    "type": _type,
}
