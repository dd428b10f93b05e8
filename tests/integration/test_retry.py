"""Failed attempts that are followed by another: what is kept, when the next one comes, and who may be in between."""

from dataclasses import replace
from datetime import timedelta

import pytest

from executors.base import TaskError, TaskResult
from tests.builders import start_run, statuses, wait_for_end
from tests.integration.calls import CALL, FAILED, call_of, execute
from tests.integration.schedules import HOLDER, held_open, hold, ref, row, take, task_of
from workflows.dispatch import advance, execution, finish, leases, retry, settle, time_limits, waits
from workflows.dispatch.finish import Outcome
from workflows.dispatch.retry import Retry
from workflows.models import TaskAttempt, TaskExecution
from workflows.runs import services as runs
from workflows.runs.statuses import TaskStatus

LONG_AGO = "2020-01-01T00:00:00Z"
SOON = Retry(after=timedelta(seconds=60), max_attempts=3, within=None)
FAILURE = Outcome(status=TaskStatus.FAILED, error_code="no_rows", error_message="No rows.", retry=SOON)


def failing(**rule):
    return {"uses": "noop", "with": {"fail": True}, "retry": {"delay": "60s", "jitter": False} | rule}


def attempts(run, key="a"):
    return [
        (each.attempt, each.status, each.error_code, each.error_message)
        for each in TaskAttempt.objects.filter(task_execution=row(run, key)).order_by("attempt")
    ]


def make_due(run):
    TaskExecution.objects.filter(run_id=run.id, status="waiting").update(wake_at=LONG_AGO)


def test_failed_attempt_is_kept_and_the_task_waits_for_the_next(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": "a"})
    claimed = take(connection, run, "a")

    finished = finish.finish(connection, claimed, FAILURE)

    waiting = row(run, "a")
    assert (finished.status, finished.finished_at) == (TaskStatus.WAITING, None)
    assert (waiting.status, waiting.reason, waiting.tries, waiting.attempt) == ("waiting", "retry_backoff", 1, 1)
    assert (waiting.error_code, waiting.error_message) == ("no_rows", "No rows.")
    assert timedelta(seconds=55) < waiting.wake_at - waiting.started_at < timedelta(seconds=75)
    assert attempts(run) == [(1, "failed", "no_rows", "No rows.")]


def test_last_attempt_fails_the_task(actor, connection, sent):
    run = start_run(actor, {"a": failing(max_attempts=2), "b": "a"})

    execute(run)
    assert statuses(run.id) == {"a": "waiting (retry_backoff)", "b": "pending"}
    make_due(run)
    assert retry.wake_due(connection) >= 1
    execute(run)

    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)"}
    assert (row(run, "a").tries, row(run, "a").attempt, len(attempts(run))) == (2, 2, 1)


@pytest.mark.parametrize("rule", [{"max_attempts": 1}, {"on": ["other"]}, {"not_on": ["noop_failed"]}])
def test_task_fails_at_once_when_its_rule_says_so(actor, sent, rule):
    run = start_run(actor, {"a": failing(**rule)})

    execute(run)

    assert statuses(run.id) == {"a": "failed"}
    assert attempts(run) == []


def test_error_that_cannot_be_helped_is_not_tried_again(actor, connection, sent):
    run = start_run(actor, {"a": failing(max_attempts=9)})
    version = advance.version_of_run(connection, run.id)

    assert retry.retry_after(version, "a", 0, TaskError(code="x", message="x")) is not None
    assert retry.retry_after(version, "a", 0, TaskError(code="x", message="x", is_retryable=False)) is None


def test_task_of_a_workflow_with_a_default_is_tried_again(actor, sent):
    run = start_run(actor, {"a": {"with": {"fail": True}}}, defaults={"retry": {"max_attempts": 2}})

    execute(run)

    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}


def test_no_attempt_begins_after_the_time_for_all_of_them(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")
    late = replace(FAILURE, retry=replace(SOON, within=timedelta(seconds=59)))

    assert finish.finish(connection, claimed, late).status is TaskStatus.FAILED
    assert statuses(run.id) == {"a": "failed"}


def test_time_for_all_attempts_is_counted_from_the_first(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    allowing = replace(FAILURE, retry=replace(SOON, within=timedelta(seconds=90)))
    finish.finish(connection, take(connection, run, "a"), allowing)
    make_due(run)
    retry.wake_due(connection)
    claimed = take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).update(first_started_at=LONG_AGO)

    assert finish.finish(connection, claimed, allowing).status is TaskStatus.FAILED


def test_attempt_lost_with_its_worker_does_not_count_as_a_try(actor, connection, sent, worker_row):
    run = start_run(actor, {"a": failing(max_attempts=2)})
    take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).update(claim_worker_id=run.id)
    leases.take_back_lost(connection)

    execute(run)

    assert (row(run, "a").status, row(run, "a").tries, row(run, "a").attempt) == ("waiting", 1, 2)
    assert [(number, status) for number, status, *_ in attempts(run)] == [(1, "lost"), (2, "failed")]


def test_repeat_of_a_failure_that_was_written_but_not_answered_changes_nothing(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")
    finish.finish(connection, claimed, FAILURE)
    before = row(run, "a")

    assert finish.finish(connection, claimed, FAILURE) is None
    assert (row(run, "a").tries, row(run, "a").wake_at, len(attempts(run))) == (1, before.wake_at, 1)


def test_failure_of_a_task_that_is_cancelled_meanwhile_is_the_cancellation(actor, connection, other, sent):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")

    with held_open(other, hold(run, 2)) as meanwhile:
        finishing = meanwhile(lambda: finish.finish(connection, claimed, FAILURE))

    assert finishing.result().status is TaskStatus.CANCELLED
    assert statuses(run.id) == {"a": "cancelled (stopped)"}
    assert attempts(run) == []


def test_task_that_waits_for_its_next_attempt_is_cancelled_at_once(actor, sent):
    run = start_run(actor, {"a": failing(), "b": "a"})
    execute(run)

    ended = runs.cancel_run(actor=actor, run_id=run.id)

    assert ended.status == "cancelled"
    assert statuses(run.id) == {"a": "cancelled", "b": "cancelled"}


def test_task_whose_next_attempt_was_due_is_cancelled_without_a_reason(actor, connection, sent):
    run = start_run(actor, {"a": failing()})
    execute(run)
    make_due(run)
    retry.wake_due(connection)

    runs.cancel_run(actor=actor, run_id=run.id)

    assert statuses(run.id) == {"a": "cancelled"}


def test_paused_task_is_not_woken(actor, connection, sent):
    run = start_run(actor, {"a": failing()})
    execute(run)
    make_due(run)
    TaskExecution.objects.filter(run_id=run.id).update(hold=1)

    retry.wake_due(connection)

    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}


def test_task_is_woken_once_when_two_beats_look(actor, connection, other, sent):
    run = start_run(actor, {"a": failing()})
    execute(run)
    make_due(run)
    sent.clear()
    locked = ("SELECT FROM task_executions WHERE run_id = %s FOR NO KEY UPDATE", (run.id,))

    with held_open(other, locked) as meanwhile:
        passing = meanwhile(lambda: retry.wake_due(connection))
        passing.result(10)
        assert sent == []
    retry.wake_due(connection)
    retry.wake_due(connection)

    assert sent == ["a"]


def test_task_that_is_not_due_sleeps_on(actor, connection, sent):
    run = start_run(actor, {"a": failing()})
    execute(run)
    sent.clear()

    retry.wake_due(connection)

    assert sent == []
    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}


def test_call_that_failed_is_made_again_under_another_id(actor, connection, sent, empty_queue):
    run = start_run(actor, {"a": CALL | {"retry": {"max_attempts": 2}}, "b": "a"})
    execute(run)

    assert settle.settle(connection, call_of(run), FAILED)
    assert statuses(run.id) == {"a": "waiting (retry_backoff)", "b": "pending"}
    make_due(run)
    retry.wake_due(connection)
    execute(run)
    assert statuses(run.id) == {"a": "waiting (celery)", "b": "pending"}
    assert settle.settle(connection, call_of(run), FAILED) is False
    assert settle.settle(connection, call_of(run, tries=1), FAILED)

    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)"}


def test_call_that_failed_while_it_is_found_lost_waits_for_its_next_attempt(actor, connection, sent, empty_queue):
    run = start_run(actor, {"a": CALL | {"retry": {"delay": "1h"}}})
    execute(run)
    found = {"task_id": row(run, "a").id, "generation": 0, "attempt": 1}
    settle.settle(connection, call_of(run), FAILED)

    assert not leases.take_back_call(connection, **found)

    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}
    assert row(run, "a").platform_failures == 0


def waiting_for_a_signal():
    return {"uses": "signal", "with": {"name": "go"}, "timeout": "1h"}


@pytest.mark.parametrize("most", [2, 9])
def test_end_of_a_wait_that_two_beats_find_overdue_is_one_failure(actor, connection, other, sent, most):
    run = start_run(actor, {"a": waiting_for_a_signal() | {"retry": {"max_attempts": most, "delay": "1h"}}})
    execute(run)
    TaskExecution.objects.filter(run_id=run.id).update(expires_at=LONG_AGO)

    with held_open(other) as meanwhile:
        time_limits.end_overdue(other)
        second = meanwhile(lambda: time_limits.end_overdue(connection))
    second.result(10)

    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}
    assert row(run, "a").tries == 1


def test_what_a_wait_comes_to_after_its_failure_is_tried_again_changes_nothing(actor, connection, sent):
    run = start_run(actor, {"a": waiting_for_a_signal() | {"retry": {"delay": "1h"}}, "b": "a"})
    execute(run)
    _, _, before = waits.find(connection, run.id, "a")
    TaskExecution.objects.filter(run_id=run.id).update(expires_at=LONG_AGO)
    time_limits.end_overdue(connection)

    assert not waits.end(connection, before, TaskResult(output="late"))

    assert statuses(run.id) == {"a": "waiting (retry_backoff)", "b": "pending"}


def test_end_of_a_canvas_is_looked_at_when_the_retried_task_ends(actor, connection, sent):
    run = start_run(actor, {"a": failing(max_attempts=2) | {"with": {}}, "b": "", "c": "a b"})
    finish.finish(connection, take(connection, run, "a"), FAILURE)
    execution.execute_task(task_of(run, "b"), HOLDER, canvas_ends=True)
    assert statuses(run.id) == {"a": "waiting (retry_backoff)", "b": "succeeded", "c": "pending"}
    make_due(run)
    retry.wake_due(connection)

    execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=True)

    assert statuses(run.id)["c"] == "queued"


def test_early_join_takes_an_attempt_that_is_tried_again_for_no_failure(actor, connection, sent):
    run = start_run(actor, {"a": failing(max_attempts=2), "b": "", "c": {"needs": ["a", "b"], "run_if": "any_failed"}})
    execute(run)
    advance.advance_from(connection, ref(run), advance.version_of_run(connection, run.id), ["a"])
    assert statuses(run.id) == {"a": "waiting (retry_backoff)", "b": "queued", "c": "pending"}
    make_due(run)
    retry.wake_due(connection)

    execute(run)

    assert statuses(run.id) == {"a": "failed", "b": "queued", "c": "queued"}


def test_task_of_a_run_that_was_cancelled_meanwhile_is_not_woken(actor, connection, sent):
    run = start_run(actor, {"a": failing()})
    execute(run)
    make_due(run)
    runs.cancel_run(actor=actor, run_id=run.id)
    sent.clear()

    retry.wake_due(connection)

    assert sent == []
    assert statuses(run.id) == {"a": "cancelled"}


def test_attempt_that_is_lost_after_a_failure_keeps_the_tries_before_it(actor, connection, sent):
    run = start_run(actor, {"a": failing(max_attempts=2)})
    execute(run)
    make_due(run)
    retry.wake_due(connection)
    take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).update(claim_worker_id=run.id)
    leases.take_back_lost(connection)
    assert (row(run, "a").status, row(run, "a").tries) == ("queued", 1)

    execute(run)

    assert (row(run, "a").status, row(run, "a").tries, row(run, "a").attempt) == ("failed", 2, 3)
    assert [(number, status) for number, status, *_ in attempts(run)] == [(1, "failed"), (2, "lost")]


def test_run_with_retries_goes_through_real_workers(actor, worker, beat):
    flaky = {"uses": "shell", "with": {"command": 'echo "try $MAESTRO_ATTEMPT"; test "$MAESTRO_ATTEMPT" -ge 3'}}
    quick = {"retry": {"max_attempts": 3, "delay": "100ms"}}
    run = start_run(
        actor,
        {
            "first": flaky | quick,
            "left": flaky | quick | {"needs": ["first"]},
            "right": {"uses": "noop", "with": {"fail": True}, "needs": ["first"]} | quick,
            "last": {"needs": ["left", "right"], "run_if": "all_done"},
        },
    )

    ended = wait_for_end(run.id)

    assert ended.status == "failed"
    assert statuses(run.id) == {"first": "succeeded", "left": "succeeded", "right": "failed", "last": "succeeded"}
    assert {key: row(run, key).attempt for key in ("first", "left", "right", "last")} == {
        "first": 3,
        "left": 3,
        "right": 3,
        "last": 1,
    }
    assert [(number, status) for number, status, *_ in attempts(run, "first")] == [(1, "failed"), (2, "failed")]
