"""Templates and conditions."""

import pytest

from workflows.definition.cel_references import Reference
from workflows.definition.expressions import (
    ExpressionFailed,
    compile_condition,
    compile_right_parts,
    compile_template,
    has_expression,
    show_expression,
)
from workflows.definition.problems import DefinitionInvalid

SCOPE = {
    "inputs": {"whole": 1, "part": 1.5, "text": "x", "list": [1, 2, {"k": None}], "none": None, "yes": True, "map": {}},
    "tasks": {
        "load": {
            "output": {"rows": [1, 2], "at": "2024-01-01T00:00:00.5Z", "a-b": 3},
            "status": "succeeded",
            "error_message": None,
        },
        "count": {"output": {"big": 2**70}},
    },
    "run": {"id": "r1", "workflow": "flights", "created_at": "2024-01-01T00:00:00.000000Z"},
}

UNKNOWN = "`taks` is not known; an expression can use inputs, tasks, run, platform"


def render(value):
    return compile_template(value, ("tasks", "clean", "with")).render(SCOPE)


def refusal(value):
    with pytest.raises(DefinitionInvalid) as caught:
        compile_template(value, ("with",))
    assert {problem.code for problem in caught.value.problems} == {"bad_expression"}
    return [problem.message for problem in caught.value.problems]


def failure(value):
    with pytest.raises(ExpressionFailed) as caught:
        compile_template(value, ("with",)).render(SCOPE)
    return caught.value.reason


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("${{ inputs.whole }}", 1),
        ("${{inputs.part}}", 1.5),
        ("${{ inputs.list }}", [1, 2, {"k": None}]),
        ("${{ inputs.none }}", None),
        ("${{ inputs.yes }}", True),
        ("${{ tasks.load.output.rows[1] }}", 2),
        ("${{ tasks['load'].output.rows }}", [1, 2]),
        ("${{ tasks.load.output['a-b'] }}", 3),
        ("${{ tasks.count.output.big }}", 2**70),
        ("${{ tasks.load.status }}", "succeeded"),
        ("${{ size(inputs.list) }}", 3),
        ("${{ run.workflow + '/' + run.id }}", "flights/r1"),
        ("${{ inputs.list.filter(i, i == 2) }}", [2]),
        ("${{ {'a': {'b': [inputs.whole]}}}}", {"a": {"b": [1]}}),
        ("${{ 1u }}", 1),
        ("${{ timestamp('2024-01-01T01:00:00.5+01:00') }}", "2024-01-01T00:00:00.500000Z"),
        ("${{ timestamp('2024-01-01T00:00:00Z') }}", "2024-01-01T00:00:00Z"),
        ("${{ duration('3.50s') }}", "3.5s"),
        ("${{ duration('-90m') }}", "-5400s"),
        ("${{ [duration('0s')] }}", ["0s"]),
        ("${{ has(inputs.nothing) }}", False),
    ],
)
def test_text_that_is_one_expression_keeps_the_type_of_its_value(value, rendered):
    result = render(value)

    assert result == rendered
    assert type(result) is type(rendered)


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("${{ inputs.whole }}\n", "1\n"),
        ("$${{ inputs.whole }}", "$1"),
        ("a${{inputs.whole}}b${{ inputs.part }}${{ inputs.text }}", "a1b1.5x"),
        ("${{inputs.none}} ${{inputs.yes}}", "null true"),
        ("x=${{ inputs.list }}", 'x=[1,2,{"k":null}]'),
        ("${{ '}}' }} and ${{ \"}}\" }}", "}} and }}"),
        ("${{ '''}}''' + r'}}' }}.", "}}}}."),
        ("${{ '${{' }} is literal", "${{ is literal"),
        ("${{ inputs.whole // }}\n }}!", "1!"),
        ("${{ {'a': 1}['a'] }} }}", "1 }}"),
        ("${{ 'it\\'s }}' }}.", "it's }}."),
    ],
)
def test_expressions_within_a_text_are_written_into_it(value, rendered):
    assert render(value) == rendered


def test_texts_are_found_in_lists_and_mappings_and_the_rest_is_left_alone():
    untouched = {"deep": [1, None]}
    value = {"a": ["${{ inputs.whole }}", 2.5], "b": untouched, "c": "plain"}

    rendered = render(value)

    assert rendered == {"a": [1, 2.5], "b": {"deep": [1, None]}, "c": "plain"}
    assert rendered["b"] is untouched
    assert value["a"] == ["${{ inputs.whole }}", 2.5]


@pytest.mark.parametrize("value", [None, 1, "$ { text } }}", {"a": ["b"]}, []])
def test_value_without_expression_is_rendered_as_itself(value):
    template = compile_template(value)

    assert template.render({}) is value
    assert template.references == frozenset()


def test_template_tells_what_it_reads():
    template = compile_template({"a": "${{ inputs.day }} ${{ tasks.load.output.rows[0] }}", "b": ["${{ run.id }}"]})

    assert template.references == {
        Reference(root="inputs", name="day"),
        Reference(root="tasks", name="load", member="output"),
        Reference(root="run", name="id"),
    }


def test_template_knows_where_each_expression_stands():
    template = compile_template({"a": ["x", "${{ inputs.day }}"]}, ("with",))

    assert [embedded.path for embedded in template.expressions] == [("with", "a", 1)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("${{ inputs.a", "an expression opens with `${{` but does not close with `}}`"),
        ("${{ {'a': 1 }}", "an expression opens with `${{` but does not close with `}}`"),
        ("${{ 'a' } }}", "an expression opens with `${{` but does not close with `}}`"),
        ("${{}}", "`${{  }}`: it is empty"),
        ("${{ // nothing\n }}", "`${{ // nothing }}`: it ends too early (character 2 of the expression)"),
        ("${{ 1 + }}", "`${{ 1 + }}`: it ends too early (character 6 of the expression)"),
        (
            "${{ taks.a }}",
            f'`${{{{ taks.a }}}}`: {UNKNOWN}; did you mean "tasks"? (character 6 of the expression)',
        ),
        ({"${{ inputs.a }}": 1}, 'has the key "${{ inputs.a }}", but a key cannot hold an expression'),
        (
            "${{ " + "1+" * 40 + "1 }}",
            f"`{show_expression('1+' * 40 + '1')}`: it nests more than 32 levels deep; do part of the work in a task",
        ),
    ],
)
def test_bad_expression_is_refused(value, message):
    assert refusal(value) == [message]


def test_expression_has_at_most_ten_thousand_characters():
    longest = "'" + "x" * 9_998 + "'"

    assert render(f"${{{{{longest}}}}}") == "x" * 9_998
    assert refusal(f"${{{{{longest} }}}}") == [
        "an expression opens with `${{` but does not close with `}}` within 10,000 characters"
    ]


def test_every_bad_expression_is_told_and_the_right_ones_are_kept():
    problems = []

    template = compile_right_parts({"a": "${{ 1 + }} ${{ inputs.day }} ${{ foo }}"}, ("with",), problems)

    assert [(problem.code, problem.pointer) for problem in problems] == [("bad_expression", "with.a")] * 2
    assert template.references == {Reference(root="inputs", name="day")}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("${{ inputs.txet }}", '`inputs` has no "txet"; did you mean "text"?'),
        ("${{ inputs.text.length }}", '`inputs.text` is text, so it has no "length"'),
        ("${{ tasks.load.output.nothing[0] }}", 'there is no "nothing"'),
        ("${{ tasks.other.output }}", '`tasks` has no "other"'),
        ("${{ inputs.list[7] }}", "there is no item 7 in a list of 3"),
        (
            "${{ inputs.whole + inputs.part }}",
            "`+` does not work on a whole number and a decimal number; convert one with int(), double() or string()",
        ),
        ("${{ 1 / 0 }}", "divide by zero"),
        ("${{ b'x' }}", "its value is bytes, which JSON cannot express; turn them into text with string()"),
        ("${{ {1: 2} }}", "its value is a mapping with a key that is a whole number; keys must be text"),
        ("${{ 0.0 / 0.0 }}", "its value is not a finite number; JSON has no NaN and no infinity"),
        ("${{ 18446744073709551615u }}", "its value is a whole number beyond 64 bits; write it as text"),
        ("${{ type(1) }}", "its value is a type, which JSON cannot express"),
        ("${{ 'a\\u0000' }}", "its value contains the NUL character, which cannot be stored; remove it"),
        ("${{ {'a': 1, 'a': 2} }}", "duplicate key in map"),
        ("${{ size(tasks.count.output) }}", "it reads a value that holds a whole number beyond 64 bits"),
        ("x ${{ inputs.list[7] }}", "there is no item 7 in a list of 3"),
    ],
)
def test_expression_without_a_value_fails_in_plain_words(value, reason):
    assert failure(value) == reason


def test_failure_names_path_and_expression():
    with pytest.raises(ExpressionFailed) as caught:
        render({"args": ["${{ inputs.list[7] }}"]})

    assert str(caught.value) == ("tasks.clean.with.args[0]: ${{ inputs.list[7] }}: there is no item 7 in a list of 3")


def test_iteration_budget_fails_in_plain_words():
    template = compile_template("${{ inputs.list.all(i, i >= 0) }}")

    with pytest.raises(ExpressionFailed, match=r"goes through more than 10,000 items"):
        template.render({"inputs": {"list": list(range(10_001))}})


def test_value_too_deep_for_the_runtime_fails_instead_of_taking_the_process_down():
    deep = []
    for _ in range(50_000):
        deep = [deep]

    with pytest.raises(ExpressionFailed, match=r"nested more than 100 levels"):
        compile_template("${{ size(inputs.deep) }}").render({"inputs": {"deep": deep}})


def test_only_what_is_read_is_handed_to_the_runtime():
    template = compile_template("${{ size(tasks.load.output) + size(inputs.a) }}")
    unreadable = object()

    scope = {
        "inputs": {"a": "x", "b": unreadable},
        "tasks": {"load": {"output": [1], "status": unreadable}, "other": {"output": unreadable}},
    }
    assert template.render(scope) == 2


def test_part_and_whole_of_a_task_are_both_handed_over():
    template = compile_template("${{ [tasks.load].map(t, t.status)[0] + string(tasks.load.output.rows[0]) }}")

    scope = {"tasks": {"load": {"output": {"rows": [1]}, "status": "succeeded"}}}

    assert template.render(scope) == "succeeded1"
    assert scope == {"tasks": {"load": {"output": {"rows": [1]}, "status": "succeeded"}}}


@pytest.mark.parametrize(
    ("text", "is_met"),
    [("${{ inputs.yes }}", True), (" ${{ inputs.whole > 1 }}\n", False), ("${{ 'a' in ['a'] }}", True)],
)
def test_condition_is_one_expression(text, is_met):
    assert compile_condition(text).is_met(SCOPE) is is_met


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inputs.yes", 'must be exactly one expression, such as "${{ size(tasks.load.output) > 0 }}"'),
        ("", 'must be exactly one expression, such as "${{ size(tasks.load.output) > 0 }}"'),
        ("${{ true }}${{ true }}", 'must be exactly one expression, such as "${{ size(tasks.load.output) > 0 }}"'),
        ("not ${{ true }}", 'must be exactly one expression, such as "${{ size(tasks.load.output) > 0 }}"'),
        ("${{ 'a' }}", "`${{ 'a' }}` is never true or false; compare it with something"),
        ("${{ tasks }}", "`${{ tasks }}` is never true or false; compare it with something"),
        ("${{ 1 + }}", "`${{ 1 + }}`: it ends too early (character 6 of the expression)"),
    ],
)
def test_other_conditions_are_refused(text, message):
    with pytest.raises(DefinitionInvalid) as caught:
        compile_condition(text, ("tasks", "a", "if"))

    assert [(problem.code, problem.pointer, problem.message) for problem in caught.value.problems] == [
        ("bad_expression", "tasks.a.if", message)
    ]


def test_condition_that_is_neither_true_nor_false_fails():
    with pytest.raises(ExpressionFailed) as caught:
        compile_condition("${{ inputs.whole }}", ("if",)).is_met(SCOPE)

    assert caught.value.reason == "a condition must be true or false, not a whole number"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("${{ a }}", True), ({"a": [1, "x ${{"]}, True), ("{{ a }}", False), ({"${{ a }}": 1}, False), (None, False)],
)
def test_expressions_are_found_anywhere_in_a_value(value, expected):
    assert has_expression(value) is expected
