import datetime
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from maestro.sdk import DefinitionError
from maestro.sdk.inputs import input_schemas
from workflows.definition.input_schema import check_schema


class Window(BaseModel):
    title: str
    start: datetime.date
    hours: Annotated[int, Field(ge=1)] = 24


@dataclass
class Airport:
    code: str
    windows: list[Window]


class Node(BaseModel):
    children: list["Node"] = []


def schema_of(annotation, default=...):
    def function(value): ...

    function.__annotations__ = {"value": annotation}
    if default is not ...:
        function.__defaults__ = (default,)
    return input_schemas(function)["value"]


WINDOW = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "start": {"type": "string", "format": "date"},
        "hours": {"type": "integer", "minimum": 1, "default": 24},
    },
    "required": ["title", "start"],
}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (list, {"type": "array", "items": {}}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (datetime.date, {"type": "string", "format": "date"}),
        (datetime.timedelta, {"type": "string"}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (int | None, {"type": ["integer", "null"]}),
        (datetime.date | None, {"type": ["string", "null"], "format": "date"}),
        (Literal["a"] | None, {"anyOf": [{"type": "string", "const": "a"}, {"type": "null"}]}),
        (Annotated[int, Field(ge=1, description="Rows.")], {"type": "integer", "minimum": 1, "description": "Rows."}),
        (Any, {}),
        (Window, WINDOW),
        (
            Airport,
            {
                "type": "object",
                "properties": {"code": {"type": "string"}, "windows": {"type": "array", "items": WINDOW}},
                "required": ["code", "windows"],
            },
        ),
    ],
)
def test_annotation_becomes_a_schema_of_the_language(annotation, schema):
    assert schema_of(annotation) == schema
    assert check_schema(schema, ()) == []


def test_parameter_without_annotation_takes_anything():
    assert input_schemas(lambda value: value) == {"value": {}}


def test_default_is_written_as_json():
    schema = schema_of(Window, Window(title="night", start=datetime.date(2013, 2, 8)))

    assert schema["default"] == {"title": "night", "start": "2013-02-08", "hours": 24}


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Node, "the type Node holds itself"),
        (object(), "the type of parameter 'value' cannot come as JSON"),
        ("NoSuchType", "an annotation cannot be read: name 'NoSuchType' is not defined"),
        (type(lambda: None), "the type of parameter 'value' cannot come as JSON"),
    ],
)
def test_type_that_no_input_can_have_is_named(annotation, message):
    with pytest.raises(DefinitionError) as caught:
        schema_of(annotation)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda *days: None, "parameter 'days' has no name to give it by"),
        (lambda **days: None, "**days is no input: name each input"),
        (lambda package: None, "input 'package': this name is a reserved word"),
        (lambda day=object: None, "the default of input 'day' is not JSON"),
    ],
)
def test_parameter_that_is_no_input_is_named(function, message):
    with pytest.raises(DefinitionError) as caught:
        input_schemas(function)

    assert message in str(caught.value)
