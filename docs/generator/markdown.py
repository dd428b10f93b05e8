"""What the generated pages share: tables, and JSON Schemas told in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_WORDS = {"string": "text", "integer": "whole number", "object": "mapping", "array": "list"}
_LIMITS = {
    "minimum": "at least {:,}",
    "exclusiveMinimum": "more than {:,}",
    "maximum": "at most {:,}",
    "exclusiveMaximum": "less than {:,}",
    "minLength": "at least {:,} characters",
    "maxLength": "at most {:,} characters",
    "minItems": "at least {:,} items",
    "maxItems": "at most {:,} items",
    "minProperties": "at least {:,}",
    "maxProperties": "at most {:,}",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; empty when it has no rows."""
    lines = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    heading = f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"
    return "".join(f"{line}\n" for line in (*heading, *lines)) if lines else ""


def code(value: object) -> str:
    """Return a value as code, a text as it is and any other as JSON."""
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def resolve(schema: Schema, definitions: Schema) -> Schema:
    """Return a schema with what it refers to in its place; its own words come first."""
    merged: dict[str, Any] = {}
    for part in (schema, *schema.get("allOf", ())):
        if "$ref" in part:
            merged = {**resolve(definitions[part["$ref"].rpartition("/")[2]], definitions), **merged}
    return {**merged, **{name: value for name, value in schema.items() if name not in ("$ref", "allOf")}}


def type_of(schema: Schema, definitions: Schema) -> str:
    """Return a schema's type in words, its limits included."""
    schema = resolve(schema, definitions)
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"] if value is not None)
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        types = dict.fromkeys(type_of(each, definitions) for each in alternatives if not _is_null(each))
        return " or ".join(filter(None, types))
    name = schema.get("type", "any JSON value")
    words = " or ".join(
        _WORDS.get(each, each) for each in ([name] if isinstance(name, str) else name) if each != "null"
    )
    if isinstance(schema.get("items"), Mapping) and schema["items"]:
        words += f" of {type_of(schema['items'], definitions)}"
    if isinstance(members := schema.get("additionalProperties"), Mapping) and members:
        words += f" of names to {type_of(members, definitions)}"
    if "format" in schema:
        words += f" ({schema['format']})"
    return ", ".join([words, *_limits(schema)])


def fields_table(schema: Schema, definitions: Schema, *, name: str = "key") -> str:
    """Return the table of an object's members: type, default, meaning."""
    required = schema.get("required", ())

    def rows() -> Iterator[Sequence[str]]:
        for key, member in schema.get("properties", {}).items():
            whole = resolve(member, definitions)
            default = "required" if key in required else _default(whole)
            yield code(key), type_of(member, definitions), default, whole.get("description", "")

    return table((name, "type", "default", "meaning"), rows())


def _limits(schema: Schema) -> Iterator[str]:
    for limit, text in _LIMITS.items():
        if limit in schema:
            is_emptiness = limit.startswith("min") and limit != "minimum" and schema[limit] == 1
            yield "not empty" if is_emptiness else text.format(schema[limit])


def _default(schema: Schema) -> str:
    if schema.get("default") is not None:
        return code(schema["default"])
    return "empty" if schema.get("type") in ("object", "array") else "none"


def _is_null(schema: Schema) -> bool:
    return schema.get("type") == "null"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
