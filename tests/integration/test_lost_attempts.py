"""What becomes of a task whose attempts are lost: run again, failed, or quarantined."""

import dataclasses
import datetime
from uuid import uuid4

import psycopg
import pytest

from executors.base import CANCELLED, TaskResult
from executors.pools import lease
from tests.builders import start_run, statuses
from tests.integration import schedules
from tests.integration.schedules import FAILED, HOLDER, held_open, rerun, row, task_of
from workflows.dispatch import claim, execution, finish, late_writes, leases, settle
from workflows.dispatch.finish import Outcome
from workflows.dispatch.messages import CallRef, Holder
from workflows.dispatch.retry import Retry
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs
from workflows.runs.counters import read_counters
from workflows.runs.statuses import Reason, TaskStatus

pytestmark = pytest.mark.usefixtures("sent")

ONCE = {"on_worker_lost": "fail"}


def take(connection, run, key="a", *, worker_id=None, generation=0):
    """Claim a task for a worker nobody knows, or the one that is given."""
    holder = Holder(worker="gone", worker_id=worker_id or uuid4())
    claimed = claim.claim(connection, task_of(run, key, generation), holder, uuid4())
    assert claimed is not None
    return claimed


def lose(connection, run, key="a", **more):
    """Let a task's worker die while it runs the task."""
    claimed = take(connection, run, key, **more)
    leases.take_back_lost(connection)
    return claimed


def test_task_whose_worker_is_lost_again_and_again_is_quarantined_and_says_why(actor, connection):
    run = start_run(actor, {"a": "", "b": "a"})

    for _ in range(3):
        assert statuses(run.id)["a"].startswith("queued")
        lose(connection, run)

    ended = WorkflowRun.objects.get(id=run.id)
    assert statuses(run.id) == {"a": "failed (quarantined)", "b": "skipped (upstream_failed)"}
    assert row(run, "a").error_code == "worker_lost"
    assert ended.error_message == (
        "Task a failed: The worker was lost while it ran this task, which has lost 3 attempts now and is quarantined: "
        "it is not tried again. Find out what ends it, its use of memory for example, before you run it again; the "
        "count starts anew then."
    )
    assert [attempt.error_code for attempt in row(run, "a").attempts.all()] == ["worker_lost"] * 3


@pytest.mark.parametrize(("most", "words"), [(1, "has lost 1 attempt now"), (2, "has lost 2 attempts now")])
def test_operator_says_how_many_attempts_may_be_lost(actor, connection, settings, most, words):
    settings.MAESTRO_MAX_LOST_ATTEMPTS = most
    run = start_run(actor, {"a": ""})

    for _ in range(most):
        lose(connection, run)

    assert statuses(run.id) == {"a": "failed (quarantined)"}
    assert words in row(run, "a").error_message


def test_only_its_own_losses_quarantine_a_task(actor, connection):
    run = start_run(actor, {"a": "", "b": ""})
    for _ in range(2):
        lose(connection, run, "a")

    lose(connection, run, "b")

    assert statuses(run.id) == {"a": "queued (worker_lost)", "b": "queued (worker_lost)"}


def test_failures_of_the_users_code_are_not_counted_as_losses(actor, connection):
    run = start_run(actor, {"a": ""})
    for _ in range(2):
        lose(connection, run)

    assert (row(run, "a").platform_failures, row(run, "a").tries) == (2, 0)


@pytest.mark.parametrize("given", [{"task": ONCE}, {"defaults": ONCE}], ids=["task", "defaults"])
def test_task_that_must_not_run_twice_fails_at_its_first_loss(actor, connection, given):
    run = start_run(actor, {"a": given.get("task", {}), "b": "a"}, defaults=given.get("defaults", {}))

    lose(connection, run)

    assert statuses(run.id) == {"a": "failed (worker_lost)", "b": "skipped (upstream_failed)"}
    assert row(run, "a").error_message == (
        'The worker was lost while it ran this task, which is not run again: its on_worker_lost is "fail".'
    )


def test_stop_of_a_worker_is_no_loss_for_a_task_that_must_not_run_twice(actor, connection, worker_row):
    run = start_run(actor, {"a": ONCE})
    take(connection, run, worker_id=worker_row)

    lease.end_lease(connection, worker_id=worker_row)
    leases.take_back_lost(connection)

    assert statuses(run.id) == {"a": "queued (worker_stopped)"}
    assert row(run, "a").platform_failures == 0


@pytest.mark.parametrize("task", [{}, ONCE], ids=["retry", "fail"])
def test_cancel_comes_before_what_a_loss_asks_for(actor, connection, settings, task):
    settings.MAESTRO_MAX_LOST_ATTEMPTS = 1
    run = start_run(actor, {"a": task})
    take(connection, run)
    runs.cancel_run(actor=actor, run_id=run.id)

    leases.take_back_lost(connection)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)"}


def test_task_may_be_run_again_though_others_of_its_workflow_must_not(actor, connection):
    run = start_run(actor, {"a": {"on_worker_lost": "retry"}}, defaults=ONCE)

    lose(connection, run)

    assert statuses(run.id) == {"a": "queued (worker_lost)"}


LATE = Outcome(status=TaskStatus.SUCCEEDED, output="late")
STOPPED = Outcome(status=TaskStatus.FAILED, error_code=CANCELLED.code, error_message=CANCELLED.message)


@pytest.fixture
def counted(connection):
    """How much the counters have grown since the test began."""
    leases.take_back_lost(connection)  # what other tests have left
    before = read_counters()
    return lambda: {name: value - before[name] for name, value in read_counters().items()}


@pytest.fixture
def end(monkeypatch):
    """Ends an attempt as the worker does, with an outcome that is given."""

    def execute(run, claimed, outcome):
        monkeypatch.setattr(execution, "claim_surely", lambda task, holder: claimed)
        monkeypatch.setattr(execution, "_run", lambda claimed: outcome)
        execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=True)

    return execute


def late_results(run):
    return [
        (attempt.attempt, attempt.status, attempt.late_status, attempt.late_at is not None)
        for attempt in row(run, "a").attempts.order_by("attempt")
    ]


@pytest.mark.parametrize(("outcome", "told"), [(LATE, "succeeded"), (FAILED, "failed"), (STOPPED, "cancelled")])
def test_late_result_is_dropped_noted_and_counted(actor, connection, end, counted, outcome, told):
    run = start_run(actor, {"a": ""})
    claimed = lose(connection, run)
    schedules.take(connection, run, "a")

    end(run, claimed, outcome)

    assert (row(run, "a").status, row(run, "a").output) == ("running", None)
    assert late_results(run) == [(1, "lost", told, True)]
    assert counted() == {"lost_attempts": 1, "fenced_writes": 1}


def test_late_result_counts_once_although_its_worker_repeats_it(actor, connection, end, counted, monkeypatch):
    run = start_run(actor, {"a": ""})
    claimed = lose(connection, run)
    noted = late_writes.note_if_late
    tries = []

    def unanswered_at_first(*arguments, **named):
        answer = noted(*arguments, **named)
        tries.append(answer)
        if len(tries) == 1:
            raise psycopg.OperationalError("the connection is lost")
        return answer

    monkeypatch.setattr(late_writes, "note_if_late", unanswered_at_first)

    end(run, claimed, LATE)

    assert tries == [True, False]
    assert counted()["fenced_writes"] == 1


def test_late_results_of_two_attempts_are_told_apart(actor, connection, end, counted):
    run = start_run(actor, {"a": ""})
    first, second = lose(connection, run), lose(connection, run)

    end(run, second, FAILED)
    end(run, first, LATE)

    assert late_results(run) == [(1, "lost", "succeeded", True), (2, "lost", "failed", True)]
    assert counted() == {"lost_attempts": 2, "fenced_writes": 2}


def test_late_result_of_an_attempt_whose_claim_the_database_lost_is_counted(actor, connection, end, counted):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run)
    TaskExecution.objects.filter(run_id=run.id).update(status="queued", claim_token=None, attempt=0)
    schedules.take(connection, run, "a")

    end(run, claimed, LATE)
    end(run, claimed, LATE)

    assert row(run, "a").status == "running"
    assert late_results(run) == [(1, "fenced", "succeeded", True)]
    assert counted() == {"lost_attempts": 0, "fenced_writes": 1}


@pytest.mark.parametrize("meanwhile", ["nothing", "rerun"])
def test_finish_that_was_written_but_not_answered_is_not_late(actor, connection, end, counted, monkeypatch, meanwhile):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run)
    finished = finish.finish
    tries = []

    def unanswered_at_first(*arguments):
        answer = finished(*arguments)
        tries.append(answer is not None)
        if len(tries) > 1:
            return answer
        if meanwhile == "rerun":
            connection.execute(*rerun(run, "a"))
            connection.execute("UPDATE workflow_runs SET status = 'running' WHERE id = %s", (run.id,))
            schedules.take(connection, run, "a", 1)
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(execution, "finish", unanswered_at_first)

    end(run, claimed, LATE)

    assert tries == [True, False]
    assert late_results(run) == []
    assert counted() == {"lost_attempts": 0, "fenced_writes": 0}


def test_end_of_a_call_that_comes_before_its_attempt_parks_makes_no_late_result(actor, connection, end, counted):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run)
    settle.settle(connection, CallRef(task=task_of(run, "a"), tries=0), TaskResult(output="late"))

    end(run, claimed, Outcome(status=TaskStatus.WAITING, reason=Reason.CELERY, wake_after=datetime.timedelta(1)))
    settle.settle(connection, CallRef(task=task_of(run, "a"), tries=0), TaskResult(output="late"))

    assert row(run, "a").status == "succeeded"
    assert late_results(run) == []
    assert counted()["fenced_writes"] == 0


def test_stop_of_a_worker_is_not_counted_as_a_loss_but_a_late_result_is(actor, connection, end, counted, worker_row):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, worker_id=worker_row)
    lease.end_lease(connection, worker_id=worker_row)
    leases.take_back_lost(connection)

    end(run, claimed, LATE)

    assert counted() == {"lost_attempts": 0, "fenced_writes": 1}


def test_late_result_that_waits_for_the_attempt_being_taken_back_is_noted(actor, connection, other, counted):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run)

    with held_open(other) as meanwhile:
        leases.take_back_lost(other)
        finishing = meanwhile(lambda: execution._finish(claimed, LATE))

    assert finishing.result() is None
    assert late_results(run) == [(1, "lost", "succeeded", True)]
    assert counted() == {"lost_attempts": 1, "fenced_writes": 1}


def test_lost_calls_are_counted(actor, connection, counted):
    run = start_run(actor, {"a": ""})
    take(connection, run)
    TaskExecution.objects.filter(run_id=run.id).update(status="waiting", reason="celery")

    assert leases.take_back_call(connection, task_id=row(run, "a").id, generation=0, attempt=1)
    assert not leases.take_back_call(connection, task_id=row(run, "a").id, generation=0, attempt=1)

    assert counted()["lost_attempts"] == 1


def test_attempt_that_has_the_number_of_a_forgotten_claim_is_in_the_history_when_it_is_lost(actor, connection, end):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run)
    TaskExecution.objects.filter(run_id=run.id).update(status="queued", claim_token=None, attempt=0)
    end(run, claimed, LATE)

    lose(connection, run)

    assert row(run, "a").attempt == 1
    assert sorted(each.status for each in row(run, "a").attempts.all()) == ["fenced", "lost"]


def test_attempt_that_is_in_the_history_already_is_taken_back_all_the_same(actor, connection):
    run = start_run(actor, {"a": ""})
    row(run, "a").attempts.create(organization_id=actor.organization_id, attempt=1, status="lost")

    lose(connection, run)

    assert statuses(run.id) == {"a": "queued (worker_lost)"}


def test_attempt_that_has_the_number_of_a_forgotten_claim_is_in_the_history_when_it_fails(actor, connection, end):
    run = start_run(actor, {"a": ""})
    forgotten = take(connection, run)
    TaskExecution.objects.filter(run_id=run.id).update(status="queued", claim_token=None, attempt=0)
    claimed = schedules.take(connection, run, "a")
    again = Retry(after=datetime.timedelta(seconds=60), max_attempts=2, within=None)

    end(run, forgotten, LATE)
    end(run, claimed, dataclasses.replace(FAILED, retry=again))

    assert (row(run, "a").status, row(run, "a").tries) == ("waiting", 1)
    assert sorted(late_results(run)) == [(1, "failed", "", False), (1, "fenced", "succeeded", True)]
