"""The Celery task of the engine."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task, shared_task
from celery.exceptions import Reject

from executors.pools.incarnation import get_incarnation
from maestro.core import sql
from workflows.compiler.canvas import EXECUTE, SEND_QUEUED
from workflows.dispatch import advance, execution, publish
from workflows.dispatch.messages import Holder, TaskRef
from workflows.dispatch.publish import RunRef


@shared_task(
    bind=True,
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

    A database that stays away sends the message back: acknowledging it would count for Celery as the task's end.
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
        except sql.UNAVAILABLE as error:
            raise Reject(type(error).__name__, requeue=True) from error


@shared_task(name=SEND_QUEUED, acks_late=True, ignore_result=True)
def send_queued(*, run_id: str, organization_id: str, **_: Any) -> None:
    """Send the queued tasks of a run that are too many for the request that started it."""
    run = RunRef(run_id=UUID(run_id), organization_id=UUID(organization_id))
    sql.with_engine_connection(
        lambda connection: publish.publish_queued(connection, run, advance.version_of_run(connection, run.run_id))
    )
