"""Tasks that sleep: when they go on, and that nothing keeps a worker busy meanwhile."""

from datetime import timedelta

import pytest

from executors.base import TaskResult
from tests.builders import start_run, statuses, wait_for_end
from tests.integration.calls import execute
from tests.integration.schedules import SUCCEEDED, connect, held_open, hold, row, take
from workflows.dispatch import finish, time_limits, waits
from workflows.dispatch.finish import Outcome
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs
from workflows.runs.statuses import Reason, TaskStatus

LONG_AGO = "2020-01-01T00:00:00Z"


def sleeping(more=None, **options):
    return {"uses": "sleep", "with": options, **(more or {})}


def make_due(run, **columns):
    TaskExecution.objects.filter(run_id=run.id, status="waiting").update(wake_at=LONG_AGO, **columns)


def test_task_that_sleeps_waits_and_its_worker_is_free(actor, sent):
    run = start_run(actor, {"a": sleeping(duration="2d"), "b": "a"})

    execute(run)

    assert statuses(run.id) == {"a": "waiting (sleep)", "b": "pending"}
    assert timedelta(days=2) <= row(run, "a").wake_at - row(run, "a").started_at < timedelta(days=2, hours=1)
    assert WorkflowRun.objects.get(id=run.id).status == "running"


def test_pause_that_comes_while_the_time_of_a_wait_is_judged_keeps_it(actor, connection, sent):
    run = start_run(actor, {"a": sleeping({"timeout": "1h"}, duration="2d")})
    execute(run)
    TaskExecution.objects.filter(run_id=run.id).update(started_at=LONG_AGO, expires_at=LONG_AGO)

    with connect() as other, held_open(connection, hold(run, 1)) as meanwhile:
        meanwhile(lambda: time_limits.end_overdue(other))

    assert statuses(run.id) == {"a": "waiting (sleep)"}


def test_task_that_sleeps_until_a_time_waits_for_it(actor, sent):
    run = start_run(actor, {"a": sleeping(until="2099-01-31T09:00:00+01:00")})

    execute(run)

    assert row(run, "a").wake_at.isoformat() == "2099-01-31T08:00:00+00:00"


def test_sleep_ends_when_its_time_has_come(actor, connection, sent):
    run = start_run(actor, {"a": sleeping(duration="2d"), "b": "a"})
    execute(run)

    waits.end_due(connection)
    assert statuses(run.id)["a"] == "waiting (sleep)"
    make_due(run)
    assert waits.end_due(connection) >= 1

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
    assert (row(run, "a").output, row(run, "a").wake_at, sent[-1]) == (None, None, "b")


def test_end_of_a_wait_that_was_written_but_not_answered_still_queues_what_follows(actor, connection, sent):
    run = start_run(actor, {"a": sleeping(duration="2d"), "b": "a"})
    execute(run)
    _, _, judged = waits.find(connection, run.id, "a")
    assert finish.end_wait(connection, judged.id, judged.claim_token, SUCCEEDED) is not None

    assert waits.end(connection, judged, TaskResult()) is False

    assert (statuses(run.id)["b"], sent[-1]) == ("queued", "b")


def test_paused_waits_keep_no_other_from_its_end(actor, connection, sent, monkeypatch):
    monkeypatch.setattr(waits, "MAX_PER_LOOK", 1)
    paused, run = (start_run(actor, {"a": sleeping(until="1999-01-01T00:00:00Z")}) for _ in range(2))
    execute(paused)
    TaskExecution.objects.filter(run_id=paused.id).update(wake_at="1998-01-01T00:00:00Z", hold=1)
    execute(run)

    waits.end_due(connection)

    assert (statuses(paused.id), statuses(run.id)) == ({"a": "waiting (sleep)"}, {"a": "succeeded"})


def test_paused_waits_keep_no_other_from_its_time_limit(actor, connection, sent, monkeypatch):
    monkeypatch.setattr(time_limits, "MAX_PER_LOOK", 1)
    paused, run = (start_run(actor, {"a": sleeping({"timeout": "1h"}, duration="2d")}) for _ in range(2))
    for each, ended, value in ((paused, "1998-01-01T00:00:00Z", 1), (run, "1999-01-01T00:00:00Z", 0)):
        execute(each)
        TaskExecution.objects.filter(run_id=each.id).update(started_at=ended, expires_at=ended, hold=value)

    time_limits.end_overdue(connection)

    assert (statuses(paused.id), statuses(run.id)) == ({"a": "waiting (sleep)"}, {"a": "failed"})


def test_run_ends_with_a_sleep_that_is_its_last_task(actor, connection, sent):
    run = start_run(actor, {"a": sleeping(until="2020-01-01T00:00:00Z")})
    execute(run)

    waits.end_due(connection)

    assert WorkflowRun.objects.get(id=run.id).status == "succeeded"


def test_cancel_ends_a_sleep_at_once(actor, connection, sent):
    run = start_run(actor, {"a": sleeping(duration="2d"), "b": "a"})
    execute(run)

    runs.cancel_run(actor=actor, run_id=run.id)

    assert statuses(run.id) == {"a": "cancelled", "b": "cancelled"}
    make_due(run)
    waits.end_due(connection)
    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"


def test_attempt_that_would_wait_is_over_when_somebody_has_cancelled_it(actor, connection, sent):
    run = start_run(actor, {"a": sleeping(duration="2d")})
    claimed = take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).update(hold=2)

    outcome = Outcome(status=TaskStatus.WAITING, reason=Reason.SLEEP, wake_after=timedelta(days=2))
    finished = finish.finish(connection, claimed, outcome)

    assert finished.status is TaskStatus.CANCELLED
    assert finished.finished_at is not None
    assert (statuses(run.id), row(run, "a").wake_at) == ({"a": "cancelled"}, None)


def test_sleep_that_is_paused_ends_after_the_pause(actor, connection, sent):
    run = start_run(actor, {"a": sleeping(duration="2d"), "b": "a"})
    execute(run)
    make_due(run, hold=1)

    waits.end_due(connection)
    assert statuses(run.id)["a"] == "waiting (sleep)"

    TaskExecution.objects.filter(run_id=run.id).update(hold=0)
    waits.end_due(connection)
    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}


def test_wait_that_is_paused_while_its_end_is_written_goes_on(actor, connection, sent):
    run = start_run(actor, {"a": sleeping(duration="2d"), "b": "a"})
    execute(run)
    make_due(run)

    with connect() as other, held_open(connection, hold(run, 1)) as meanwhile:
        looked = meanwhile(lambda: waits.end_due(other))

    looked.result()
    assert statuses(run.id) == {"a": "waiting (sleep)", "b": "pending"}


def test_end_of_an_earlier_wait_does_not_end_a_later_one(actor, connection, sent):
    run = start_run(actor, {"a": sleeping(duration="2d")})
    execute(run)
    _, _, earlier = waits.find(connection, run.id, "a")
    TaskExecution.objects.filter(run_id=run.id).update(status="queued")
    execute(run)

    assert waits.end(connection, earlier, TaskResult()) is False
    assert statuses(run.id) == {"a": "waiting (sleep)"}


def test_sleep_is_limited_in_time_like_any_attempt(actor, connection, sent):
    run = start_run(actor, {"a": sleeping({"timeout": "10s"}, duration="2d"), "b": "a"})
    execute(run)
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(expires_at=LONG_AGO)

    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)"}
    assert row(run, "a").error_code == "timed_out"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"duration": "1s", "until": "2099-01-01T00:00:00Z"}, "with: needs either `duration` or `until`"),
        ({"until": "2099-01-01T00:00:00"}, "with.until: must be a date and time with its zone"),
        ({"until": "9999-12-31T23:00:00-01:00"}, "with.until: must be a date and time with its zone"),
        ({"duration": "400d"}, "with.duration: Input should be less than or equal to 31622400"),
    ],
)
def test_options_that_only_a_run_can_judge_fail_the_task(actor, sent, options, message):
    hidden = {name: "${{ inputs." + name + " }}" for name in options}
    inputs = {name: {"type": "string"} for name in options}
    run = start_run(actor, {"a": sleeping(**hidden)}, inputs=inputs, given=options)

    execute(run)

    assert (row(run, "a").status, row(run, "a").error_code) == ("failed", "invalid_options")
    assert message in row(run, "a").error_message


def test_run_with_a_sleep_ends_on_real_workers(actor, worker, beat):
    run = start_run(actor, {"a": sleeping(duration="1s"), "b": "a", "c": sleeping(duration=0), "d": "b c"})

    ended = wait_for_end(run.id)

    assert ended.status == "succeeded"
    assert row(run, "a").finished_at - row(run, "a").started_at >= timedelta(seconds=1)
