"""The parameters of a workflow function as the inputs of a workflow: one JSON Schema each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic.errors import PydanticInvalidForJsonSchema

from maestro.core.user_code.typed_function import NotJson, UnusableSignature, to_json, type_adapter, typed_signature
from maestro.sdk.errors import DefinitionError, check_name
from workflows.definition.input_schema import FORMATS
from workflows.definition.values import JsonValue

_REFERENCE = "#/$defs/"
# What pydantic adds beyond what was written, and the language of inputs leaves out.
_LEFT_OUT = frozenset({"$defs", "discriminator", "title"})
_NAMED_SCHEMAS = frozenset({"dependentSchemas", "properties"})
_VALUES = frozenset({"const", "default", "enum", "examples"})

Definitions = Mapping[str, JsonValue]


def input_schemas(function: Callable[..., object]) -> dict[str, dict[str, JsonValue]]:
    """Return the JSON Schema of each parameter, its default included. Raises DefinitionError."""
    try:
        return {
            name: _schema(name, parameter)
            for name, parameter in typed_signature(function).parameters.items()
            if parameter.kind is not parameter.VAR_KEYWORD or _refuse_keywords(name)
        }
    except UnusableSignature as error:
        raise DefinitionError(str(error)) from error


def _refuse_keywords(name: str) -> bool:
    raise DefinitionError(f"**{name} is no input: name each input as a parameter of its own")


def _schema(name: str, parameter: inspect.Parameter) -> dict[str, JsonValue]:
    check_name(name, f"input {name!r}")
    schema: dict[str, JsonValue] = {}
    if parameter.annotation is not parameter.empty:
        try:
            drawn = type_adapter(name, parameter.annotation).json_schema()
        except PydanticInvalidForJsonSchema as error:
            raise DefinitionError(f"input {name!r} has a type without a JSON Schema: {error.message}") from error
        schema = _plain(drawn, drawn.get("$defs", {}), ())
    if parameter.default is not parameter.empty:
        try:
            schema["default"] = to_json(parameter.default)
        except NotJson as error:
            raise DefinitionError(f"the default of input {name!r} is not JSON: {error}") from error
    return schema


def _plain(schema: Any, definitions: Definitions, within: tuple[str, ...]) -> Any:
    """Return a schema in the language of inputs: references written out, without pydantic's titles."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        if name in within:
            raise DefinitionError(f"the type {name} holds itself, which an input cannot; annotate it as a dict")
        merged = {**definitions[name], **{key: value for key, value in schema.items() if key != "$ref"}}
        return _plain(merged, definitions, (*within, name))
    plain = {key: _keyword(key, value, definitions, within) for key, value in schema.items() if _is_kept(key, value)}
    return _with_null(plain)


def _keyword(key: str, value: Any, definitions: Definitions, within: tuple[str, ...]) -> Any:
    if key in _VALUES:
        return value
    if key in _NAMED_SCHEMAS:
        return {name: _plain(member, definitions, within) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member, definitions, within) for member in value]
    return _plain(value, definitions, within)


def _is_kept(key: str, value: Any) -> bool:
    return key not in _LEFT_OUT and not (key == "format" and value not in FORMATS)


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Write "X or null" as people do, `type: [X, "null"]`, by which the command line also knows how to read it."""
    match schema:
        case {"anyOf": [{"type": str(kind)} as other, {"type": "null"}]} if not other.keys() & _VALUES:
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            return {**other, **rest, "type": [kind, "null"]}
    return schema
