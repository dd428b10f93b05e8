"""Tables and types in words, of which the generated pages consist."""

import pytest

from docs.generator import markdown


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any JSON value"),
        ({"type": "string", "minLength": 1}, "text, not empty"),
        ({"type": "integer", "minimum": 1, "maximum": 20000}, "whole number, at least 1, at most 20,000"),
        ({"type": ["string", "null"], "format": "date-time"}, "text (date-time)"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"enum": ["a", "b", None]}, "`a`, `b`"),
        ({"const": 1}, "`1`"),
        ({"$ref": "#/$defs/Name"}, "text, at most 9 characters"),
        ({"type": "array", "items": {"$ref": "#/$defs/Name"}}, "list of text, at most 9 characters"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "mapping of names to boolean"),
    ],
)
def test_type_is_told_in_words(schema, words):
    assert markdown.type_of(schema, {"Name": {"type": "string", "maxLength": 9}}) == words


def test_fields_tell_type_default_and_meaning():
    schema = {
        "required": ["a"],
        "properties": {
            "a": {"type": "string", "description": "One | two."},
            "b": {"type": "boolean", "default": False},
            "c": {"type": "object"},
        },
    }

    assert markdown.fields_table(schema, {}).splitlines() == [
        "| key | type | default | meaning |",
        "|---|---|---|---|",
        "| `a` | text | required | One \\| two. |",
        "| `b` | boolean | `false` |  |",
        "| `c` | mapping | empty |  |",
    ]


def test_table_without_rows_is_nothing():
    assert markdown.table(("a",), ()) == ""
