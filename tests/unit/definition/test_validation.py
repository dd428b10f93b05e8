"""Whole documents."""

import pytest

from tests.unit.definition.kinds import KINDS
from workflows.definition.document import Document, parse_document
from workflows.definition.problems import DefinitionInvalid
from workflows.definition.spec import MAX_TASKS, UNSUPPORTED_TASK_KEYS, UNSUPPORTED_WORKFLOW_KEYS, RunIf
from workflows.definition.validation import validate

GOOD = """\
schema_version: 1
name: flight-delays
description: Delays by carrier.
inputs:
  day: {type: string, format: date, default: 2024-12-31}
tasks:
  extract:
    uses: shell
    with: {command: "curl https://example.org/${{ inputs.day }}.csv", env: {RUN: "${{ run.id }}"}}
  clean:
    needs: [extract]
    uses: batch
    with: {steps: [{run: "${{ tasks.extract.output.body }}"}]}
  report:
    description: The report.
    needs: [clean]
    if: ${{ size(tasks.clean.output) > 0 && tasks.extract.status == 'succeeded' }}
    run_if: all_done
    uses: noop
outputs:
  worst: ${{ tasks.report.output.worst }}
"""

EVERYTHING_WRONG = """\
schema_version: 2
name: Flights
deadline: 30m
nmae: x
inputs:
  day: {type: strin}
  Bad: {}
tasks:
  a:
    uses: shel
    needs: [b]
  b:
    uses: shell
    needs: [a, c, 7]
    with: {comand: x, env: {A: "${{ inputs.dya }}"}}
    retry: {max_attemps: 3, delay: soon}
  c:
    uses: shell
    command: echo
    with: {command: "${{ tasks.d.output }}"}
    run_if: alldone
  d:
    uses: kubernetes
    if: "${{ 1 + }}"
    run_if: any_failed
  e:
outputs: {x: "${{ tasks.zz.output }}"}
"""


def problems_of(document, kinds=KINDS):
    with pytest.raises(DefinitionInvalid) as caught:
        validate(document, kinds=kinds)
    return caught.value.problems


def tasks_document(tasks):
    return Document.of({"schema_version": 1, "name": "many", "tasks": tasks})


def test_good_document_becomes_a_definition():
    definition = validate(parse_document(GOOD), kinds=KINDS)

    assert definition.name == "flight-delays"
    assert list(definition.tasks) == ["extract", "clean", "report"]
    assert definition.tasks["report"].needs == ("clean",)
    assert definition.tasks["report"].run_if is RunIf.ALL_DONE
    assert definition.tasks["clean"].options == {"steps": [{"run": "${{ tasks.extract.output.body }}"}]}
    assert definition.inputs == {"day": {"type": "string", "format": "date", "default": "2024-12-31"}}


def test_every_problem_is_told_at_once_with_code_path_line_and_column():
    problems = problems_of(parse_document(EVERYTHING_WRONG))

    assert [(problem.code, problem.pointer, problem.line, problem.column) for problem in problems] == [
        ("not_allowed", "schema_version", 1, 1),
        ("bad_name", "name", 2, 1),
        ("not_supported_yet", "deadline", 3, 1),
        ("unknown_key", "nmae", 4, 1),
        ("not_allowed", "inputs.day.type", 6, 9),
        ("bad_name", "inputs.Bad", 7, 3),
        ("unknown_kind", "tasks.a.uses", 10, 5),
        ("cycle", "tasks.a.needs[0]", 11, 13),
        ("wrong_type", "tasks.b.needs[2]", 14, 19),
        ("missing_key", "tasks.b.with.command", 15, 5),
        ("unknown_option", "tasks.b.with.comand", 15, 12),
        ("unknown_input", "tasks.b.with.env.A", 15, 29),
        ("unknown_key", "tasks.b.retry.max_attemps", 16, 13),
        ("invalid_value", "tasks.b.retry.delay", 16, 29),
        ("unknown_key", "tasks.c.command", 19, 5),
        ("reference_not_upstream", "tasks.c.with.command", 20, 12),
        ("not_allowed", "tasks.c.run_if", 21, 5),
        ("not_supported_yet", "tasks.d.uses", 23, 5),
        ("bad_expression", "tasks.d.if", 24, 5),
        ("never_runs", "tasks.d.run_if", 25, 5),
        ("wrong_type", "tasks.e", 26, 3),
        ("unknown_task", "outputs.x", 27, 11),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": 1}, '"nmae" is not a key of a workflow; did you mean "name"?'),
        ({"zzz": 1}, '"zzz" is not a key of a workflow'),
        ({"tasks": {"a": {"uses": "noop", "need": []}}}, '"need" is not a key of a task; did you mean "needs"?'),
        (
            {"tasks": {"a": {"uses": "noop", "duration": 1}}},
            '"duration" is not a key of a task; options of the kind stand under `with`',
        ),
        (
            {"tasks": {"a": {"uses": "noop", "retry": {"max_attemps": 2}}}},
            '"max_attemps" is not a key of `retry`; did you mean "max_attempts"?',
        ),
        (
            {"tasks": {"a": {"uses": "noop", "timeout": {"atempt": "1s"}}}},
            '"atempt" is not a key of `timeout`; did you mean "attempt"?',
        ),
        (
            {"tasks": {"a": {"uses": "noop", "timeout": "soon"}}},
            "should be a duration such as 200ms, 3s, 5m, 2h or 1d, or a number of seconds",
        ),
        ({"timeout": 0}, "must be greater than 0"),
        (
            {"tasks": {"a": {"uses": "noop", "output": {"typ": "object"}}}},
            'is not a keyword of JSON Schema; did you mean "type"?',
        ),
        (
            {"tasks": {"a": {"uses": "noop", "output": {"properties": {"a": {"writeOnly": True}}}}}},
            "holds a `writeOnly`, which hides nothing here: only inputs can be secret",
        ),
        ({"tasks": {"a": {"uses": "noop", "retry": 3}}}, "must be a mapping, not a whole number"),
        ({"defaults": {"retri": {}}}, '"retri" is not a key of `defaults`; did you mean "retry"?'),
        (
            {"defaults": {"retry": {"delay": "2x"}}},
            "should be a duration such as 200ms, 3s, 5m, 2h or 1d, or a number of seconds",
        ),
        ({"tasks": {}}, "must have at least 1 entry; it has 0"),
        ({"tasks": None}, "must be a mapping, not null"),
        ({"tasks": {"a": {"uses": "noop", "with": None}}}, "must be a mapping, not null"),
        ({"tasks": {"a": {"uses": "noop", "needs": "b"}}}, "must be a list, not text"),
        ({"tasks": {"a": {"uses": "noop", "if": True}}}, "must be text, not true"),
        ({"tasks": {"a": {}}}, "is required"),
        ({"inputs": {"a": None}}, "must be a mapping, not null"),
        ({"outputs": []}, "must be a mapping, not a list"),
    ],
)
def test_problem_is_told_in_plain_words(change, message):
    value = {"schema_version": 1, "name": "a", "tasks": {"a": {"uses": "noop"}}} | change

    assert [problem.message for problem in problems_of(Document.of(value))] == [message]


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "null"])
def test_empty_document_is_told_what_belongs_in_it(text):
    assert [(problem.code, problem.message) for problem in problems_of(parse_document(text))] == [
        ("empty", "is empty; a definition has at least `schema_version: 1`, a `name` and `tasks`")
    ]


@pytest.mark.parametrize("value", [[], "text", 1])
def test_document_that_is_no_mapping_is_refused(value):
    assert [(problem.code, problem.path) for problem in problems_of(Document.of(value))] == [("wrong_type", ())]


@pytest.mark.parametrize("key", sorted(UNSUPPORTED_WORKFLOW_KEYS))
def test_workflow_key_of_later_is_refused_not_ignored(key):
    value = {"schema_version": 1, "name": "a", "tasks": {"a": {"uses": "noop"}}, key: None}

    assert [(problem.code, problem.pointer) for problem in problems_of(Document.of(value))] == [
        ("not_supported_yet", key)
    ]


@pytest.mark.parametrize("key", sorted(UNSUPPORTED_TASK_KEYS))
def test_task_key_of_later_is_refused_not_ignored(key):
    problems = problems_of(tasks_document({"a": {"uses": "noop", key: None}}))

    assert [(problem.code, problem.pointer) for problem in problems] == [("not_supported_yet", f"tasks.a.{key}")]


def test_no_message_speaks_of_pydantic():
    text = "\n".join(problem.message for problem in problems_of(parse_document(EVERYTHING_WRONG)))

    assert not any(word in text.lower() for word in ("pydantic", "input should", "://", "dictionary", "tuple"))


def test_early_join_with_needs_is_taken():
    tasks = {"a": {"uses": "noop"}, "b": {"uses": "noop", "needs": ["a"], "run_if": "any_failed"}}

    assert validate(tasks_document(tasks), kinds=KINDS).tasks["b"].run_if is RunIf.ANY_FAILED


@pytest.mark.parametrize("shape", ["chain", "wide", "layered"])
def test_largest_graph_is_taken(shape):
    needs = {
        "chain": lambda i: [f"t{i - 1}"] if i else [],
        "wide": lambda i: ["t0"] if i else [],
        "layered": lambda i: [f"t{i - i % 100 - 100 + j}" for j in (0, 33, 66)] if i >= 100 else [],
    }[shape]
    tasks = {}
    for i in range(MAX_TASKS):
        command = f"echo ${{{{ tasks.{needs(i)[0]}.output.x }}}}" if needs(i) else "echo"
        tasks[f"t{i}"] = {"uses": "shell", "needs": needs(i), "with": {"command": command}}

    assert len(validate(tasks_document(tasks), kinds=KINDS).tasks) == 20_000


def test_one_task_more_is_refused():
    tasks = {f"t{i}": {"uses": "noop"} for i in range(MAX_TASKS + 1)}

    (problem,) = problems_of(tasks_document(tasks))

    assert (problem.code, problem.pointer) == ("too_long", "tasks")
    assert problem.message == "must have at most 20,000 entries; it has 20,001"


def test_largest_graph_of_wrong_needs_is_told_in_full():
    tasks = {f"t{i}": {"uses": "noop", "needs": [f"u{i}"]} for i in range(MAX_TASKS)}

    assert len(problems_of(tasks_document(tasks))) == MAX_TASKS
