"""The language: its keys, names and limits."""

import pytest
from pydantic import ValidationError

from workflows.definition.limits import TaskTimeout
from workflows.definition.retry import RetrySpec
from workflows.definition.spec import (
    RESERVED_WORDS,
    UNSUPPORTED_TASK_KEYS,
    UNSUPPORTED_WORKFLOW_KEYS,
    RunIf,
    TaskDefaults,
    TaskSpec,
    WorkflowDefinition,
)


def definition(**changes):
    return WorkflowDefinition.model_validate(
        {"schema_version": 1, "name": "flights", "tasks": {"a": {"uses": "noop"}}} | changes
    )


def test_smallest_definition_has_these_defaults():
    smallest = definition()

    assert smallest.description is None
    assert smallest.inputs == {}
    assert smallest.outputs == {}
    assert smallest.tasks == {"a": TaskSpec.model_validate({"uses": "noop"})}
    assert smallest.tasks["a"].model_dump() == {
        "uses": "noop",
        "options": {},
        "needs": (),
        "run_if": RunIf.ALL_SUCCEEDED,
        "condition": None,
        "on_worker_lost": None,
        "retry": None,
        "timeout": None,
        "continue_on_error": None,
        "output": None,
        "description": None,
    }
    assert smallest.retry_of("a") is None


def test_retry_of_a_task_comes_before_that_of_the_workflow_key_by_key():
    tasks = {"a": {"uses": "noop"}, "b": {"uses": "noop", "retry": {"max_attempts": 1}}}
    both = definition(defaults={"retry": {"max_attempts": 5, "delay": "9s"}}, tasks=tasks)

    assert [both.retry_of(key).max_attempts for key in "ab"] == [5, 1]
    assert [both.retry_of(key).delay for key in "ab"] == [9, 9]


def test_timeout_of_a_task_is_that_of_each_attempt_unless_it_says_more():
    tasks = {
        "a": {"uses": "noop", "timeout": "20s"},
        "b": {"uses": "noop", "timeout": {"queue": 7}},
        "c": {"uses": "noop"},
    }
    given = definition(defaults={"timeout": {"grace": 1}}, tasks=tasks)

    assert given.timeout_of("a") == TaskTimeout(attempt=20, grace=1)
    assert given.timeout_of("b") == TaskTimeout(queue=7, grace=1)
    assert definition().timeout_of("a") is None


def test_every_field_has_a_description():
    for model in (WorkflowDefinition, TaskSpec, TaskDefaults, RetrySpec, TaskTimeout):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_no_key_is_both_known_and_not_supported():
    assert UNSUPPORTED_WORKFLOW_KEYS.isdisjoint(WorkflowDefinition.model_fields)
    assert UNSUPPORTED_TASK_KEYS.isdisjoint({field.alias or name for name, field in TaskSpec.model_fields.items()})


@pytest.mark.parametrize("name", ["a", "0", "flight-delays", "a.b_c-9", "a" * 100])
def test_workflow_names_are_taken(name):
    assert definition(name=name).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "-a",
        ".a",
        "a b",
        "a\n",
        "é",
        "a" * 101,
        "0190a9b2-7b4c-7000-8000-000000000000",
        "0190a9b27b4c70008000000000000000",
    ],
)
def test_other_workflow_names_are_refused(name):
    with pytest.raises(ValidationError, match="bad_name"):
        definition(name=name)


@pytest.mark.parametrize("key", ["a", "_", "by_carrier2", "a" * 63])
def test_identifiers_are_taken(key):
    assert list(definition(tasks={key: {"uses": "noop"}}).tasks) == [key]


@pytest.mark.parametrize("key", ["", "A", "2a", "a-b", "a.b", "a\n", "é", "a" * 64, *sorted(RESERVED_WORDS)])
def test_other_identifiers_are_refused(key):
    with pytest.raises(ValidationError, match="bad_name"):
        definition(tasks={key: {"uses": "noop"}})
    with pytest.raises(ValidationError, match="bad_name"):
        definition(inputs={key: {}})


@pytest.mark.parametrize("version", [True, "1", 2, None])
def test_only_version_one_is_taken(version):
    with pytest.raises(ValidationError):
        definition(schema_version=version)


def test_definition_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        definition().name = "other"
