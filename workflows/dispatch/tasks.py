"""The Celery tasks of the engine."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task, shared_task
from celery.exceptions import Reject

from executors.base import TaskResult
from executors.pools.incarnation import get_incarnation
from executors.runtime.attempt import check_result
from maestro.core import sql
from workflows.compiler.canvas import EXECUTE, SEND_QUEUED
from workflows.dispatch import advance, celery_calls, execution, publish, settle
from workflows.dispatch.broker import BrokerAway
from workflows.dispatch.celery_calls import CALL_FAILED, CALL_SUCCEEDED
from workflows.dispatch.messages import CallRef, Holder, TaskRef
from workflows.dispatch.publish import RunRef


class CanvasTask(Task):
    """A task whose messages keep their priority along a canvas: Celery sends the chord inside a chain on without."""

    abstract = True

    def apply_async(self, *args: Any, priority: int | None = None, **options: Any) -> Any:
        """Send a message; one without a priority of its own has that of the message which is executed."""
        if priority is None:
            priority = (self.request.delivery_info or {}).get("priority")
        return super().apply_async(*args, priority=priority, **options)


@shared_task(
    bind=True,
    base=CanvasTask,
    name=EXECUTE,
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
    Request="workflows.dispatch.lost_process:EngineRequest",
)
def execute(
    self: Task[..., None], *, run_id: str, organization_id: str, tasks: list[tuple[str, int | None, int]], **_: Any
) -> None:
    """Run the tasks a message names. Never raises for what user code does: that is recorded in the row.

    A database that stays away sends the message back: acknowledging it would count for Celery as the task's end. So
    does a broker that does not take a call: the attempt is lost then, and another makes the call.
    """
    canvas_ends = not self.request.chain and not self.request.chord
    holder = Holder(worker=self.request.hostname or "", worker_id=get_incarnation(), message_id=self.request.id or "")
    for task_key, map_index, generation in tasks:
        task = TaskRef(
            run_id=UUID(run_id),
            organization_id=UUID(organization_id),
            task_key=task_key,
            map_index=map_index,
            generation=generation,
        )
        try:
            execution.execute_task(task, holder, canvas_ends=canvas_ends)
        except (*sql.UNAVAILABLE, BrokerAway) as error:
            raise Reject(type(error).__name__, requeue=True) from error


@shared_task(name=SEND_QUEUED, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
def send_queued(*, run_id: str, organization_id: str, **_: Any) -> None:
    """Send the queued tasks of a run that are too many for the request that started it."""
    run = RunRef(run_id=UUID(run_id), organization_id=UUID(organization_id))
    sql.with_engine_connection(
        lambda connection: publish.publish_queued(connection, run, advance.version_of_run(connection, run.run_id))
    )


@shared_task(name=CALL_SUCCEEDED, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
def call_succeeded(result: Any, **call: Any) -> None:
    """Take the result of a call: what the Celery task that was called has returned."""
    _settle(_call_of(**call), TaskResult(output=result))


@shared_task(name=CALL_FAILED, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
def call_failed(celery_id: str, **call: Any) -> None:
    """Take the failure of a call. Celery tells only its id: why it failed, its worker has stored before.

    One argument, and Celery sends this as a message from every worker; with three, a worker that knows this task would
    run it inside the task that failed.
    """
    ref = _call_of(**call)
    try:
        state = celery_calls.read_state(ref)
    except BrokerAway as error:
        raise Reject(type(error).__name__, requeue=True) from error
    ended = None if state is None else celery_calls.result_of(state)
    _settle(ref, ended or TaskResult(error=celery_calls.FAILED_ELSEWHERE))


def _call_of(*, run_id: str, organization_id: str, task: tuple[str, int | None, int], tries: int, **_: Any) -> CallRef:
    task_key, map_index, generation = task
    reference = TaskRef(
        run_id=UUID(run_id),
        organization_id=UUID(organization_id),
        task_key=task_key,
        map_index=map_index,
        generation=generation,
    )
    return CallRef(task=reference, tries=tries)


def _settle(ref: CallRef, result: TaskResult) -> None:
    checked = check_result(result)
    try:
        sql.with_engine_connection(lambda connection: settle.settle(connection, ref, checked))
    except sql.UNAVAILABLE as error:
        raise Reject(type(error).__name__, requeue=True) from error
