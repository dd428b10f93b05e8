"""What an output must be: an attempt whose output is something else has failed, whoever ends it."""

import pytest

from executors.base import TaskResult
from tests.builders import start_run, statuses, wait_for_end
from tests.integration import calls
from tests.integration.calls import execute
from tests.integration.schedules import row
from workflows.dispatch import settle, waits
from workflows.models import TaskAttempt, TaskExecution, WorkflowRun

ROWS = {"type": "object", "required": ["rows"], "properties": {"rows": {"type": "integer"}}}
BREACH = "output.rows: must be a whole number, not text"


def returning(output, **more):
    return {"uses": "noop", "with": {"output": output}, "output": ROWS} | more


def test_output_that_breaks_its_contract_fails_the_task_and_what_follows(actor, sent):
    run = start_run(actor, {"a": returning({"rows": "many"}), "b": "a"})

    execute(run)

    task = row(run, "a")
    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)"}
    assert (task.error_code, task.error_message, task.output) == ("output_refused", BREACH, None)
    assert WorkflowRun.objects.get(id=run.id).error_message == f"Task a failed: {BREACH}"


def test_output_that_keeps_to_its_contract_is_kept(actor, sent):
    run = start_run(actor, {"a": returning({"rows": 3}), "b": "a"})

    execute(run)

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
    assert row(run, "a").output == {"rows": 3}


@pytest.mark.parametrize(
    ("retry", "status"),
    [
        ({"max_attempts": 2}, "waiting (retry_backoff)"),
        ({"max_attempts": 2, "on": ["output_refused"]}, "waiting (retry_backoff)"),
        ({"max_attempts": 2, "not_on": ["output_refused"]}, "failed"),
    ],
)
def test_refused_output_is_tried_again_as_retry_says(actor, sent, retry, status):
    run = start_run(actor, {"a": returning({"rows": "many"}, retry=retry)})

    execute(run)

    assert statuses(run.id) == {"a": status}
    tried = TaskAttempt.objects.filter(task_execution__run=run).values_list("error_code", flat=True)
    assert list(tried) == (["output_refused"] if status != "failed" else [])


def test_message_shows_no_secret_that_is_the_name_of_a_key(actor, connection, sent):
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    run = start_run(
        actor,
        {"a": {"uses": "celery", "with": calls.CALL["with"], "output": schema}},
        inputs={"key": {"type": "string", "writeOnly": True}},
        given={"key": "hunter22"},
    )
    TaskExecution.objects.filter(run_id=run.id).update(status="waiting", reason="celery")

    settle.settle(connection, calls.call_of(run), TaskResult(output={"hunter22": "x"}))

    assert row(run, "a").error_message == "output.••••••: must be a whole number, not text"


def test_result_of_a_call_is_held_to_the_contract_too(actor, connection, sent):
    run = start_run(actor, {"a": calls.CALL | {"output": ROWS}, "b": "a"})
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(status="waiting", reason="celery")

    settle.settle(connection, calls.call_of(run), TaskResult(output={"rows": "many"}))

    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)"}
    assert row(run, "a").error_code == "output_refused"


def test_end_of_a_wait_is_held_to_the_contract_too(actor, connection, sent):
    run = start_run(actor, {"a": {"uses": "sleep", "with": {"duration": "2d"}, "output": ROWS}})
    execute(run)
    TaskExecution.objects.filter(run_id=run.id).update(wake_at=calls.LONG_AGO)

    waits.end_due(connection)

    assert statuses(run.id) == {"a": "failed"}
    assert row(run, "a").error_message == "output: must be a mapping, not null"


def test_real_workers_hold_to_the_contract(actor, worker):
    command = {"command": """echo '{"rows": "many"}' > "$MAESTRO_OUTPUT" """}
    run = start_run(actor, {"a": {"uses": "shell", "with": command, "output": ROWS}, "b": "a"})

    assert wait_for_end(run.id).status == "failed"
    assert row(run, "a").error_message == BREACH
