"""The published JSON Schema (2020-12) of the language, for editors: what `maestro schema` prints.

It accepts every document that `validate` accepts. It cannot say all that `validate` does: cycles, references and
expressions are beyond it.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel

from workflows.definition.expressions import OPENING
from workflows.definition.input_schema import FORMATS, TYPES
from workflows.definition.options import Kinds
from workflows.definition.sections import Section
from workflows.definition.spec import WorkflowDefinition
from workflows.definition.values import JsonValue

_EXPRESSION = {"$ref": "#/$defs/expression"}
_SHOWN_OUTSIDE = ("description", "default")
_LEFT_OUT = frozenset({"$defs", "title", "discriminator", "uniqueItems"})


def workflow_schema(kinds: Kinds) -> dict[str, JsonValue]:
    """Return the JSON Schema of a workflow definition that may use the given kinds."""
    language = WorkflowDefinition.model_json_schema(by_alias=True)
    definitions = {name: _without_titles(definition) for name, definition in language.pop("$defs").items()}
    definitions["expression"] = {
        "description": "An expression: its value is known when the task runs.",
        "type": "string",
        "pattern": OPENING.replace("$", r"\$").replace("{", r"\{"),
    }
    definitions["input"] = _input_schema()
    task = definitions["TaskSpec"]
    task["properties"]["output"] = {
        "description": task["properties"]["output"]["description"],
        "anyOf": [{"$ref": "#/$defs/output"}, {"type": "null"}],
    }
    definitions["output"] = _value_schema("JSON Schema of a task's output.")
    task["properties"]["uses"]["enum"] = sorted(kinds)
    task["allOf"] = [_options_of(kind, kinds[kind], definitions) for kind in sorted(kinds)]
    root = _without_titles(language)
    inputs = root["properties"]["inputs"]
    inputs["patternProperties"] = {pattern: {"$ref": "#/$defs/input"} for pattern in inputs["patternProperties"]}
    for mapping in ("inputs", *Section):
        root["properties"][mapping]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Maestro workflow",
        **root,
        "$defs": definitions,
    }


def _input_schema() -> dict[str, JsonValue]:
    schema = _value_schema("JSON Schema of one input. Without `default` the input must be given.")
    schema["properties"]["default"] = {"description": "The value when a run gives none."}
    return schema


def _value_schema(description: str) -> dict[str, JsonValue]:
    return {
        "description": description,
        "type": "object",
        "properties": {
            "type": {"anyOf": [{"enum": list(TYPES)}, {"type": "array", "items": {"enum": list(TYPES)}}]},
            "format": {"enum": list(FORMATS)},
            "description": {"type": "string"},
            "enum": {"type": "array"},
        },
    }


def _options_of(kind: str, model: type[BaseModel], definitions: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the rule for `with:` of a kind, and add the definitions it needs."""
    name = f"kind.{kind}"
    options = model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{name}.{{model}}")
    for inner_name, definition in options.get("$defs", {}).items():
        definitions[f"{name}.{inner_name}"] = _with_expressions(definition)
    definitions[name] = _with_expressions(options)
    rule: dict[str, JsonValue] = {"properties": {"with": {"$ref": f"#/$defs/{name}"}}}
    if options.get("required"):
        rule["required"] = ["with"]
    return {"if": {"properties": {"uses": {"const": kind}}, "required": ["uses"]}, "then": rule}


def _with_expressions(schema: JsonValue) -> JsonValue:
    """Return a schema in which an expression may stand for any member, item or value below it."""
    if not isinstance(schema, dict):
        return schema
    return {
        keyword: _REWRITTEN[keyword](value) if keyword in _REWRITTEN else value
        for keyword, value in schema.items()
        if keyword not in _LEFT_OUT
    }


def _or_expression(schema: JsonValue) -> JsonValue:
    inner = _with_expressions(schema)
    if not isinstance(inner, dict) or not inner.keys() - _SHOWN_OUTSIDE:
        return inner
    shown = {keyword: inner.pop(keyword) for keyword in _SHOWN_OUTSIDE if keyword in inner}
    return {**shown, "anyOf": [inner, _EXPRESSION]}


def _members(schemas: JsonValue) -> JsonValue:
    return {name: _or_expression(schema) for name, schema in schemas.items()}


def _items(schemas: JsonValue) -> JsonValue:
    return [_or_expression(schema) for schema in schemas]


def _alternatives(schemas: JsonValue) -> JsonValue:
    return [_with_expressions(schema) for schema in schemas]


def _without_titles(schema: JsonValue) -> JsonValue:
    """Drop the titles pydantic makes of attribute names: editors would show them in place of descriptions."""
    kept = {keyword: value for keyword, value in schema.items() if keyword != "title"}
    if "properties" in kept:
        kept["properties"] = {name: _without_titles(member) for name, member in kept["properties"].items()}
    return kept


_REWRITTEN: dict[str, Callable[[JsonValue], JsonValue]] = {
    "additionalProperties": _or_expression,
    "allOf": _alternatives,
    "anyOf": _alternatives,
    "items": _or_expression,
    "oneOf": _alternatives,
    "patternProperties": _members,
    "prefixItems": _items,
    "properties": _members,
}
