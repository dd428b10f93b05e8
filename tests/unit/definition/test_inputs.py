"""Inputs of a run."""

import pytest

from workflows.definition.inputs import MAX_INPUTS_BYTES, resolve_inputs
from workflows.definition.problems import InputsInvalid

SCHEMAS = {
    "day": {"type": "string", "format": "date"},
    "limit": {"type": "integer", "minimum": 1, "default": 10},
    "note": {"type": ["string", "null"], "default": None},
}


def refused(given):
    with pytest.raises(InputsInvalid) as caught:
        resolve_inputs(SCHEMAS, given)
    return [(problem.code, problem.pointer, problem.message) for problem in caught.value.problems]


def test_defaults_are_filled_in_and_order_is_that_of_the_declaration():
    resolved = resolve_inputs(SCHEMAS, {"limit": 3, "day": "2024-12-31"})

    assert list(resolved.items()) == [("day", "2024-12-31"), ("limit", 3), ("note", None)]


def test_workflow_without_inputs_takes_none():
    assert resolve_inputs({}, {}) == {}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, ("missing_input", "day", "is required; it has no default")),
        ({"day": "2024-12-31", "limti": 3}, ("unknown_input", "limti", 'is not an input; did you mean "limit"?')),
        ({"day": "31.12.2024"}, ("wrong_format", "day", "must be a date such as 2024-12-31")),
        ({"day": None}, ("wrong_type", "day", "must be text, not null")),
        ([], ("wrong_type", "", "inputs must be a mapping of names to values, not a list")),
        (None, ("wrong_type", "", "inputs must be a mapping of names to values, not null")),
    ],
)
def test_inputs_that_do_not_fit_are_refused(given, problem):
    assert refused(given) == [problem]


def test_every_problem_is_told_at_once():
    assert {(code, pointer) for code, pointer, _ in refused({"limit": 0, "note": 1, "x": 2})} == {
        ("out_of_range", "limit"),
        ("wrong_type", "note"),
        ("unknown_input", "x"),
        ("missing_input", "day"),
    }


@pytest.mark.parametrize(
    ("schema", "given", "resolved"),
    [
        ({"type": "integer"}, 1.0, 1),
        ({"type": ["integer", "null"]}, -2e3, -2000),
        ({"type": "array", "items": {"type": "integer"}}, [1.0, 2], [1, 2]),
        ({"properties": {"n": {"type": "integer"}}}, {"n": 3.0, "x": 3.0}, {"n": 3, "x": 3.0}),
        ({"type": "number"}, 1.0, 1.0),
        ({"type": ["integer", "number"]}, 1.0, 1.0),
        ({}, 1.0, 1.0),
    ],
)
def test_whole_number_becomes_an_integer_where_one_is_declared(schema, given, resolved):
    given_value = resolve_inputs({"it": schema}, {"it": given})["it"]
    default = resolve_inputs({"it": {**schema, "default": given}}, {})["it"]

    assert repr(given_value) == repr(default) == repr(resolved)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"limit": 1e300, "day": "2024-12-31"}, "integer_out_of_range"),
        ({"day": "a\0"}, "nul_character"),
        ({"day": "\udc00"}, "lone_surrogate"),
        ({"limit": 2**63}, "integer_out_of_range"),
        ({"limit": float("inf")}, "number_not_finite"),
    ],
)
def test_values_that_cannot_be_stored_are_refused(given, code):
    assert [problem[0] for problem in refused(given)] == [code]


def test_a_megabyte_is_taken_and_a_byte_more_is_refused():
    schemas = {"text": {"type": "string"}}
    largest = "x" * (MAX_INPUTS_BYTES - len('{"text":""}'))

    assert resolve_inputs(schemas, {"text": largest}) == {"text": largest}
    with pytest.raises(InputsInvalid) as caught:
        resolve_inputs(schemas, {"text": largest + "x"})
    assert [problem.code for problem in caught.value.problems] == ["too_large"]


def test_refusal_does_not_repeat_what_was_given():
    with pytest.raises(InputsInvalid) as caught:
        resolve_inputs({"token": {"type": "string", "maxLength": 3}}, {"token": "s3cr3t-value"})

    assert "s3cr3t" not in str(caught.value)


OPTIONS = {
    "type": "object",
    "properties": {
        "retries": {"type": "integer", "default": 3},
        "mail": {"type": "object", "properties": {"to": {"type": "string", "default": "ops@example.org"}}},
        "log": {"type": "object", "default": {}, "properties": {"level": {"default": "info"}}},
    },
    "required": ["retries"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ({}, {"retries": 3, "log": {"level": "info"}}),
        ({"retries": 5.0, "log": {"level": "debug"}}, {"retries": 5, "log": {"level": "debug"}}),
        ({"mail": {}}, {"retries": 3, "mail": {"to": "ops@example.org"}, "log": {"level": "info"}}),
    ],
)
def test_keys_an_object_lacks_are_filled_in_from_its_properties(given, resolved):
    assert resolve_inputs({"options": OPTIONS}, {"options": given}) == {"options": resolved}
    assert resolve_inputs({"options": {**OPTIONS, "default": given}}, {}) == {"options": resolved}


def test_objects_inside_a_list_get_no_defaults():
    schema = {"type": "array", "items": OPTIONS | {"required": []}}

    assert resolve_inputs({"list": schema}, {"list": [{}]}) == {"list": [{}]}


def test_secret_of_more_lines_than_can_be_hidden_is_refused():
    schemas = {"keys": {"type": "string", "writeOnly": True}}
    lines = "".join(f"line {number}\n" for number in range(500))

    with pytest.raises(InputsInvalid) as caught:
        resolve_inputs(schemas, {"keys": lines})
    assert [problem.code for problem in caught.value.problems] == ["too_large"]
    assert resolve_inputs(schemas, {"keys": lines[: len(lines) // 2]})
