"""The JSON Schema (2020-12) of one input, or of a task's output: whether it is one, and whether a value satisfies it.

Schemas come from tenants and are applied in shared processes, so what could fetch, loop or explode is left out:
references, unevaluated members, and regular expressions beyond RE2. A keyword nobody knows is refused, not ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from referencing import Registry

from workflows.definition import formats
from workflows.definition.canonical import canonical_json, comparable_json
from workflows.definition.cel import EvaluationFailed, matches_pattern
from workflows.definition.input_messages import explain
from workflows.definition.problems import Path, Problem, suggestion
from workflows.definition.secrets import find_misplaced, find_useless
from workflows.definition.values import JsonValue, describe

FORMATS = ("date", "date-time", "email", "hostname", "ipv4", "ipv6", "uri", "uuid")
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
MAX_SCHEMA_CHARACTERS = 64 * 1024

_SUBSCHEMA = frozenset({"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"})
_SUBSCHEMA_LIST = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SUBSCHEMA_MAPPING = frozenset({"dependentSchemas", "properties"})
_UNSUPPORTED = (
    *("$anchor", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$ref", "$schema", "$vocabulary", "definitions"),
    *("contentEncoding", "contentMediaType", "contentSchema"),
    *("patternProperties", "unevaluatedItems", "unevaluatedProperties"),
)


def check_schema(schema: Mapping[str, JsonValue], path: Path) -> list[Problem]:
    """Return every reason why the schema cannot be used, its default not satisfying it included."""
    size = len(canonical_json(schema))
    if size > MAX_SCHEMA_CHARACTERS:
        message = f"has {size:,} characters as JSON; at most {MAX_SCHEMA_CHARACTERS:,} are allowed"
        return [Problem(code="too_large", path=path, message=message)]
    return list(_check(schema, path)) or [*find_misplaced(schema, path), *_check_defaults(schema, path)]


def check_output_schema(schema: Mapping[str, JsonValue], path: Path) -> list[Problem]:
    """Return every reason why the schema of a task's output cannot be used."""
    return check_schema(schema, path) or list(find_useless(schema, path))


def check_against(schema: Mapping[str, JsonValue], value: JsonValue, path: Path) -> list[Problem]:
    """Return every way in which a value fails to satisfy a schema that has been checked."""
    validator = _Validator(schema, registry=Registry(), format_checker=_FORMAT_CHECKER)
    errors = validator.iter_errors(value)
    return list(dict.fromkeys(explain(error, path) for error in errors))


def complete(schema: JsonValue, value: JsonValue, *, is_filled: bool = True) -> JsonValue:
    """Return the value with what its schema adds: defaults of keys an object lacks, and integers that are integers.

    JSON Schema takes 1.0 for an integer, expressions do not. Objects inside lists get no defaults: a large list would
    multiply them.
    """
    if not isinstance(schema, Mapping):
        return value
    if isinstance(value, float) and value.is_integer():
        types = schema.get("type", ())
        return int(value) if "integer" in types and "number" not in types else value
    if isinstance(value, list):
        return [complete(schema.get("items"), item, is_filled=False) for item in value]
    if isinstance(value, dict):
        members = schema.get("properties", {})
        whole = {**value, **(_defaults(members, value) if is_filled else {})}
        return {name: complete(members.get(name), member, is_filled=is_filled) for name, member in whole.items()}
    return value


def _defaults(members: Mapping[str, JsonValue], value: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the defaults of the keys that an object lacks."""
    return {
        name: member["default"]
        for name, member in members.items()
        if isinstance(member, dict) and "default" in member and name not in value
    }


def _check_defaults(schema: JsonValue, path: Path) -> Iterator[Problem]:
    """Yield how defaults that would be filled in fail their own schema."""
    if not isinstance(schema, dict):
        return
    if "default" in schema:
        yield from check_against(schema, complete(schema, schema["default"]), (*path, "default"))
    for name, member in schema.get("properties", {}).items():
        yield from _check_defaults(member, (*path, "properties", name))


def _check(schema: JsonValue, path: Path) -> Iterator[Problem]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield _wrong(path, f"must be a JSON Schema, which is a mapping, not {describe(schema)}")
        return
    for keyword, value in schema.items():
        at = (*path, keyword)
        if keyword in _UNSUPPORTED:
            message = f"`{keyword}` is not supported in a schema"
            yield Problem(code="not_supported_yet", path=at, message=message)
        elif keyword in _SUBSCHEMA:
            yield from _check(value, at)
        elif keyword in _SUBSCHEMA_LIST or keyword in _SUBSCHEMA_MAPPING:
            yield from _check_members(keyword, value, at)
        elif keyword not in _SHAPES:
            known = [*_SHAPES, *_SUBSCHEMA, *_SUBSCHEMA_LIST, *_SUBSCHEMA_MAPPING]
            message = f"is not a keyword of JSON Schema{suggestion(keyword, known)}"
            yield Problem(code="unknown_key", path=at, message=message)
        else:
            fits, expected = _SHAPES[keyword]
            if not fits(value):
                yield _wrong(at, f"must be {expected}")
            elif keyword in _DEEPER:
                yield from _DEEPER[keyword](value, at)


def _check_members(keyword: str, value: JsonValue, path: Path) -> Iterator[Problem]:
    expected = dict if keyword in _SUBSCHEMA_MAPPING else list
    if not isinstance(value, expected) or (expected is list and not value):
        words = "a mapping of names to schemas" if expected is dict else "a list of schemas, not empty"
        yield _wrong(path, f"must be {words}")
        return
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in members:
        yield from _check(member, (*path, key))


def _check_format(name: str, path: Path) -> Iterator[Problem]:
    if name not in FORMATS:
        near = "; a secret is marked `writeOnly: true`" if name == "password" else suggestion(name, FORMATS)
        message = f"must be one of {', '.join(FORMATS)}{near}"
        yield Problem(code="not_allowed", path=path, message=message)


def _check_pattern(pattern: str, path: Path) -> Iterator[Problem]:
    try:
        matches_pattern(pattern, "")
    except EvaluationFailed as error:
        yield Problem(code="bad_pattern", path=path, message=f"{error} (patterns are RE2: no look-around)")


def _check_type(value: JsonValue, path: Path) -> Iterator[Problem]:
    for name in value if isinstance(value, list) else [value]:
        if name not in TYPES:
            message = f"must be one of {', '.join(TYPES)}{suggestion(name, TYPES)}"
            yield Problem(code="not_allowed", path=path, message=message)


def _wrong(path: Path, message: str) -> Problem:
    return Problem(code="bad_schema", path=path, message=message)


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str)


def _is_flag(value: JsonValue) -> bool:
    return isinstance(value, bool)


def _is_list(value: JsonValue) -> bool:
    return isinstance(value, list)


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: JsonValue) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_names(value: JsonValue) -> bool:
    return isinstance(value, list) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _is_type(value: JsonValue) -> bool:
    return isinstance(value, str) or (_is_names(value) and bool(value))


def _is_dependencies(value: JsonValue) -> bool:
    return isinstance(value, dict) and all(map(_is_names, value.values()))


_Shape = tuple[Callable[[JsonValue], bool], str]
_SHAPES: dict[str, _Shape] = {
    **dict.fromkeys(("$comment", "description", "format", "pattern", "title"), (_is_text, "text")),
    **dict.fromkeys(("deprecated", "readOnly", "uniqueItems", "writeOnly"), (_is_flag, "true or false")),
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"), (_is_number, "a number")),
    **dict.fromkeys(
        (
            "maxContains",
            "maxItems",
            "maxLength",
            "maxProperties",
            "minContains",
            "minItems",
            "minLength",
            "minProperties",
        ),
        (_is_count, "a whole number, 0 or more"),
    ),
    **dict.fromkeys(("enum", "examples"), (_is_list, "a list")),
    **dict.fromkeys(("const", "default"), (lambda _: True, "anything")),
    "dependentRequired": (_is_dependencies, "a mapping of names to lists of names"),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number greater than 0"),
    "required": (_is_names, "a list of different names"),
    "type": (_is_type, "the name of a type, or a list of different ones"),
}
_DEEPER: dict[str, Callable[[Any, Path], Iterator[Problem]]] = {
    "format": _check_format,
    "pattern": _check_pattern,
    "type": _check_type,
}


def _validate_pattern(
    validator: Validator, pattern: str, value: JsonValue, schema: JsonValue
) -> Iterator[ValidationError]:
    if validator.is_type(value, "string") and not matches_pattern(pattern, value):
        yield ValidationError("pattern")


def _validate_uniqueness(
    validator: Validator, wanted: bool, value: JsonValue, schema: JsonValue
) -> Iterator[ValidationError]:
    if wanted and validator.is_type(value, "array") and len(set(map(comparable_json, value))) < len(value):
        yield ValidationError("uniqueItems")


_Validator = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _validate_pattern, "uniqueItems": _validate_uniqueness}
)
_FORMAT_CHECKER = FormatChecker(())
_FORMAT_CHECKER.checkers = {
    **{name: Draft202012Validator.FORMAT_CHECKER.checkers[name] for name in ("date", "ipv4", "ipv6", "uuid")},
    "date-time": (formats.is_date_time, ()),
    "email": (formats.is_email, ()),
    "hostname": (formats.is_hostname, ()),
    "uri": (formats.is_uri, ()),
}
