"""What takes longer than it may: who ends it, how, and what follows."""

from collections import OrderedDict
from datetime import timedelta

import psutil
import pytest
from django.db.models import F
from django.db.models.functions import Now

from tests.builders import start_run, statuses, wait_for_end
from tests.integration.calls import CALL, execute, sent_calls
from tests.integration.schedules import SUCCEEDED, do, held_open, row, take
from tests.processes import command_of
from workflows.catalog import cache
from workflows.dispatch import finish, late_writes, time_limits
from workflows.models import TaskAttempt, TaskExecution, WorkflowRun, WorkflowVersion
from workflows.runs import services as runs

pytestmark = pytest.mark.alone

FUNCTIONS = "tests.integration.stubborn"
LONG_AGO = "2020-01-01T00:00:00Z"


def noop(**more):
    return {"uses": "noop", **more}


def sleeping(seconds, **more):
    return {"uses": "noop", "with": {"duration": seconds}, **more}


def calling(function, **more):
    return {"uses": "python", "with": {"function": f"{FUNCTIONS}.{function}"}, **more}


def make_overdue(run, key="a", **columns):
    TaskExecution.objects.filter(run_id=run.id, task_key=key).update(expires_at=LONG_AGO, **columns)


def test_claim_says_how_long_the_attempt_may_take(actor, connection, sent):
    run = start_run(actor, {"a": noop(timeout="20m"), "b": noop(timeout={"attempt": "1h", "total": "5m"}), "c": ""})

    assert 1100 < take(connection, run, "a").seconds_left <= 1200
    assert 200 < take(connection, run, "b").seconds_left <= 300
    assert take(connection, run, "c").seconds_left is None


def test_time_for_all_attempts_is_what_the_first_left_of_it(actor, connection, sent):
    run = start_run(actor, {"a": noop(timeout={"total": "60m"})})
    TaskExecution.objects.filter(run_id=run.id).update(first_started_at=Now() - timedelta(minutes=50))

    assert 500 < take(connection, run, "a").seconds_left <= 600


def test_attempt_is_told_to_stop_and_has_timed_out(actor, sent):
    run = start_run(actor, {"a": sleeping(30, timeout="300ms"), "b": "a"})

    execute(run)

    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)"}
    assert row(run, "a").error_code == "timed_out"
    assert row(run, "a").error_message == "The attempt took longer than the 0.3 s it may take."


def test_attempt_that_timed_out_is_tried_again(actor, sent):
    run = start_run(actor, {"a": sleeping(30, timeout="200ms", retry={"max_attempts": 2, "on": ["timed_out"]})})

    execute(run)

    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}
    assert row(run, "a").expires_at is None


def test_no_attempt_begins_after_the_time_for_the_whole_task(actor, sent):
    failing = {"uses": "noop", "with": {"fail": True}, "retry": {"delay": "60s", "jitter": False}}
    run = start_run(actor, {"a": failing | {"timeout": {"total": "50s"}}})

    execute(run)

    assert statuses(run.id) == {"a": "failed"}
    assert row(run, "a").error_code == "noop_failed"


def test_attempt_whose_worker_does_not_end_it_is_ended_by_the_tick(actor, connection, sent):
    run = start_run(actor, {"a": noop(timeout="10s"), "b": "a"})
    claimed = take(connection, run, "a")
    time_limits.end_overdue(connection)
    assert statuses(run.id)["a"] == "running"
    make_overdue(run)

    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)"}
    assert finish.finish(connection, claimed, SUCCEEDED) is None


def test_attempt_that_ends_meanwhile_is_not_ended_by_the_tick(actor, connection, other, sent):
    run = start_run(actor, {"a": noop(timeout="10s")})
    claimed = take(connection, run, "a")
    make_overdue(run)
    done = "UPDATE task_executions SET status = 'succeeded', finished_at = clock_timestamp() WHERE claim_token = %s"

    with held_open(other, (done, (claimed.claim_token,))) as meanwhile:
        ending = meanwhile(lambda: time_limits.end_overdue(connection))

    ending.result(10)
    assert statuses(run.id) == {"a": "succeeded"}


def test_process_of_an_attempt_that_ends_meanwhile_is_not_to_be_killed(actor, connection, other, sent):
    run = start_run(actor, {"a": noop(timeout="10s")})
    claimed = take(connection, run, "a")
    worker_id = claimed.run_id  # any
    make_overdue(run, claim_worker_id=worker_id, claim_message="m")
    done = "UPDATE task_executions SET status = 'succeeded', finished_at = clock_timestamp() WHERE claim_token = %s"

    with held_open(other, (done, (claimed.claim_token,))) as meanwhile:
        ending = meanwhile(lambda: time_limits.end_overdue_of_worker(connection, worker_id))

    assert ending.result(10) == []


def test_call_that_takes_too_long_is_given_up_and_revoked(actor, connection, broker, sent, empty_queue):
    run = start_run(actor, {"a": CALL | {"timeout": "10s"}, "b": "a"})
    execute(run)
    assert len(sent_calls(broker)) == 1
    make_overdue(run)

    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)"}
    assert row(run, "a").error_code == "timed_out"


def test_call_that_takes_too_long_is_given_up_during_a_pause_too(actor, connection, broker, sent, empty_queue):
    """It runs on in a worker of somebody else's, as what runs here does."""
    run = start_run(actor, {"a": CALL | {"timeout": "10s"}})
    execute(run)
    make_overdue(run, hold=1)

    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "failed"}


@pytest.mark.parametrize("key", ["a", "b"], ids=["sent", "inside a canvas"])
def test_task_that_no_worker_begins_in_time_fails(actor, connection, sent, key):
    limited = noop(timeout={"queue": "10s"})
    run = start_run(actor, {"a": limited, "b": limited | {"needs": ["a"]}, "c": "b"})
    if key == "b":
        do(connection, run, "a")
    time_limits.end_overdue(connection)
    assert "failed" not in statuses(run.id).values()
    TaskExecution.objects.filter(run_id=run.id).update(created_at=LONG_AGO, queued_at=Now())
    TaskExecution.objects.filter(run_id=run.id, finished_at__isnull=False).update(finished_at=LONG_AGO)

    time_limits.end_overdue(connection)

    assert statuses(run.id)[key] == "failed (timed_out)"
    assert row(run, key).error_code == "queue_timeout"
    assert row(run, key).error_message == "No worker began the task within the 10 s that it may wait for one."
    assert statuses(run.id)["c"] == "skipped (upstream_failed)"


def test_task_whose_needs_have_not_ended_does_not_wait_for_a_worker(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": noop(needs=["a"], timeout={"queue": "10s"})})
    TaskExecution.objects.filter(run_id=run.id).update(created_at=LONG_AGO)

    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "queued", "b": "pending"}


def test_task_that_is_claimed_meanwhile_has_not_waited_too_long(actor, connection, other, sent):
    run = start_run(actor, {"a": noop(timeout={"queue": "10s"})})
    TaskExecution.objects.filter(run_id=run.id).update(created_at=LONG_AGO)
    claim = (
        "UPDATE task_executions SET status = 'running', first_started_at = clock_timestamp() WHERE run_id = %s",
        (run.id,),
    )

    with held_open(other, claim) as meanwhile:
        ending = meanwhile(lambda: time_limits.end_overdue(connection))

    ending.result(10)
    assert statuses(run.id) == {"a": "running"}


@pytest.mark.parametrize(
    "change",
    ["hold = 1", "hold = 2", "generation = generation + 1", "first_started_at = clock_timestamp()"],
    ids=["paused", "cancelled", "run again", "begun and taken back"],
)
def test_task_that_is_changed_while_it_is_found_to_have_waited_too_long_is_left_alone(
    actor, connection, other, sent, change
):
    run = start_run(actor, {"a": noop(timeout={"queue": "10s"})})
    TaskExecution.objects.filter(run_id=run.id).update(created_at=LONG_AGO)

    with held_open(other, (f"UPDATE task_executions SET {change} WHERE run_id = %s", (run.id,))) as meanwhile:
        ending = meanwhile(lambda: time_limits.end_overdue(connection))

    ending.result(10)
    assert statuses(run.id) == {"a": "queued"}


def test_task_that_waits_beyond_its_whole_time_fails(actor, connection, sent):
    failing = {"uses": "noop", "with": {"fail": True}, "retry": {"delay": "1s"}, "timeout": {"total": "50s"}}
    run = start_run(actor, {"a": failing})
    execute(run)
    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}
    TaskExecution.objects.filter(run_id=run.id).update(first_started_at=LONG_AGO)

    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "failed (timed_out)"}
    assert WorkflowRun.objects.get(id=run.id).status == "failed"


def test_paused_task_whose_whole_time_is_over_is_ended_after_the_pause(actor, connection, sent):
    failing = {"uses": "noop", "with": {"fail": True}, "retry": {"delay": "1h"}, "timeout": {"total": "2h"}}
    run = start_run(actor, {"a": failing})
    execute(run)
    TaskExecution.objects.filter(run_id=run.id).update(first_started_at=LONG_AGO, hold=1)

    time_limits.end_overdue(connection)
    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}
    TaskExecution.objects.filter(run_id=run.id).update(hold=0)
    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "failed (timed_out)"}


@pytest.mark.parametrize("hold_value", [1, 2], ids=["paused", "cancelled"])
def test_paused_or_cancelled_task_is_not_ended_for_waiting(actor, connection, sent, hold_value):
    run = start_run(actor, {"a": noop(timeout={"queue": "10s"}), "b": ""})
    TaskExecution.objects.filter(run_id=run.id).update(created_at=LONG_AGO, hold=hold_value)

    time_limits.end_overdue(connection)

    assert statuses(run.id)["a"] == "queued"


def test_run_that_takes_too_long_has_failed_when_what_runs_has_stopped(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": "", "c": "a b"}, timeout="30s")
    claimed = take(connection, run, "a")
    assert (
        timedelta(seconds=29) < WorkflowRun.objects.get(id=run.id).expires_at - run.started_at <= timedelta(seconds=31)
    )
    time_limits.end_overdue(connection)
    assert statuses(run.id) == {"a": "running", "b": "queued", "c": "pending"}
    WorkflowRun.objects.filter(id=run.id).update(expires_at=LONG_AGO)

    time_limits.end_overdue(connection)
    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "running", "b": "cancelled", "c": "cancelled"}
    finish.finish(connection, claimed, finish.Outcome(status=finish.TaskStatus.CANCELLED))
    runs.cancel_run(actor=actor, run_id=run.id)
    ended = WorkflowRun.objects.get(id=run.id)
    assert (ended.status, ended.reason) == ("failed", "timed_out")
    assert ended.error_message.startswith("The run took longer than the ")


def test_run_whose_time_is_over_does_not_wait_for_an_attempt_that_does_not_stop(actor, connection, sent):
    run = start_run(actor, {"a": ""}, timeout="30s")
    take(connection, run, "a")
    WorkflowRun.objects.filter(id=run.id).update(expires_at=LONG_AGO)
    time_limits.end_overdue(connection)
    assert statuses(run.id) == {"a": "running"}
    grace_is_over = F("expires_at") - timedelta(seconds=20)
    TaskExecution.objects.filter(run_id=run.id).update(expires_at=grace_is_over)

    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)"}
    ended = WorkflowRun.objects.get(id=run.id)
    assert (ended.status, ended.reason) == ("failed", "timed_out")


def test_version_that_was_planned_before_there_were_limits_still_starts(actor, connection, sent, monkeypatch):
    version = start_run(actor, {"a": "", "b": "a"}).workflow_version
    plan = version.plan | {"tasks": [planned[:5] for planned in version.plan["tasks"]]}
    WorkflowVersion.objects.filter(id=version.id).update(plan=plan, plan_version=1)
    monkeypatch.setattr(cache, "_versions", OrderedDict())

    run = runs.start_run(actor=actor, reference=str(version.workflow_id), inputs={})
    do(connection, run, "a")

    assert statuses(run.id)["a"] == "succeeded"


def test_code_gets_an_exception_and_one_that_ignores_it_is_killed(actor, worker, beat, tmp_path):
    strict = {"timeout": {"attempt": "500ms", "grace": "1s"}}
    run = start_run(
        actor,
        {
            "cleans_up": calling("clean_up", **strict),
            "stubborn": calling("go_on", **strict),
            "shell": {
                "uses": "shell",
                "with": {"command": f"trap '' TERM; sleep 60; : {tmp_path}"},
                **strict,
            },
            "after": {"needs": ["cleans_up", "stubborn", "shell"], "run_if": "all_done"},
        },
    )

    ended = wait_for_end(run.id)

    assert ended.status == "failed"
    assert statuses(run.id) == {"cleans_up": "failed", "stubborn": "failed", "shell": "failed", "after": "succeeded"}
    assert {row(run, key).error_code for key in ("cleans_up", "stubborn", "shell")} == {"timed_out"}
    assert row(run, "stubborn").platform_failures == 0
    assert not TaskAttempt.objects.filter(task_execution__run=run).exists()
    assert row(run, "stubborn").finished_at - row(run, "stubborn").started_at < timedelta(seconds=45)
    assert not [each for each in psutil.process_iter() if str(tmp_path) in " ".join(command_of(each))]


def test_result_of_an_attempt_that_was_ended_and_is_tried_again_is_late(actor, connection, sent):
    run = start_run(actor, {"a": noop(timeout="10s", retry={"max_attempts": 2, "delay": "0s"})})
    claimed = take(connection, run, "a")
    make_overdue(run)
    time_limits.end_overdue(connection)
    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}

    assert finish.finish(connection, claimed, SUCCEEDED) is None
    assert late_writes.note_if_late(connection, claimed, SUCCEEDED, may_be_written=False)

    attempts = TaskAttempt.objects.filter(task_execution__run=run)
    assert [(each.status, each.error_code, each.late_status) for each in attempts] == [
        ("failed", "timed_out", "succeeded")
    ]
