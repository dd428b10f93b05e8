# ruff: noqa: PLW0108 - what a lambda calls here must not be called before its workflow is drawn
import contextlib
import datetime
import logging
import time
from typing import Any

import pytest
from hypothesis import given, settings

from maestro.sdk import (
    DefinitionError,
    InputsInvalid,
    TaskFailed,
    current_task,
    error_message,
    expression,
    finally_,
    on_failure,
    on_success,
    run_locally,
    shell,
    size,
    status,
    uses,
    workflow,
)
from tests.reference import interpret, of_section
from tests.strategies import graphs
from tests.unit.sdk import sample_workflows as samples

REPLACED = {"show": {"stdout": "ok"}, "send": lambda output: output}


def run(function, outputs=None, **inputs):
    return run_locally(workflow(function, name="test"), inputs, outputs)


def test_python_tasks_run_and_others_are_replaced():
    run = run_locally(samples.a_day, {"day": "2013-02-08", "limit": 4}, REPLACED)

    assert (run.status, run.error_message) == ("succeeded", "")
    assert run.outputs == {"total": 12, "status": "succeeded", "first": 0}
    assert run.tasks["read"].output == {"day": "2013-02-08", "rows": [0, 1, 2, 3]}
    assert list(run.tasks) == ["read", "total", "send", "show", "clean_up"]


def test_inputs_may_be_given_as_their_types():
    run = run_locally(samples.a_day, {"day": datetime.date(2013, 2, 8)}, REPLACED)

    assert run.tasks["read"].output["day"] == "2013-02-08"


def test_inputs_are_refused_as_by_the_server():
    with pytest.raises(InputsInvalid) as caught:
        run_locally(samples.a_day, {"day": "today", "limit": 0, "dya": 1}, REPLACED)

    assert [problem.pointer for problem in caught.value.problems] == ["dya", "day", "limit"]


def test_false_condition_skips_and_its_output_is_null():
    run = run_locally(samples.a_day, {"limit": 1}, REPLACED)

    assert (run.tasks["show"].status, run.tasks["show"].reason) == ("skipped", "condition")
    assert run.tasks["clean_up"].status == "succeeded"


def test_exception_fails_its_task_and_what_needs_it_is_skipped():
    def flow():
        failed = samples.fail("no such day")
        samples.untyped(failed)
        samples.untyped.set(key="alarm", run_if="any_failed")(error_message(failed))
        samples.untyped.set(key="judge", run_if="all_done")(status(failed))
        return failed

    result = run(flow)

    assert (result.status, result.outputs) == ("failed", None)
    assert result.error_message == "Task fail failed: ValueError: no such day"
    assert result.tasks["fail"].error_code == "value_error"
    assert isinstance(result.tasks["fail"].exception, ValueError)
    assert (result.tasks["untyped"].status, result.tasks["untyped"].reason) == ("skipped", "upstream_failed")
    assert result.tasks["alarm"].output == {"value": "ValueError: no such day"}
    assert result.tasks["judge"].output == {"value": "failed"}


@pytest.mark.parametrize(
    ("replacement", "ends"),
    [
        ({"rows": []}, ("succeeded", {"rows": []}, "")),
        (None, ("succeeded", None, "")),
        (lambda day, limit=9: [day, limit], ("succeeded", ["2013-01-05", 9], "")),
        (TimeoutError("too slow"), ("failed", None, "timeout_error")),
        (TimeoutError, ("failed", None, "timeout_error")),
        (lambda day: 1 / 0, ("failed", None, "zero_division_error")),
        (object(), ("failed", None, "output_not_json")),
        ("a\x00b", ("failed", None, "output_not_json")),
    ],
)
def test_task_is_replaced_by_a_value_an_exception_or_a_function(replacement, ends):
    def flow(day: datetime.date):
        samples.read(day)

    task = run(flow, {"read": replacement}, day="2013-01-05").tasks["read"]

    assert (task.status, task.output, task.error_code) == ends


def test_replacement_gets_what_the_function_would():
    seen = []

    def flow():
        samples.read("2013-01-05")

    run(flow, {"read": lambda day: seen.append(day)})

    assert seen == [datetime.date(2013, 1, 5)]


def test_async_task_and_its_threads_know_their_attempt_and_tell_progress(caplog):
    def flow():
        return samples.who_am_i()

    with caplog.at_level(logging.INFO):
        result = run(flow)

    assert result.outputs == {"result": {"key": "who_am_i", "in_thread": ["who_am_i"], "attempt": 1}}
    assert ("task.who_am_i", logging.INFO, "progress 50%: half") in caplog.record_tuples
    with pytest.raises(RuntimeError):
        current_task()


def test_arguments_that_do_not_fit_fail_the_task_as_on_a_worker():
    def flow(day: Any):
        samples.read(day)

    task = run(flow, day="someday").tasks["read"]

    assert task.error_code == "invalid_arguments"
    assert task.error_message.startswith(
        "with.args: tests.unit.sdk.sample_workflows.read() does not take them: day: Input should be a valid date"
    )


def test_expression_without_a_value_fails_its_task_or_the_run():
    def flow():
        rows = samples.untyped()
        samples.untyped.set(key="second", run_if="all_done")(rows.nothing)

    def flow_with_output():
        return samples.untyped().nothing

    assert run(flow).tasks["second"].error_code == "expression_failed"
    assert 'has no "nothing"' in run(flow_with_output).error_message


def test_plain_function_of_a_definition_is_imported_and_called():
    def flow():
        return uses("python", {"function": "tests.unit.sdk.sample_workflows.plain", "args": {"day": "Friday"}})

    assert run(flow).outputs == {"result": "Friday"}


@pytest.mark.parametrize(
    ("flow", "outputs", "message"),
    [
        (lambda: shell("true"), {}, "task shell is of the kind 'shell', which a local run cannot run: say what it"),
        (lambda: shell("true"), {"shel": 1}, "outputs: there is no task 'shel'; did you mean \"shell\"?"),
        (lambda: uses("noop", run_if="any_failed"), {}, "tasks.noop.run_if: a task without needs never runs"),
        (
            lambda: uses("python", {"function": "tests.unit.sdk.sample_workflows.nothing"}),
            {},
            "task python: with.function: 'tests.unit.sdk.sample_workflows.nothing' is not found",
        ),
    ],
)
def test_what_cannot_run_locally_is_told_with_what_to_do(flow, outputs, message):
    with pytest.raises(DefinitionError) as caught:
        run(flow, outputs)

    assert message in str(caught.value)


def test_only_a_workflow_can_run():
    with pytest.raises(DefinitionError, match="runs a function decorated by @workflow"):
        run_locally(samples.read)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(graphs())
def test_random_graphs_end_as_on_the_platform(tasks):
    hooks = {"tasks": contextlib.nullcontext, "on_failure": on_failure, "on_success": on_success, "finally": finally_}
    options = {"workflow": {"workflow": "another"}, "approval": {"message": "Go on?"}}

    def draw(section):
        made = {}
        for key, task in of_section(tasks, section).items():
            condition = None if task.condition else expression("1 > 2")
            needs = [made[need] for need in task.needs]
            made[key] = uses(
                task.uses,
                options.get(task.uses, {}),
                key=key,
                after=needs,
                run_if=task.rule,
                if_=condition,
                continue_on_error=task.may_fail,
                output={"type": "string"} if task.refused else None,
            )

    @workflow
    def flow():
        for section, hook in hooks.items():
            with hook():
                draw(section)

    outputs = {key: RuntimeError() if task.fails else None for key, task in tasks.items()}

    result = run_locally(flow, outputs=outputs)

    status, ends = interpret(tasks)
    assert result.status == status
    assert {key: (task.status, task.reason) for key, task in result.tasks.items()} == dict(ends)


def test_expressions_see_the_run_and_the_platform():
    def flow():
        page = uses("http", {"url": f"{expression('platform.url')}/health"})
        return {"page": page, "workflow": expression("run.workflow"), "id": size(expression("run.id"))}

    result = run(flow, {"http": lambda url: url})

    assert result.outputs == {"page": "http://127.0.0.1:3000/health", "workflow": "test", "id": 36}


def test_size_of_an_output_decides():
    def flow():
        rows = samples.untyped([1, 2])
        samples.untyped.set(key="many", if_=size(rows.value) > 1)()
        samples.untyped.set(key="none", if_=size(rows.value) == 0)()

    tasks = run(flow).tasks

    assert (tasks["many"].status, tasks["none"].status) == ("succeeded", "skipped")


def failing_until(attempt, raised):
    def call():
        if current_task().attempt < attempt:
            raise raised
        return current_task().attempt

    return call


@pytest.mark.parametrize(
    ("retry", "raised", "attempts", "ended"),
    [
        (None, OSError(), 1, "failed"),
        ({"max_attempts": 3}, OSError(), 3, "succeeded"),
        ({"max_attempts": 2}, OSError(), 2, "failed"),
        ({"not_on": ["os_error"]}, OSError(), 1, "failed"),
        ({"max_attempts": 3}, TaskFailed("x", retry=False), 1, "failed"),
        ({"on": ["busy"]}, TaskFailed("x", code="busy"), 3, "succeeded"),
    ],
)
def test_failed_task_is_tried_again_as_its_retry_says(retry, raised, attempts, ended):
    ran = run(lambda: uses("http", key="a", retry=retry), {"a": failing_until(3, raised)})

    assert (ran.tasks["a"].attempts, ran.tasks["a"].status) == (attempts, ended)


def test_no_time_limit_holds_in_a_local_run():
    ran = run(lambda: uses("http", key="a", timeout="1ms"), {"a": lambda: time.sleep(0.01)})

    assert ran.tasks["a"].status == "succeeded"


def test_run_of_another_workflow_is_replaced_by_what_it_returns():
    @workflow
    def calls():
        return {"said": uses("workflow", {"workflow": "greet", "inputs": {"who": "Ada"}}, key="greet").said}

    run = run_locally(calls, outputs={"greet": lambda workflow, inputs: {"said": f"hello {inputs['who']}"}})

    assert run.outputs == {"said": "hello Ada"}
    with pytest.raises(DefinitionError, match="kind 'workflow', which a local run cannot run"):
        run_locally(calls)


def test_sleep_ends_at_once():
    @workflow
    def naps():
        uses("sleep", {"duration": "30d"})

    run = run_locally(naps)

    assert (run.status, run.tasks["sleep"].output) == ("succeeded", None)


ROWS = {"type": "object", "required": ["rows"]}


def test_output_is_held_to_its_contract():
    def draw():
        uses("http", {"url": "https://example.org"}, key="load", output=ROWS)

    refused = run(draw, {"load": {"lines": 1}})

    assert (refused.status, refused.tasks["load"].error_code) == ("failed", "output_refused")
    assert refused.tasks["load"].error_message == 'output: needs the key "rows"'
    assert run(draw, {"load": {"rows": 1}}).status == "succeeded"


def test_refused_output_is_tried_again():
    outputs = iter([{}, {"rows": 1}])

    def draw():
        uses("http", {"url": "https://example.org"}, key="load", output=ROWS, retry={"max_attempts": 3})

    assert run(draw, {"load": lambda url: next(outputs)}).tasks["load"].attempts == 2


def test_task_may_fail_without_failing_the_run():
    def draw():
        missing = uses("http", {"url": "https://example.org"}, key="load", continue_on_error=True)
        uses("noop", key="after", after=missing)

    ended = run(draw, {"load": ValueError("x"), "after": None})

    assert (ended.status, ended.tasks["load"].status, ended.tasks["after"].status) == (
        "succeeded",
        "failed",
        "succeeded",
    )


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({"message": "Enough.", "outputs": {"a": 1}}, ("succeeded", "Enough.", {"a": 1})),
        ({"status": "failed"}, ("failed", "Task stop stopped the run.", None)),
    ],
)
def test_stop_ends_the_run_and_cancels_what_comes_later(options, end):
    def draw():
        first = uses("noop", key="first")
        uses("noop", key="last", after=uses("stop", options, after=first))

    ended = run(draw, {"first": None, "last": None})

    assert (ended.status, ended.error_message, ended.outputs) == end
    assert {key: task.status for key, task in ended.tasks.items()} == {
        "first": "succeeded",
        "stop": "succeeded",
        "last": "cancelled",
    }


def with_hooks(fails):
    def draw():
        loaded = uses("http", {"url": "https://example.org"}, key="load")
        with on_failure():
            uses("noop", {"output": expression("run.error_message")}, key="alert")
        with on_success():
            uses("noop", {"output": loaded}, key="cheer")
        with finally_():
            first = uses("noop", {"output": expression("run.failed_tasks")}, key="clean")
            uses("noop", key="last", after=[first, loaded])
        return {"loaded": loaded}

    loads = ValueError("No.") if fails else 3
    said = {key: (lambda output=None: output) for key in ("alert", "cheer", "clean")}
    return run(draw, {"load": loads, "last": RuntimeError("x"), **said})


def test_hooks_run_after_the_tasks_and_change_nothing():
    failed, succeeded = with_hooks(fails=True), with_hooks(fails=False)

    assert (failed.status, list(failed.tasks)) == ("failed", ["load", "alert", "clean", "last"])
    assert failed.tasks["alert"].output == failed.error_message
    assert failed.tasks["clean"].output == ["load"]
    assert (succeeded.status, list(succeeded.tasks)) == ("succeeded", ["load", "cheer", "clean", "last"])
    assert (succeeded.outputs, succeeded.tasks["cheer"].output) == ({"loaded": 3}, 3)
    assert (succeeded.tasks["clean"].output, succeeded.tasks["last"].status) == ([], "failed")


def test_hooks_need_no_task_of_the_run():
    @workflow
    def flow():
        made = uses("noop", key="make")
        with finally_():
            uses("noop", {"output": made}, after=made, key="clean")

    assert flow.definition()["finally"] == {
        "clean": {"uses": "noop", "with": {"output": "${{ tasks.make.output }}"}},
    }


def test_hooks_have_no_hooks():
    @workflow
    def flow():
        with on_failure(), finally_():
            uses("noop")

    with pytest.raises(DefinitionError, match=r"finally\(\) stands inside on_failure\(\); hooks have no hooks"):
        flow.definition()
