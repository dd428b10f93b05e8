import pytest

from tests.unit.definition.kinds import KINDS, Noop
from workflows.definition.document import Document
from workflows.definition.problems import DefinitionInvalid
from workflows.definition.sections import Section, next_section
from workflows.definition.validation import validate

TASKS, FAILURE, SUCCESS, FINALLY = Section


@pytest.mark.parametrize(
    ("section", "outcome", "present", "following"),
    [
        (TASKS, "failed", Section, FAILURE),
        (TASKS, "succeeded", Section, SUCCESS),
        (TASKS, "cancelled", Section, FINALLY),
        (TASKS, "failed", [TASKS, SUCCESS, FINALLY], FINALLY),
        (TASKS, "failed", [TASKS, SUCCESS], None),
        (TASKS, "cancelled", [TASKS, FAILURE, SUCCESS], None),
        (TASKS, "succeeded", [TASKS], None),
        (FAILURE, "failed", Section, FINALLY),
        (SUCCESS, "succeeded", Section, FINALLY),
        (SUCCESS, "succeeded", [TASKS, SUCCESS], None),
        (FINALLY, "failed", Section, None),
    ],
)
def test_hooks_follow_by_the_outcome(section, outcome, present, following):
    assert next_section(section, outcome, list(present)) == following


def problems(**more):
    value = {"schema_version": 1, "name": "a", "tasks": {"a": {"uses": "noop"}, "b": {"uses": "noop"}}} | more
    try:
        validate(Document.of(value), kinds=KINDS | {"stop": Noop})
    except DefinitionInvalid as error:
        return [(problem.code, problem.pointer, problem.message) for problem in error.problems]
    return []


def reading(expression, **more):
    return {"uses": "batch", "with": {"anything": "${{ " + expression + " }}"}} | more


@pytest.mark.parametrize(
    "hook",
    [
        reading("tasks.a.output"),
        reading("[run.status, run.error_message, string(size(run.failed_tasks))]"),
        reading("tasks.other.output", needs=["other"]),
        reading("run.id + inputs.day"),
    ],
)
def test_hooks_may_read_all_tasks_the_outcome_and_what_they_need(hook):
    hooks = {"on_failure": {"c": hook, "other": {"uses": "noop"}}}

    assert problems(inputs={"day": {"default": "x"}}, **hooks) == []


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            {"finally": {"c": {"uses": "noop", "needs": ["a"]}}},
            (
                "missing_need",
                "finally.c.needs[0]",
                'there is no task "a" in `finally`, which runs when all of `tasks` have ended',
            ),
        ),
        (
            {"finally": {"a": {"uses": "noop"}}},
            (
                "duplicate_task",
                "finally.a",
                'there is a task "a" in `tasks` already; the key of a task is unique in its workflow',
            ),
        ),
        (
            {"on_success": {"c": {"uses": "stop"}}},
            (
                "not_allowed",
                "on_success.c.uses",
                "ends a run early, and hooks run when its end is decided; leave it out",
            ),
        ),
        (
            {"outputs": {"x": "${{ run.status }}"}},
            (
                "unknown_member",
                "outputs.x",
                "`${{ run.status }}`: `run.status` is known only in on_failure, on_success and finally",
            ),
        ),
        (
            {"on_failure": {"c": {"uses": "noop"}}, "finally": {"d": reading("tasks.c.output")}},
            ("unknown_task", "finally.d.with.anything", '`${{ tasks.c.output }}`: there is no task "c"'),
        ),
        (
            {"on_failure": {"c": {"uses": "noop"}}, "outputs": {"x": "${{ tasks.c.output }}"}},
            ("unknown_task", "outputs.x", '`${{ tasks.c.output }}`: there is no task "c"'),
        ),
        (
            {"on_failure": {"c": {"uses": "noop", "need": []}}},
            ("unknown_key", "on_failure.c.need", '"need" is not a key of a task; did you mean "needs"?'),
        ),
        (
            {"on_failure": {"c": {"uses": "noop", "needs": ["d"]}, "d": {"uses": "noop", "needs": ["c"]}}},
            (
                "cycle",
                "on_failure.c.needs[0]",
                "these tasks wait for each other: c → d → c; take one of these needs away",
            ),
        ),
        (
            {"on_failure": {"c": {"uses": "nop"}}},
            ("unknown_kind", "on_failure.c.uses", 'there is no kind "nop"; did you mean "noop"?'),
        ),
        ({"on_failure": {"if": {"uses": "noop"}}}, None),
    ],
)
def test_what_is_wrong_with_hooks_is_told(more, problem):
    found = problems(**more)

    assert len(found) == 1
    assert problem is None or found[0] == problem
