"""Reading pauses."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.actor import Actor
from accounts.permissions.roles import Permission
from workflows.models import Pause
from workflows.runs import selectors as runs
from workflows.runs.statuses import PauseScope, Reason, TaskStatus


def find_pause_of_run(*, actor: Actor, run_id: UUID) -> Pause | None:
    """Return the pause of a run itself; None also where only something it is part of is paused."""
    return list_pauses(actor=actor).filter(run=run_id).first()


def find_pause_of_workflow(*, actor: Actor, workflow_id: UUID) -> Pause | None:
    """Return the pause of a workflow itself."""
    return list_pauses(actor=actor).filter(workflow=workflow_id).first()


def list_pauses(*, actor: Actor, run_id: UUID | None = None) -> QuerySet[Pause]:
    """Return the pauses that hold something now; with a run, those that cover all of it or the queue of a task of it.

    Raises `RunNotFound`.
    """
    actor.require(Permission.READ_RUNS)
    found = Pause.objects.filter(Q(run=None) | Q(run__finished_at=None), resumed_at=None)
    found = found.filter(organization_id=actor.organization_id)
    found = found.select_related("run", "workflow", "paused_by", "resumed_by")
    if run_id is None:
        return found
    run = runs.get_run(actor=actor, run_id=run_id)
    line = [run]
    # As `workflows.dispatch.holds` has it: a child is paused with its parent while that waits for it.
    while (parent := line[-1].parent_task) is not None and parent.status == TaskStatus.WAITING:
        if parent.reason != Reason.CHILD_RUN or parent.child_run_id != line[-1].id:
            break
        line.append(parent.run)
    covers_run = (
        Q(run__in=[each.id for each in line])
        | Q(workflow__in=[each.workflow_id for each in line])
        | Q(scope=PauseScope.ORGANIZATION)
    )
    queues = run.task_executions.order_by().values("queue").distinct()
    return found.filter(covers_run | Q(scope=PauseScope.QUEUE, queue__in=queues))
