"""Which JSON values are taken."""

import datetime

import pytest

from workflows.definition.values import MAX_DEPTH, check_value, describe, is_deeper_than


def nested(levels):
    value = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [None, True, 0, 2**63 - 1, -(2**63), 1.5, "text é 😀", [], {}, {"a": [1, {"b": None}]}, nested(MAX_DEPTH)],
)
def test_json_values_are_taken(value):
    assert check_value(value) == []


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        ({"a": ["x", "y\0z"]}, "nul_character", "a[1]"),
        ({"a\0": 1}, "nul_character", ""),
        ({"a": "\ud800"}, "lone_surrogate", "a"),
        ({"a": 2**63}, "integer_out_of_range", "a"),
        ([-(2**63) - 1], "integer_out_of_range", "[0]"),
        ([float("nan")], "number_not_finite", "[0]"),
        ([float("-inf")], "number_not_finite", "[0]"),
        ({1: 2}, "key_not_text", ""),
        ({"a": datetime.date(2024, 1, 1)}, "not_json", "a"),
        ({"a": (1, 2)}, "not_json", "a"),
        (b"x", "not_json", ""),
        (nested(MAX_DEPTH + 1), "too_deep", f"{'[0]' * 12}…{'[0]' * 12}"),
    ],
)
def test_other_values_are_refused_at_their_path(value, code, pointer):
    problems = check_value(value)

    assert [(problem.code, problem.pointer) for problem in problems] == [(code, pointer)]


def test_every_problem_is_found_under_the_prefix():
    problems = check_value({"a": "\0", "b": [2**64]}, ("outputs",))

    assert {problem.pointer for problem in problems} == {"outputs.a", "outputs.b[0]"}


def test_value_deeper_than_the_stack_is_refused_without_recursion():
    problems = check_value(nested(100_000))

    assert [problem.code for problem in problems] == ["too_deep"]


def test_depth_is_counted_in_containers():
    assert not is_deeper_than(nested(3), 3)
    assert is_deeper_than(nested(4), 3)
    assert is_deeper_than({"a": 1, "b": {"c": {}}}, 2)
    assert not is_deeper_than("text", 0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true"),
        (1, "a whole number"),
        (1.5, "a number"),
        ("", "text"),
        ([], "a list"),
        ({}, "a mapping"),
    ],
)
def test_types_have_plain_names(value, words):
    assert describe(value) == words
