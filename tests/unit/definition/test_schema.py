"""The published JSON Schema."""

import json

import pytest
from jsonschema import Draft202012Validator

from tests.unit.definition.kinds import KINDS
from tests.unit.definition.test_options import test_fitting_options_are_taken
from tests.unit.definition.test_validation import EVERYTHING_WRONG, GOOD
from workflows.definition.document import Document, parse_document
from workflows.definition.problems import DefinitionInvalid
from workflows.definition.schema import workflow_schema
from workflows.definition.validation import validate

SCHEMA = workflow_schema(KINDS)
MINIMAL = {"schema_version": 1, "name": "a", "tasks": {"a": {"uses": "noop"}}}


def accepts(value):
    return Draft202012Validator(SCHEMA).is_valid(value)


def fitting_options():
    (mark,) = test_fitting_options_are_taken.pytestmark
    return mark.args[1]


def test_schema_is_a_json_schema_that_stands_alone():
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    references = {part.split('"')[0] for part in json.dumps(SCHEMA).split('"$ref": "')[1:]}
    assert references <= {f"#/$defs/{name}" for name in SCHEMA["$defs"]}


@pytest.mark.parametrize(
    "value",
    [
        MINIMAL,
        parse_document(GOOD).value,
        MINIMAL | {"schema_version": 1.0, "description": None, "inputs": {}, "outputs": {"x": [None, {}]}},
        MINIMAL | {"inputs": {"day": {"type": ["string", "null"], "format": "date", "default": None, "enum": [None]}}},
        MINIMAL | {"tasks": {"a": {"uses": "noop", "with": {}, "needs": [], "if": None, "description": None}}},
        MINIMAL | {"timeout": 90, "defaults": {"timeout": {"attempt": None, "grace": 0, "queue": "5m"}, "retry": {}}},
        MINIMAL
        | {"tasks": {"a": {"uses": "noop", "timeout": "20s", "retry": {"on": ["a", "a"], "not_on": ["b", "b"]}}}},
        MINIMAL | {"tasks": {"a": {"uses": "noop", "timeout": None, "retry": {"backoff": 1, "within": None}}}},
        MINIMAL | {"tasks": {"a": {"uses": "noop", "output": {"type": "object", "required": ["rows"]}}}},
        MINIMAL | {"tasks": {"a": {"uses": "noop", "output": None}}},
        MINIMAL | {"priority": "low"},
        MINIMAL | {"priority": None},
    ],
)
def test_document_that_is_valid_is_accepted(value):
    validate(Document.of(value), kinds=KINDS)

    assert accepts(value)


@pytest.mark.parametrize(("kind", "options"), fitting_options())
def test_options_that_are_valid_are_accepted(kind, options):
    assert accepts(MINIMAL | {"tasks": {"a": {"uses": kind, "with": options}}})


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"name": "Flights"},
        {"name": "0190a9b2-7b4c-7000-8000-000000000000"},
        {"deadline": "3s"},
        {"priority": "urgent"},
        {"priority": 6},
        {"tasks": {}},
        {"tasks": {"A": {"uses": "noop"}}},
        {"tasks": {"if": {"uses": "noop"}}},
        {"tasks": {"a": {"uses": "http"}}},
        {"tasks": {"a": {"uses": "noop", "retry": 1}}},
        {"tasks": {"a": {"uses": "noop", "retry": {"backoff": "2"}}}},
        {"tasks": {"a": {"uses": "noop", "timeout": True}}},
        {"tasks": {"a": {"uses": "noop", "needs": ["b", "b"]}}},
        {"tasks": {"a": {"uses": "noop", "run_if": "alldone"}}},
        {"tasks": {"a": {"uses": "noop", "with": {"x": 1}}}},
        {"tasks": {"a": {"uses": "shell"}}},
        {"tasks": {"a": {"uses": "shell", "with": {"command": 1}}}},
        {"tasks": {"a": {"uses": "shell", "with": {"command": "a", "env": {"A": 1}}}}},
        {"tasks": {"a": {"uses": "batch", "with": {"steps": [{"run": "a", "after": {}}]}}}},
        {"inputs": {"A": {}}},
        {"inputs": {"a": {"type": "strin"}}},
        {"tasks": {"a": {"uses": "noop", "output": {"type": "strin"}}}},
        {"tasks": {"a": {"uses": "noop", "output": []}}},
    ],
)
def test_what_a_schema_can_refuse_is_refused_by_both(change):
    value = MINIMAL | change

    assert not accepts(value)
    with pytest.raises(DefinitionInvalid):
        validate(Document.of(value), kinds=KINDS)


def test_wrong_document_is_refused():
    assert not accepts(parse_document(EVERYTHING_WRONG).value)


def test_kinds_and_their_options_are_offered_with_descriptions():
    task = SCHEMA["$defs"]["TaskSpec"]

    assert task["properties"]["uses"]["enum"] == ["batch", "noop", "shell"]
    assert SCHEMA["$defs"]["kind.shell"]["properties"]["command"]["description"] == "The command."
    assert "title" not in task["properties"]["uses"]


def test_kind_called_like_a_definition_of_ours_does_not_replace_it():
    schema = workflow_schema({"expression": KINDS["noop"], "TaskSpec": KINDS["noop"]})

    assert schema["$defs"]["expression"]["type"] == "string"
    assert "uses" in schema["$defs"]["TaskSpec"]["properties"]
