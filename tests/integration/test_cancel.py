"""Cancelling what runs: it is told, then made to stop, then killed; and the status says what of that was proven."""

import signal
from datetime import timedelta

import psutil
import pytest

from accounts.choices import Role
from accounts.models import User
from tests.builders import join, start_run, statuses, wait_for_end
from tests.integration.calls import CALL, PARKED, call_of, execute
from tests.integration.calls import FAILED as CALL_FAILED
from tests.integration.conftest import WorkerProcess
from tests.integration.schedules import FAILED, SUCCEEDED, held_open, hold, row, take
from tests.patience import wait_until
from tests.processes import is_alive, suspended
from workflows.dispatch import celery_calls, finish, leases, settle, time_limits
from workflows.errors import RunAlreadyFinished
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs

pytestmark = pytest.mark.alone

FUNCTIONS = "tests.integration.stubborn"
LONG_AGO = "2020-01-01T00:00:00Z"


def calling(function, grace="1s", **args):
    options = {"function": f"{FUNCTIONS}.{function}", "args": args}
    return {"uses": "python", "with": options, "timeout": {"grace": grace}}


def cancel(actor, run):
    return runs.cancel_run(actor=actor, run_id=run.id)


def is_running(run, key):
    return lambda: row(run, key).status == "running"


def test_attempt_that_stops_is_known_to_have_stopped(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": "a"})
    claimed = take(connection, run, "a")
    cancel(actor, run)
    assert statuses(run.id) == {"a": "running", "b": "cancelled"}

    finish.finish(connection, claimed, FAILED)

    assert statuses(run.id)["a"] == "cancelled (stopped)"


def test_attempt_that_succeeds_before_it_stops_has_succeeded(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": "a"})
    claimed = take(connection, run, "a")
    cancel(actor, run)

    finish.finish(connection, claimed, SUCCEEDED)

    assert statuses(run.id)["a"] == "succeeded"


def test_what_has_not_begun_has_nothing_to_stop(actor, sent):
    run = start_run(actor, {"a": "", "b": "a"})

    cancel(actor, run)

    assert statuses(run.id) == {"a": "cancelled", "b": "cancelled"}


def test_cancel_gives_an_attempt_no_more_time_than_it_had(actor, connection, sent):
    run = start_run(actor, {"a": {"timeout": "1s"}})
    take(connection, run, "a")
    over_at = row(run, "a").expires_at

    cancel(actor, run)

    assert row(run, "a").expires_at == over_at


def cancelled_by(run):
    return WorkflowRun.objects.get(id=run.id).cancelled_by


@pytest.mark.parametrize("start_at", [None, timedelta(hours=1)])
def test_who_cancelled_a_run_is_kept_and_who_was_later_is_not(actor, sent, start_at):
    reference = start_run(actor, {"a": ""}, **{"finally": {"clean": {"uses": "noop"}}}).workflow.name
    run = runs.start_run(actor=actor, reference=reference, inputs={}, start_at=start_at)
    ann = join(actor, Role.OPERATOR)

    for each in (ann, actor):
        cancel(each, run)

    assert cancelled_by(run) == User.objects.get(id=ann.user_id).email


def test_run_that_was_over_is_cancelled_by_nobody(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    WorkflowRun.objects.filter(id=run.id).update(status="succeeded")

    with pytest.raises(RunAlreadyFinished):
        cancel(actor, run)

    assert cancelled_by(run) == ""


def test_call_that_somebody_else_runs_may_go_on(actor, sent, empty_queue):
    run = start_run(actor, {"a": CALL})
    execute(run)

    cancel(actor, run)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)"}


def test_call_that_was_made_while_the_run_was_cancelled_may_go_on(actor, connection, sent):
    run = start_run(actor, {"a": CALL})
    claimed = take(connection, run, "a")
    cancel(actor, run)

    finish.finish(connection, claimed, PARKED)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)"}


def test_call_that_fails_before_its_attempt_parks_is_known_to_have_stopped(actor, connection, sent):
    run = start_run(actor, {"a": CALL})
    take(connection, run, "a")
    cancel(actor, run)

    settle.settle(connection, call_of(run), CALL_FAILED)

    assert statuses(run.id) == {"a": "cancelled (stopped)"}


def test_call_of_which_the_broker_did_not_say_whether_it_was_made_may_go_on(actor, connection, sent, monkeypatch):
    run = start_run(actor, {"a": CALL})
    monkeypatch.setattr(celery_calls, "begin", lambda *_, **__: cancel(actor, run) and celery_calls.CANCELLED)

    execute(run)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)"}


def test_attempt_that_nobody_can_reach_is_given_up(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    take(connection, run, "a")
    cancel(actor, run)
    time_limits.end_overdue(connection)
    assert statuses(run.id) == {"a": "running"}

    TaskExecution.objects.filter(run_id=run.id).update(expires_at=LONG_AGO)
    time_limits.end_overdue(connection)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)"}
    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"
    assert row(run, "a").error_message == ""


@pytest.mark.parametrize("retry", [{}, {"retry": {"max_attempts": 2}}], ids=["ends", "tried again"])
def test_attempt_cancelled_while_its_own_time_is_found_to_be_over_has_not_proven_to_stop(
    actor, connection, other, sent, retry
):
    run = start_run(actor, {"a": {"timeout": "10s"} | retry})
    take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).update(expires_at=LONG_AGO)

    with held_open(other, hold(run, 2)) as meanwhile:
        ending = meanwhile(lambda: time_limits.end_overdue(connection))
    ending.result(10)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)"}


def test_attempt_whose_process_has_died_is_known_to_have_ended(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")
    worker_id = claimed.run_id  # any
    TaskExecution.objects.filter(run_id=run.id).update(claim_worker_id=worker_id, claim_message="m")
    cancel(actor, run)

    leases.take_back_of_process(connection, run_id=run.id, worker_id=worker_id, message_id="m", cause="died")

    assert statuses(run.id) == {"a": "cancelled (killed)"}


def test_killing_is_noted_once_it_is_proven(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")
    worker_id = claimed.run_id  # any
    TaskExecution.objects.filter(run_id=run.id).update(claim_worker_id=worker_id, claim_message="m")
    cancel(actor, run)
    TaskExecution.objects.filter(run_id=run.id).update(expires_at=LONG_AGO)

    [overdue] = time_limits.end_overdue_of_worker(connection, worker_id)
    assert statuses(run.id) == {"a": "cancelled (unconfirmed)"}
    time_limits.note_killed(connection, overdue)

    assert statuses(run.id) == {"a": "cancelled (killed)"}


@pytest.mark.parametrize(
    ("more", "end"),
    [({}, "failed"), ({"retry": {"max_attempts": 2}}, "waiting (retry_backoff)")],
    ids=["ends", "tried again"],
)
def test_killing_what_only_took_too_long_changes_nothing_of_its_end(actor, connection, sent, more, end):
    run = start_run(actor, {"a": {"timeout": "10s"} | more})
    claimed = take(connection, run, "a")
    worker_id = claimed.run_id  # any
    overdue = {"claim_worker_id": worker_id, "claim_message": "m", "expires_at": LONG_AGO}
    TaskExecution.objects.filter(run_id=run.id).update(**overdue)

    [killed] = time_limits.end_overdue_of_worker(connection, worker_id)
    time_limits.note_killed(connection, killed)

    assert statuses(run.id) == {"a": end}


def test_what_runs_is_told_then_interrupted_then_killed_with_all_it_started(actor, worker, tmp_path):
    told, cleaned, started = (tmp_path / name for name in ("told", "cleaned", "started"))
    run = start_run(actor, {"told": calling("stop_when_told", "10m", path=str(told))})
    other = start_run(actor, {"cleans": calling("clean_up_when_cancelled", "10m", path=str(cleaned))})
    wait_until(lambda: told.exists() and cleaned.exists())

    cancel(actor, run)
    cancel(actor, other)

    assert (wait_for_end(run.id).status, wait_for_end(other.id).status) == ("cancelled", "cancelled")
    assert (told.read_text(), cleaned.read_text()) == ("stopped by itself", "cleaned up")
    assert statuses(run.id) == {"told": "cancelled (stopped)"}
    assert statuses(other.id) == {"cleans": "cancelled (stopped)"}

    stubborn = start_run(actor, {"a": calling("start_something_and_go_on", path=str(started)), "b": "a"})
    wait_until(lambda: started.exists() and started.read_text())
    grandchild = psutil.Process(int(started.read_text()))

    cancel(actor, stubborn)

    assert wait_for_end(stubborn.id).status == "cancelled"
    wait_until(lambda: statuses(stubborn.id) == {"a": "cancelled (killed)", "b": "cancelled"})
    wait_until(lambda: not is_alive(grandchild))


def test_cancel_outlives_the_worker_that_should_obey_it(actor, worker, beat, tmp_path):
    """The worker is killed after the cancel; whoever looks next ends the task, and nobody runs it again."""
    victim = WorkerProcess(tmp_path / "victim.log", name="victim", concurrency=1)
    worker_stopped = psutil.Process(worker.pid)
    tree = [worker_stopped, *worker_stopped.children(recursive=True)]
    with suspended(tree):
        victim.start()
        run = start_run(actor, {"a": calling("go_on"), "b": "a"})
        wait_until(is_running(run, "a"))
        cancel(actor, run)
        victim.stop(signal.SIGKILL)

    assert wait_for_end(run.id).status == "cancelled"
    assert statuses(run.id) == {"a": "cancelled (unconfirmed)", "b": "cancelled"}
    assert row(run, "a").attempt == 1
