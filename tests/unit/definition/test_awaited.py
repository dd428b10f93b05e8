"""The schemas of signals and forms: what is wrong with them, and what fits them."""

import pytest

from tests.unit.definition.kinds import KINDS
from workflows.definition.awaited import AwaitedSignal, awaited_signals, check_awaited, resolve_form, resolve_payload
from workflows.definition.document import Document
from workflows.definition.problems import DefinitionInvalid
from workflows.definition.sections import Section
from workflows.definition.spec import WorkflowDefinition
from workflows.definition.validation import validate
from workflows.parking.approval import ApprovalOptions

AMOUNT = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
FORM = {"reason": {"type": "string"}, "days": {"type": "integer", "default": 30}}


def awaited(schema, *contracts):
    return AwaitedSignal(schema=schema, task_keys=("a",), contracts=contracts or ({},))


def found(tasks):
    return [(problem.code, problem.pointer) for problem in check_awaited({Section.TASKS: tasks})]


def signal(**options):
    return {"uses": "signal", "with": options}


def test_signals_are_known_by_name_with_all_tasks_that_wait_for_them():
    tasks = {"a": signal(name="x", schema=AMOUNT), "b": {"uses": "signal"}, "c": signal(name="x", schema=AMOUNT)}
    definition = WorkflowDefinition.model_validate({"schema_version": 1, "name": "w", "tasks": tasks})

    signals = awaited_signals(definition)

    assert {name: each.task_keys for name, each in signals.items()} == {"x": ("a", "c"), "b": ("b",)}
    assert (signals["x"].schema, signals["b"].schema) == (AMOUNT, {})


@pytest.mark.parametrize(
    "tasks",
    [
        {"a": {"uses": "signal"}},
        {"a": signal(schema=AMOUNT, default={"amount": 1})},
        {"a": signal(name="x", schema=AMOUNT), "b": signal(name="x", schema=AMOUNT)},
        {"a": signal(default={"amount": 1})},
        {"a": signal(default={"amount": 1}) | {"output": AMOUNT}},
        {"a": signal(default=0) | {"output": {"minimum": "one"}}},
        {"a": signal(schema=None)},
        {"a": {"uses": "approval", "with": {"form": FORM}}},
        {"a": {"uses": "approval", "with": {"form": FORM, "deadline": "1d", "on_deadline": "reject"}}},
        {"a": {"uses": "shell", "with": {"schema": 1, "form": {"x": {"type": "y"}}}}},
        {"a": {"uses": "approval", "with": 1}},
    ],
)
def test_right_schemas_are_taken(tasks):
    assert found(tasks) == []


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        (signal(name="${{ inputs.x }}"), ("not_allowed", "tasks.a.with.name")),
        (signal(schema={"const": "${{ inputs.x }}"}), ("not_allowed", "tasks.a.with.schema")),
        (signal(schema="${{ inputs.x }}"), ("not_allowed", "tasks.a.with.schema")),
        (signal(default={"n": "${{ inputs.x }}"}), ("not_allowed", "tasks.a.with.default")),
        (signal(schema={"type": "nubmer"}), ("not_allowed", "tasks.a.with.schema.type")),
        (signal(schema={"tpye": "number"}), ("unknown_key", "tasks.a.with.schema.tpye")),
        (signal(schema={"properties": {"x": {"writeOnly": True}}}), ("not_allowed", "tasks.a.with.schema")),
        (signal(schema=AMOUNT, default={}), ("missing_key", "tasks.a.with.default")),
        (signal(default=0) | {"output": {"minimum": 1}}, ("out_of_range", "tasks.a.with.default")),
        (signal(schema=AMOUNT, default={}) | {"output": AMOUNT}, ("missing_key", "tasks.a.with.default")),
        ({"uses": "approval", "with": {"form": "${{ inputs.x }}"}}, ("not_allowed", "tasks.a.with.form")),
        (
            {"uses": "approval", "with": {"form": FORM, "deadline": "1d", "on_deadline": "approve"}},
            ("missing_key", "tasks.a.with.form.reason"),
        ),
        (
            {"uses": "approval", "with": {"form": {"x": {"type": "date"}}}},
            ("not_allowed", "tasks.a.with.form.x.type"),
        ),
    ],
)
def test_wrong_schema_is_refused_where_it_stands(task, problem):
    assert found({"a": task}) == [problem]


def test_tasks_that_wait_for_one_signal_have_one_schema():
    tasks = {"a": signal(name="x", schema=AMOUNT), "x": {"uses": "signal"}}

    (problem,) = check_awaited({Section.TASKS: tasks})

    assert (problem.code, problem.pointer) == ("schemas_differ", "tasks.x.with.schema")
    assert 'the signal "x" has another schema in the task "a"' in problem.message


def test_hooks_are_held_to_the_same_rules_and_share_their_signals():
    sections = {
        Section.TASKS: {"a": signal(name="x", schema=AMOUNT)},
        Section.FINALLY: {"x": {"uses": "signal"}, "b": signal(schema={"type": "x"})},
    }

    problems = [(problem.code, problem.pointer) for problem in check_awaited(sections)]

    assert problems == [
        ("schemas_differ", "finally.x.with.schema"),
        ("not_allowed", "finally.b.with.schema.type"),
    ]


def test_validation_tells_of_them_with_all_else():
    task = {"uses": "noop", "with": {"durations": 1}}
    document = {"schema_version": 1, "name": "w", "tasks": {"a": signal(schema={"type": "x"}), "b": task}}

    with pytest.raises(DefinitionInvalid) as refused:
        validate(Document.of(document), kinds=KINDS | {"signal": KINDS["noop"]})

    pointers = {problem.pointer for problem in refused.value.problems}
    assert {"tasks.a.with.schema.type", "tasks.b.with.durations"} <= pointers


def refused(options):
    inputs = {
        "boss": {"type": "string", "writeOnly": True},
        "people": {"type": "object", "properties": {"boss": {"type": "string", "writeOnly": True}}},
        "open": {"type": "string"},
    }
    task = {"uses": "approval", "with": {"message": "${{ inputs.boss }}?", **options}}
    document = {"schema_version": 1, "name": "w", "inputs": inputs, "tasks": {"a": task}}
    try:
        validate(Document.of(document), kinds=KINDS | {"approval": ApprovalOptions})
    except DefinitionInvalid as error:
        return [(problem.code, problem.pointer) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"approvers": {"users": ["${{ inputs.boss }}"]}}, "tasks.a.with.approvers.users[0]"),
        ({"approvers": {"users": "${{ [inputs.open, inputs.people.boss] }}"}}, "tasks.a.with.approvers.users"),
        ({"approvers": {"users": ["${{ inputs['boss'] }}"]}}, "tasks.a.with.approvers.users[0]"),
        ({"approvers": "${{ inputs.people }}"}, "tasks.a.with.approvers"),
        (
            {"escalate": {"after": "1h", "users": ["the ${{ inputs.boss }}"]}},
            "tasks.a.with.escalate.users[0]",
        ),
    ],
)
def test_secret_cannot_say_who_may_decide(options, pointer):
    assert refused(options) == [("not_allowed", pointer)]


def test_input_that_is_no_secret_may_say_who_may_decide():
    assert refused({"approvers": {"users": ["${{ inputs.open }}"]}}) == []


def test_payload_is_completed():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "unit": {"default": "EUR"}}}

    assert resolve_payload(awaited(schema), {"n": 2.0}) == ({"n": 2, "unit": "EUR"}, [])


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({}, ("missing_key", "payload")),
        ({"amount": "x"}, ("wrong_type", "payload.amount")),
        ({"amount": 2**64}, ("integer_out_of_range", "payload.amount")),
        ("x" * 1024 * 1024, ("too_large", "payload")),
    ],
)
def test_payload_that_does_not_fit_is_told_where(payload, problem):
    _, problems = resolve_payload(awaited(AMOUNT), payload)

    assert [(each.code, each.pointer) for each in problems] == [problem]


def test_payload_that_breaks_the_contract_of_each_task_is_told_where():
    contract = {"properties": {"amount": {"minimum": 1}}}

    assert resolve_payload(awaited(AMOUNT, contract, {}), {"amount": 0})[1] == []
    _, problems = resolve_payload(awaited(AMOUNT, contract), {"amount": 0})
    assert [(each.code, each.pointer) for each in problems] == [("out_of_range", "payload.amount")]


def test_answers_are_completed_in_the_order_of_the_form():
    answers, problems = resolve_form(FORM, {"reason": "x"}, is_whole=True)

    assert (list(answers.items()), problems) == ([("reason", "x"), ("days", 30)], [])


@pytest.mark.parametrize(
    ("answers", "is_whole", "expected"),
    [
        ({}, True, [("missing_key", "form.reason")]),
        ({}, False, []),
        ({"days": "x"}, False, [("wrong_type", "form.days")]),
        ({"reson": "x"}, False, [("unknown_key", "form.reson")]),
        ({"reason": "\0"}, True, [("nul_character", "form.reason")]),
        ({"reason": "x" * 1024 * 1024}, True, [("too_large", "form")]),
    ],
)
def test_answers_that_do_not_fit_are_told_where(answers, is_whole, expected):
    _, problems = resolve_form(FORM, answers, is_whole=is_whole)

    assert [(each.code, each.pointer) for each in problems] == expected


def test_misspelt_answer_is_answered_by_the_nearest():
    _, problems = resolve_form(FORM, {"reson": "x"}, is_whole=False)

    assert problems[0].message == 'is not in the form; did you mean "reason"?'
