"""One spelling and one hash for each JSON value."""

import json

import pytest
from hypothesis import given

from tests.unit.definition.test_document import as_yaml, json_values
from workflows.definition.canonical import canonical_json, comparable_json, content_hash
from workflows.definition.document import parse_document


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "é"]}, '{"a":[true,null,"é"],"b":1}'),
        ([1, 1.0, 1e3, 1.5], "[1,1.0,1000.0,1.5]"),
        (1e300, "1e+300"),
        ([1, True], "[1,true]"),
    ],
)
def test_value_has_one_spelling(value, text):
    assert canonical_json(value) == text


def test_hash_is_sha_256_in_hexadecimal():
    assert content_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_order_of_keys_changes_no_hash():
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})


@pytest.mark.parametrize(("one", "other"), [({"a": 1}, {"a": 1.0}), ([0], [-0.0]), (1000, 1e3)])
def test_numbers_json_schema_calls_equal_compare_alike(one, other):
    assert comparable_json(one) == comparable_json(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": True}),
        ({"a": None}, {}),
        ({"a": 2**53}, {"a": 2**53 + 1}),
    ],
)
def test_different_content_hashes_differently(one, other):
    assert content_hash(one) != content_hash(other)


@given(json_values)
def test_yaml_and_json_of_the_same_content_hash_alike(value):
    wrapped = {"value": value}
    from_json = parse_document(json.dumps(wrapped, indent=2, sort_keys=True)).value
    from_yaml = parse_document(as_yaml(wrapped)).value

    assert content_hash(from_json) == content_hash(from_yaml) == content_hash(wrapped)
