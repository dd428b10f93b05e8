"""Bodies that are not quite JSON."""

import io

import pytest
from rest_framework.exceptions import ParseError

from maestro.core.rest.parsers import StrictJSONParser


def parse(text):
    return StrictJSONParser().parse(io.BytesIO(text.encode()))


def test_json_is_read():
    assert parse('{"a": [1, -2.5, null, {"a": "é"}]}') == {"a": [1, -2.5, None, {"a": "é"}]}


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 3}', '[{"b": {"a": 1, "a": 1}}]'])
def test_key_that_stands_twice_is_named(text):
    with pytest.raises(ParseError, match='names the key "a" more than once'):
        parse(text)


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "[" * 100_000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ParseError, match="The body is not valid JSON"):
        parse(text)


def test_integer_longer_than_python_reads_stays_one_beyond_64_bits():
    assert parse("9" * 5000) > 2**63
