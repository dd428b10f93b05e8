"""Plain words for what the CEL runtime says. The messages come from the runtime itself."""

import pytest

from workflows.definition.cel import EvaluationFailed, ExpressionRefused, compile_expression, matches_pattern

MIXED = "does not work on text and a whole number; convert one with int(), double() or string()"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "foo",
            "`foo` is not known; an expression can use inputs, tasks, run, platform (character 1 of the expression)",
        ),
        ("size(1)", "`size` does not work on a whole number (character 5 of the expression)"),
        ("foo(1)", "there is no function `foo` for these arguments (character 4 of the expression)"),
        ("'a'.substring(1)", "there is no function `substring` for these arguments (character 14 of the expression)"),
        (
            "'a' + 1",
            f"`+` {MIXED} (character 5 of the expression)",
        ),
        ("true && 'a'", "`&&` needs true or false on both sides (character 6 of the expression)"),
        ("[1, 2", "it ends too early (character 6 of the expression)"),
        ("[1,", "`]` is missing (character 4 of the expression)"),
        ("1 2", "`2` is unexpected here (character 3 of the expression)"),
        ("$a", "`$` is unexpected here (character 1 of the expression)"),
        ("if", "reserved identifier: if (character 1 of the expression)"),
        ("(" * 40 + "1" + ")" * 40, "it nests more than 32 levels deep; do part of the work in a task"),
    ],
)
def test_compilation_is_refused_in_plain_words(text, message):
    with pytest.raises(ExpressionRefused) as caught:
        compile_expression(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inputs.a > 1", "`>` does not work on text and a whole number; convert one with int(), double() or string()"),
        (
            "inputs.a.contains(inputs.n)",
            "`contains` does not work on text and a whole number; convert one with int(), double() or string()",
        ),
        ("size(inputs.n)", "`size` does not work on a whole number"),
        ("-inputs.a", "`-` does not work on text"),
        ("!inputs.n", "`!` needs true or false"),
        ("inputs.n ? 1 : 2", "what stands before `?` must be true or false"),
        ("inputs.n && true", "`&&` needs true or false on both sides"),
        ("inputs.n.map(x, x)", "macros such as map, filter, all and exists need a list or a mapping"),
        ("inputs.n in inputs.a", "`in` needs a list or a mapping on its right"),
        ("inputs.a.b.c[0]", "it reads a member of something that is not a mapping"),
        ("inputs.l['a']", "it picks an item of a list by something that is not a whole number"),
        ("int(inputs.a)", "cannot convert string to int"),
        ("9223372036854775807 + inputs.n", "integer overflow"),
    ],
)
def test_evaluation_fails_in_plain_words(text, message):
    with pytest.raises(EvaluationFailed) as caught:
        compile_expression(text).evaluate({"inputs": {"a": "x", "n": 1, "l": [1]}})

    assert str(caught.value) == message


def test_long_values_are_not_repeated_in_messages():
    with pytest.raises(EvaluationFailed) as caught:
        compile_expression("inputs.m[inputs.k]").evaluate({"inputs": {"m": {}, "k": "x" * 5000}})

    assert len(str(caught.value)) < 400


def test_patterns_are_found_anywhere_in_linear_time():
    assert matches_pattern("b+", "abbc")
    assert not matches_pattern("^b", "abbc")
    assert not matches_pattern("^(a+)+$", "a" * 50_000 + "!")


def test_bad_pattern_fails():
    with pytest.raises(EvaluationFailed, match="invalid regular expression"):
        matches_pattern("(", "")
