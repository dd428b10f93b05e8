"""Every statement of the engine on a row of every status: it changes the row as the transition table says, or not at
all.
"""

import itertools
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from executors.base import TaskError, TaskResult
from maestro.core.clock import DatabaseClock
from tests.builders import start_run
from tests.integration.schedules import FAILED, HOLDER, SUCCEEDED, do, follow, task_of
from workflows.dispatch import call_watch, claim, finalise, finish, leases, retry, settle
from workflows.dispatch.claim import Claim
from workflows.dispatch.finish import Outcome
from workflows.dispatch.messages import CallRef
from workflows.dispatch.retry import Retry
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs
from workflows.runs.statuses import (
    OPEN_TASK_STATUSES,
    TASK_TRANSITIONS,
    Reason,
    RunStatus,
    TaskEvent,
    TaskStatus,
    next_task_status,
)

pytestmark = pytest.mark.usefixtures("sent")

TOKEN = uuid4()


def claiming(connection, actor, run):
    claim.claim(connection, task_of(run, "b"), HOLDER, TOKEN)


def finishing(outcome):
    def apply(connection, actor, run):
        row = TaskExecution.objects.get(run_id=run.id, task_key="b")
        held = Claim(
            id=row.id,
            status=TaskStatus.RUNNING,
            attempt=1,
            generation=0,
            hold=0,
            map_index=None,
            task_key="b",
            claim_token=TOKEN,
            tries=0,
            started_at=None,
            finished_at=None,
            seconds_allowed=None,
            seconds_left=None,
            grace_seconds=None,
            run_id=run.id,
            organization_id=run.organization_id,
            workflow_version_id=run.workflow_version_id,
            inputs={},
            run_created_at=run.created_at,
            clock=DatabaseClock(run.created_at),
        )
        finish.finish(connection, held, outcome)

    return apply


def advancing(connection, actor, run):
    follow(connection, run, "a")


def taking_back(**columns):
    def apply(connection, actor, run):
        TaskExecution.objects.filter(run_id=run.id, task_key="b").update(claim_worker_id=uuid4(), **columns)
        leases.take_back_lost(connection)

    return apply


def giving_back(connection, actor, run):
    worker_id = uuid4()
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(claim_worker_id=worker_id, platform_failures=9)
    leases.give_back(connection, worker_id=worker_id, restored=())


def settling(result):
    def apply(connection, actor, run):
        settle.settle(connection, CallRef(task=task_of(run, "b"), tries=0), result)

    return apply


def losing_call(**columns):
    def apply(connection, actor, run):
        due = {"reason": Reason.CELERY, "wake_at": "2020-01-01T00:00:00Z"}
        TaskExecution.objects.filter(run_id=run.id, task_key="b").update(**due, **columns)
        call_watch.CallWatch().look_at_calls(connection)

    return apply


def waking(connection, actor, run):
    due = {"reason": Reason.RETRY_BACKOFF, "wake_at": "2020-01-01T00:00:00Z"}
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(**due)
    retry.wake_due(connection)


def cancelling(connection, actor, run):
    runs.cancel_run(actor=actor, run_id=run.id)


NOT_STARTED = {TaskStatus.PENDING, TaskStatus.QUEUED}
RUNNING = {TaskStatus.RUNNING}
WAITING = {TaskStatus.WAITING}
PARKED = Outcome(status=TaskStatus.WAITING, reason=Reason.CELERY, wake_after=call_watch.FIRST_LOOK)
REFUSED = TaskResult(error=TaskError(code="x", message="x"))
TRIED_AGAIN = replace(FAILED, retry=Retry(after=timedelta(0), max_attempts=2, within=None))
STATEMENTS = {
    "claim": (TaskEvent.CLAIM, NOT_STARTED, SUCCEEDED, claiming),
    "claim that skips": (TaskEvent.SKIP, NOT_STARTED, FAILED, claiming),
    "finish as succeeded": (TaskEvent.SUCCEED, RUNNING, SUCCEEDED, finishing(SUCCEEDED)),
    "finish as failed": (TaskEvent.FAIL, RUNNING, SUCCEEDED, finishing(FAILED)),
    "finish as skipped": (TaskEvent.SKIP, RUNNING, SUCCEEDED, finishing(Outcome(status=TaskStatus.SKIPPED))),
    "finish as cancelled": (TaskEvent.CANCEL, RUNNING, SUCCEEDED, finishing(Outcome(status=TaskStatus.CANCELLED))),
    "advance": (TaskEvent.QUEUE, {TaskStatus.PENDING}, SUCCEEDED, advancing),
    "advance that skips": (TaskEvent.SKIP, {TaskStatus.PENDING}, FAILED, advancing),
    "take back": (TaskEvent.REQUEUE, RUNNING, SUCCEEDED, taking_back()),
    "take back, too often": (TaskEvent.FAIL, RUNNING, SUCCEEDED, taking_back(platform_failures=9)),
    "take back, cancelled": (TaskEvent.CANCEL, RUNNING, SUCCEEDED, taking_back(hold=2)),
    "give back": (TaskEvent.REQUEUE, RUNNING, SUCCEEDED, giving_back),
    "finish by parking": (TaskEvent.PARK, RUNNING, SUCCEEDED, finishing(PARKED)),
    "settle as succeeded": (TaskEvent.SUCCEED, RUNNING | WAITING, SUCCEEDED, settling(TaskResult())),
    "settle as failed": (
        TaskEvent.FAIL,
        RUNNING | WAITING,
        SUCCEEDED,
        settling(REFUSED),
    ),
    "finish by waiting for a retry": (TaskEvent.PARK, RUNNING, SUCCEEDED, finishing(TRIED_AGAIN)),
    "wake for a retry": (TaskEvent.QUEUE, WAITING, SUCCEEDED, waking),
    "lose the call": (TaskEvent.QUEUE, WAITING, SUCCEEDED, losing_call()),
    "lose the call, too often": (TaskEvent.FAIL, WAITING, SUCCEEDED, losing_call(platform_failures=9)),
    # What runs is cancelled by whoever runs it.
    "cancel": (TaskEvent.CANCEL, OPEN_TASK_STATUSES - RUNNING, SUCCEEDED, cancelling),
}


@pytest.mark.parametrize(("status", "name"), list(itertools.product(TaskStatus, STATEMENTS)))
def test_statement_changes_a_task_as_the_table_says(actor, connection, status, name):
    event, applies_to, need, apply = STATEMENTS[name]
    # c keeps the run open, so that there always is something to cancel.
    run = start_run(actor, {"a": "", "b": "a", "c": ""})
    do(connection, run, "a", need)
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(status=status, claim_token=TOKEN)

    apply(connection, actor, run)

    assert applies_to <= {before for before, events in TASK_TRANSITIONS.items() if event in events}
    expected = next_task_status(status, event) if status in applies_to else status
    assert TaskExecution.objects.get(run_id=run.id, task_key="b").status == expected


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize(
    ("need", "hold", "ends_as"),
    [(SUCCEEDED, 0, RunStatus.SUCCEEDED), (FAILED, 0, RunStatus.FAILED), (SUCCEEDED, 2, RunStatus.CANCELLED)],
    ids=["succeed", "fail", "cancel"],
)
def test_only_a_running_run_is_finalised(actor, connection, status, need, hold, ends_as):
    run = start_run(actor, {"a": ""})
    do(connection, run, "a", need)
    WorkflowRun.objects.filter(id=run.id).update(status=status, hold=hold)

    finalise.finalise_run(connection, run.id)

    assert WorkflowRun.objects.get(id=run.id).status == (ends_as if status is RunStatus.RUNNING else status)
