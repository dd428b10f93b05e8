"""The JSON Schema of one input."""

import pytest
from jsonschema import Draft202012Validator

from workflows.definition.input_schema import FORMATS, check_against, check_schema

GOOD = [
    {},
    {"type": "string", "format": "date", "default": "2024-12-31"},
    {"type": ["integer", "null"], "default": None, "minimum": 0, "exclusiveMaximum": 9.5, "multipleOf": 2},
    {"type": "array", "items": {"enum": [1, "a", None]}, "minItems": 1, "maxItems": 3, "uniqueItems": True},
    {
        "type": "object",
        "title": "T",
        "description": "D",
        "$comment": "C",
        "properties": {"a": True, "pattern": {"pattern": "^a+$", "maxLength": 3}},
        "required": ["a"],
        "additionalProperties": False,
        "propertyNames": {"minLength": 1},
        "dependentRequired": {"a": ["pattern"]},
        "dependentSchemas": {"a": {"minProperties": 1}},
    },
    {"anyOf": [{"const": 1}, {"not": {}}], "oneOf": [True], "allOf": [{}], "if": {}, "then": True, "else": False},
    {"type": "array", "prefixItems": [{"type": "string"}], "contains": {"const": 1}, "minContains": 1, "examples": []},
]


def found(problems):
    return [(problem.code, problem.pointer) for problem in problems]


@pytest.mark.parametrize("schema", GOOD)
def test_schema_is_taken_and_is_one_by_the_metaschema(schema):
    assert check_schema(schema, ()) == []
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_used(name):
    assert check_schema({"format": name}, ()) == []
    assert found(check_against({"format": name}, "not one @", ("x",))) == [("wrong_format", "x")]


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"typ": "string"}, ("unknown_key", "typ")),
        ({"nullable": True}, ("unknown_key", "nullable")),
        ({"type": "strin"}, ("not_allowed", "type")),
        ({"type": ["string", "foo"]}, ("not_allowed", "type")),
        ({"type": []}, ("bad_schema", "type")),
        ({"type": 1}, ("bad_schema", "type")),
        ({"format": "datetime"}, ("not_allowed", "format")),
        ({"format": "regex"}, ("not_allowed", "format")),
        ({"pattern": "(?=a)"}, ("bad_pattern", "pattern")),
        ({"pattern": 1}, ("bad_schema", "pattern")),
        ({"minLength": -1}, ("bad_schema", "minLength")),
        ({"minLength": 1.5}, ("bad_schema", "minLength")),
        ({"minLength": True}, ("bad_schema", "minLength")),
        ({"minimum": "1"}, ("bad_schema", "minimum")),
        ({"multipleOf": 0}, ("bad_schema", "multipleOf")),
        ({"required": ["a", "a"]}, ("bad_schema", "required")),
        ({"required": True}, ("bad_schema", "required")),
        ({"enum": 1}, ("bad_schema", "enum")),
        ({"uniqueItems": 1}, ("bad_schema", "uniqueItems")),
        ({"properties": []}, ("bad_schema", "properties")),
        ({"properties": {"a": 1}}, ("bad_schema", "properties.a")),
        ({"anyOf": []}, ("bad_schema", "anyOf")),
        ({"anyOf": {}}, ("bad_schema", "anyOf")),
        ({"items": [{}]}, ("bad_schema", "items")),
        ({"items": {"not": {"typ": 1}}}, ("unknown_key", "items.not.typ")),
        ({"dependentRequired": {"a": "b"}}, ("bad_schema", "dependentRequired")),
        ({"$ref": "https://example.org/schema"}, ("not_supported_yet", '["$ref"]')),
        ({"properties": {"a": {"$ref": "#"}}}, ("not_supported_yet", 'properties.a["$ref"]')),
        ({"patternProperties": {"(a+)+": {}}}, ("not_supported_yet", "patternProperties")),
        ({"unevaluatedProperties": False}, ("not_supported_yet", "unevaluatedProperties")),
        ({"type": "integer", "default": "1"}, ("wrong_type", "default")),
        ({"items": {"minimum": 1}, "default": [1, 0]}, ("out_of_range", "default[1]")),
        ({"description": "x" * 70_000}, ("too_large", "")),
    ],
)
def test_schema_is_refused_where_it_is_wrong(schema, problem):
    assert found(check_schema(schema, ())) == [problem]


def test_nearest_keyword_type_and_format_are_suggested():
    problems = check_schema({"typ": "strin", "type": "strin", "format": "dat"}, ("inputs", "day"))

    assert [problem.message.partition("; ")[2] for problem in problems] == [
        'did you mean "type"?',
        'did you mean "string"?',
        'did you mean "date"?',
    ]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "string"}, [1], "must be text, not a list"),
        ({"type": ["integer", "null"]}, 1.5, "must be a whole number or null, not a number"),
        ({"type": "integer"}, True, "must be a whole number, not true"),
        ({"enum": ["north", "south", 1]}, "nort", 'must be one of "north", "south", 1; did you mean "north"?'),
        ({"const": {"a": 1}}, 1, 'must be {"a": 1}'),
        ({"minimum": 1}, 0, "must be at least 1"),
        ({"exclusiveMaximum": 1}, 1, "must be less than 1"),
        ({"maxLength": 2}, "abc", "must have at most 2 characters"),
        ({"minItems": 1}, [], "must have at least 1 item"),
        ({"pattern": "^a{2}$"}, "a", 'must match the pattern "^a{2}$"'),
        ({"format": "date"}, "2024-02-30", "must be a date such as 2024-12-31"),
        ({"format": "date-time"}, "2024-01-01T00:00:00", "must be a time such as 2024-12-31T23:59:59Z"),
        ({"format": "uuid"}, "x", "must be a UUID"),
        ({"format": "email"}, "a@", "must be an e-mail address"),
        ({"format": "uri"}, "example.org", "must be a URI such as https://example.org/path"),
        ({"required": ["a", "b"]}, {}, 'needs the key "a", "b"'),
        (
            {"properties": {"colour": {}}, "additionalProperties": False},
            {"color": 1},
            'has the unknown key "color"; did you mean "colour"?',
        ),
        ({"uniqueItems": True}, [{"a": 1}, {"a": 1.0}], "holds the same item more than once"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "matches none of the alternatives the schema allows"),
        ({"not": {}}, 1, "is what the schema excludes"),
        ({"properties": {"a": False}}, {"a": 1}, "is not allowed here"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "does not satisfy `dependentRequired` of the schema"),
    ],
)
def test_value_that_does_not_fit_is_told_in_plain_words(schema, value, message):
    assert [problem.message for problem in check_against(schema, value, ())] == [message]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1.0),
        ({"format": "date-time"}, "2024-12-31T23:59:59.5+01:00"),
        ({"format": "email"}, "someone@example.org"),
        ({"format": "uri"}, "https://example.org/a?b#c"),
        ({"format": "uuid"}, "0190a9b2-7b4c-7000-8000-000000000000"),
        ({"pattern": "b"}, "abc"),
        ({"pattern": "b", "format": "date"}, 5),
        ({"uniqueItems": True}, [1, True, "1", None]),
    ],
)
def test_value_that_fits_is_taken(schema, value):
    assert check_against(schema, value, ()) == []


def test_patterns_and_uniqueness_take_time_linear_in_the_value():
    schema = {"properties": {"text": {"pattern": "^(a+)+$"}, "list": {"uniqueItems": True}}}
    value = {"text": "a" * 50_000 + "!", "list": [{"a": i} for i in range(20_000)]}

    assert found(check_against(schema, value, ())) == [("wrong_format", "text")]


def test_deepest_schema_a_document_can_hold_is_applied():
    schema = {"type": "integer"}
    for _ in range(96):
        schema = {"not": schema}

    assert check_schema(schema, ()) == []
    assert check_against(schema, 1, ()) == []


def test_format_of_passwords_is_answered_with_the_mark_of_secrets():
    (problem,) = check_schema({"type": "string", "format": "password"}, ("inputs", "x"))

    assert problem.message.endswith("uuid; a secret is marked `writeOnly: true`")


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"properties": {"n": {"type": "integer", "default": "x"}}}, "properties.n.default"),
        (
            {"properties": {"a": {"properties": {"n": {"minimum": 1, "default": 0}}}}},
            "properties.a.properties.n.default",
        ),
        ({"default": {}, "required": ["a"], "properties": {"b": {"default": 1}}}, "default"),
    ],
)
def test_default_inside_an_object_must_fit_too(schema, pointer):
    assert [problem.pointer for problem in check_schema(schema, ())] == [pointer]
