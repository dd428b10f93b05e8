"""Tasks that end their run: how it ends, what becomes of the other tasks, and who else may end it meanwhile."""

import psycopg
import pytest

from executors.base import RunStop
from tests.builders import start_run, statuses, wait_for_end
from tests.integration.calls import CALL, execute
from tests.integration.schedules import FAILED, HOLDER, SUCCEEDED, do, follow, held_open, hold, row, take, task_of
from workflows.dispatch import cancellation, execution, finish, recovery, time_limits
from workflows.dispatch.finish import Outcome
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs
from workflows.runs.statuses import Reason, TaskStatus

LONG_AGO = "2020-01-01T00:00:00Z"


def stopping(needs="", **options):
    return {"uses": "stop", "needs": needs.split(), "with": options}


def ended(run):
    run = WorkflowRun.objects.get(id=run.id)
    return run.status, run.reason, run.error_message, run.outputs


def stop(connection, claimed, **given):
    asked = RunStop(**({"succeeds": True} | given))
    return cancellation.finish_and_stop(connection, claimed, Outcome(status=TaskStatus.SUCCEEDED), asked)


def test_stop_ends_the_run_and_what_has_not_begun_never_will(actor, sent):
    run = start_run(
        actor,
        {"a": stopping(message="Nothing to do.", outputs={"rows": 0}), "b": "a", "c": ""},
        outputs={"rows": "${{ tasks.b.output }}"},
    )

    execute(run)

    assert statuses(run.id) == {"a": "succeeded", "b": "cancelled", "c": "cancelled"}
    assert ended(run) == ("succeeded", "stopped", "Nothing to do.", {"rows": 0})


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({}, ("succeeded", "stopped", "", {})),
        ({"status": "failed"}, ("failed", "stopped", "Task a stopped the run.", None)),
        ({"status": "failed", "message": "No."}, ("failed", "stopped", "No.", None)),
        ({"status": "${{ 1 > 2 ? 'succeeded' : 'failed' }}", "message": "No."}, ("failed", "stopped", "No.", None)),
    ],
)
def test_run_ends_as_told(actor, sent, options, end):
    run = start_run(actor, {"a": stopping(**options)})

    execute(run)

    assert ended(run) == end


def test_options_that_turn_out_wrong_fail_the_task_and_stop_nothing(actor, sent):
    run = start_run(actor, {"a": stopping(status="${{ 'faild' }}"), "b": ""})

    execute(run)

    assert statuses(run.id) == {"a": "failed", "b": "queued"}
    assert WorkflowRun.objects.get(id=run.id).hold == 0


def test_message_shows_no_secret(actor, sent):
    run = start_run(
        actor,
        {"a": stopping(message="Key ${{ inputs.key }} is no good.")},
        inputs={"key": {"type": "string", "writeOnly": True}},
        given={"key": "hunter22"},
    )

    execute(run)

    assert ended(run)[2] == "Key •••••• is no good."


def test_run_ends_when_what_runs_has_stopped_however_that_ends(actor, connection, sent):
    run = start_run(actor, {"a": stopping(), "b": "", "c": ""})
    running = [take(connection, run, key) for key in ("b", "c")]

    execute(run)

    assert statuses(run.id) == {"a": "succeeded", "b": "running", "c": "running"}
    assert ended(run) == ("running", "stopped", "", {})
    for claimed, outcome in zip(running, (FAILED, SUCCEEDED), strict=True):
        finish.finish(connection, claimed, outcome)
        follow(connection, run, claimed.task_key)
    assert statuses(run.id) == {"a": "succeeded", "b": "cancelled (stopped)", "c": "succeeded"}
    assert ended(run) == ("succeeded", "stopped", "", {})


def test_stop_overrules_a_task_that_failed_before(actor, connection, sent):
    run = start_run(actor, {"a": stopping(), "b": ""})
    do(connection, run, "b", FAILED)

    execute(run)

    assert ended(run) == ("succeeded", "stopped", "", {})


def test_stop_ends_a_paused_run(actor, connection, sent):
    run = start_run(actor, {"a": stopping(), "b": ""})
    claimed = take(connection, run, "a")
    connection.execute(*hold(run, 1))
    WorkflowRun.objects.filter(id=run.id).update(hold=1)

    stop(connection, claimed)
    follow(connection, run, "a")

    assert statuses(run.id) == {"a": "succeeded", "b": "cancelled"}
    assert ended(run)[:2] == ("succeeded", "stopped")


def test_first_of_two_stops_decides(actor, connection, other, sent):
    run = start_run(actor, {"a": stopping(), "b": stopping()})
    first, second = take(connection, run, "a"), take(connection, run, "b")

    with held_open(other, ("SELECT FROM workflow_runs WHERE id = %s FOR NO KEY UPDATE", (run.id,))) as meanwhile:
        waiting = meanwhile(lambda: stop(connection, second, succeeds=False, message="second"))
        stop(other, first, message="first")

    assert waiting.result().status is TaskStatus.SUCCEEDED
    follow(connection, run, "b")
    assert statuses(run.id) == {"a": "succeeded", "b": "succeeded"}
    assert ended(run) == ("succeeded", "stopped", "first", {})


def test_stop_locks_the_run_before_its_task_as_a_cancel_does(actor, connection, other, sent):
    run = start_run(actor, {"a": stopping(), "b": ""})
    claimed = take(connection, run, "a")

    with held_open(other, ("SELECT FROM workflow_runs WHERE id = %s FOR NO KEY UPDATE", (run.id,))) as meanwhile:
        waiting = meanwhile(lambda: stop(connection, claimed))
        # Refused at once if the stop had the row.
        other.execute("SELECT FROM task_executions WHERE run_id = %s FOR NO KEY UPDATE NOWAIT", (run.id,))

    assert waiting.result().status is TaskStatus.SUCCEEDED


def test_cancel_that_came_first_decides(actor, connection, other, sent):
    run = start_run(actor, {"a": stopping(), "b": ""})
    claimed = take(connection, run, "a")
    cancelled = ("UPDATE workflow_runs SET hold = 2, reason = 'cancelling' WHERE id = %s", (run.id,))

    with held_open(other, cancelled, hold(run, 2)) as meanwhile:
        stopping_ = meanwhile(lambda: stop(connection, claimed))

    assert stopping_.result().status is TaskStatus.SUCCEEDED
    runs.cancel_run(actor=actor, run_id=run.id)
    assert ended(run)[:2] == ("cancelled", "")


def test_cancel_of_a_run_that_is_being_stopped_changes_nothing(actor, connection, sent):
    run = start_run(actor, {"a": stopping(), "b": ""})
    claimed = take(connection, run, "b")
    execute(run)

    runs.cancel_run(actor=actor, run_id=run.id)
    WorkflowRun.objects.filter(id=run.id).update(expires_at=LONG_AGO)
    time_limits.end_overdue(connection)
    finish.finish(connection, claimed, FAILED)
    follow(connection, run, "b")

    assert ended(run) == ("succeeded", "stopped", "", {})


def test_worker_that_dies_at_its_commit_has_stopped_the_run_or_not_ended_its_task(actor, connection, sent, monkeypatch):
    run = start_run(actor, {"a": stopping(), "b": ""})
    claimed = take(connection, run, "a")

    def die(*_):
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(cancellation, "_stop_tasks", die)
    with pytest.raises(psycopg.OperationalError):
        stop(connection, claimed)

    assert statuses(run.id) == {"a": "running", "b": "queued"}
    assert WorkflowRun.objects.get(id=run.id).hold == 0


def test_recovery_ends_a_stopped_run_whose_worker_died_before_it_looked(actor, connection, sent):
    run = start_run(actor, {"a": stopping(), "b": ""})
    stop(connection, take(connection, run, "a"), message="Enough.")
    WorkflowRun.objects.filter(id=run.id).update(started_at=LONG_AGO)

    recovery.recover_ended(connection)

    assert ended(run) == ("succeeded", "stopped", "Enough.", {})


def test_stop_by_an_attempt_that_was_taken_back_stops_nothing(actor, connection, sent):
    run = start_run(actor, {"a": stopping(), "b": ""})
    claimed = take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(claim_token=run.id)

    assert stop(connection, claimed) is None
    assert WorkflowRun.objects.get(id=run.id).hold == 0


def test_calls_nobody_waits_for_any_more_are_revoked(actor, connection, sent, monkeypatch):
    run = start_run(actor, {"a": stopping(), "b": CALL})
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(status="waiting", reason=Reason.CELERY)
    revoked = []
    monkeypatch.setattr("workflows.dispatch.celery_calls.revoke", revoked.extend)

    execute(run)

    assert [call.task.task_key for call in revoked] == ["b"]


def test_message_of_a_task_behind_the_stop_is_not_claimed(actor, sent):
    run = start_run(actor, {"a": stopping(), "b": "a"})
    execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=False)

    execution.execute_task(task_of(run, "b"), HOLDER, canvas_ends=True)

    assert statuses(run.id) == {"a": "succeeded", "b": "cancelled"}
    assert row(run, "b").attempt == 0


def test_real_workers_stop_a_run_in_the_midst_of_a_fork(actor, worker):
    slow = {"uses": "noop", "with": {"duration": "60s"}}
    run = start_run(actor, {"a": "", "b": {"needs": ["a"]} | slow, "c": stopping("a"), "d": "b c"})

    finished = wait_for_end(run.id)

    assert (finished.status, finished.reason) == ("succeeded", "stopped")
    assert statuses(run.id)["d"] == "cancelled"
