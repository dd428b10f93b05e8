"""Runs with a task that calls a Celery task, and what tests make of the call."""

import json

from celery import current_app

from executors.base import TaskError, TaskResult
from tests.builders import start_run
from tests.integration.schedules import HOLDER, task_of
from workflows.dispatch import call_watch, execution, leases
from workflows.dispatch.finish import Outcome
from workflows.dispatch.messages import CallRef
from workflows.models import TaskExecution
from workflows.runs.statuses import Reason, TaskStatus

# A queue nobody takes messages from: the tests say what becomes of the calls.
QUEUE = "nobody"
CALL = {"uses": "celery", "with": {"task": "team.resize", "args": ["a.png"], "queue": QUEUE}}
ENDED = TaskResult(output="thumbnail")
FAILED = TaskResult(error=TaskError(code="x", message="x"))
PARKED = Outcome(status=TaskStatus.WAITING, reason=Reason.CELERY, wake_after=call_watch.FIRST_LOOK)
LONG_AGO = "2020-01-01T00:00:00Z"


def start(actor):
    """A run whose first task calls; another one follows."""
    return start_run(actor, {"a": CALL, "b": "a"})


def execute(run, key="a"):
    execution.execute_task(task_of(run, key), HOLDER, canvas_ends=True)


def row(run, key="a"):
    return TaskExecution.objects.get(run_id=run.id, task_key=key)


def call_of(run, *, generation=0, tries=0):
    return CallRef(task=task_of(run, "a", generation), tries=tries)


def record(run, status, result=None):
    """Write what a worker would have."""
    current_app.backend.client.delete(key_of(run))
    current_app.backend.store_result(call_of(run).celery_id, result, status)


def key_of(run):
    return current_app.backend.get_key_for_task(call_of(run).celery_id)


def due(run):
    TaskExecution.objects.filter(run_id=run.id).update(wake_at=LONG_AGO)


def sent_calls(broker):
    """Ids of the Celery tasks that were sent."""
    return [json.loads(message)["headers"]["id"] for message in broker.lrange(QUEUE, 0, -1)]


def lose_attempt(connection, run):
    """The attempt's worker dies; the task is queued again."""
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(claim_worker_id=call_of(run).task.run_id)
    leases.take_back_lost(connection)
    assert row(run).status == "queued"
