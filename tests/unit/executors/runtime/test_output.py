import datetime
import enum
import math

import pytest

from executors.base import MAX_OUTPUT_BYTES
from executors.runtime.output import InvalidOutput, normalize_output


class Color(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shape(enum.Enum):
    ROUND = 1


@pytest.mark.parametrize(
    "value", [None, True, 0, -(2**63), 2**63 - 1, 1.5, "", "é😀", [], {}, {"a": [1, {"b": None}]}, {"": 1}, "\x01\n"]
)
def test_json_values_are_kept(value):
    assert normalize_output(value) == value
    assert type(normalize_output(value)) is type(value)


def test_tuples_become_lists():
    assert normalize_output({"a": (1, (2,))}) == {"a": [1, [2]]}


def test_enums_of_text_and_numbers_become_plain_values():
    output = normalize_output([Color.RED, Level.HIGH])

    assert output == ["red", 3]
    assert [type(value) for value in output] == [str, int]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1}, "output is of type set, which JSON cannot say; return text, numbers, lists or dicts."),
        ({"a": [0, {"b c": {2}}]}, "output.a[1]['b c'] is of type set, which"),
        ({"day": datetime.date(2013, 2, 8)}, "output.day is of type date, which"),
        (b"raw", "output is of type bytes, which"),
        (Shape.ROUND, "output is of type Shape, which"),
        ([math.nan], "output[0] is nan, which JSON cannot say; return None or text."),
        (-math.inf, "output is -inf, which"),
        ({"n": 2**63}, "output.n is an integer of more than 64 bits; return it as text."),
        ({"a": {3: 1}}, "output.a has the key 3 of type int; keys in JSON are text."),
        (["ab\x00"], "output[0] has a NUL character at position 2, which cannot be stored."),
        ({"x": "\ud800"}, "output.x has a lone surrogate at position 0, which"),
        ({"x\x00": 1}, "output (a key) has a NUL character at position 1, which"),
    ],
)
def test_anything_else_is_refused_with_its_path(value, message):
    with pytest.raises(InvalidOutput) as caught:
        normalize_output(value)

    assert caught.value.code == "output_not_json"
    assert str(caught.value).startswith(message)


def test_list_that_contains_itself_is_refused():
    value: list[object] = []
    value.append(value)

    with pytest.raises(InvalidOutput, match="is nested deeper than 100 levels"):
        normalize_output(value)


def test_output_of_exactly_the_limit_is_kept():
    text = "é" * ((MAX_OUTPUT_BYTES - 2) // 2)

    assert normalize_output(text) == text


def test_output_over_the_limit_names_both_sizes():
    with pytest.raises(InvalidOutput) as caught:
        normalize_output("x" * (MAX_OUTPUT_BYTES - 1))

    assert caught.value.code == "output_too_large"
    assert str(caught.value).startswith("The output is 1,048,577 bytes as JSON; at most 1,048,576 are kept.")
