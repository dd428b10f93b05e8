"""Reading runs, their task executions and logs."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from accounts.actor import Actor
from accounts.permissions.roles import Permission
from executors.models import TaskLogLine
from workflows.errors import RunNotFound, TaskNotFound
from workflows.models import TaskExecution, WorkflowRun


def list_runs(*, actor: Actor) -> QuerySet[WorkflowRun]:
    """Return the organization's runs."""
    actor.require(Permission.READ_RUNS)
    return WorkflowRun.objects.filter(organization_id=actor.organization_id).select_related(
        "workflow", "workflow_version"
    )


def get_run(*, actor: Actor, run_id: UUID) -> WorkflowRun:
    """Return one run. Raises `RunNotFound`."""
    run = list_runs(actor=actor).filter(id=run_id).first()
    if run is None:
        raise RunNotFound
    return run


def list_task_executions(*, actor: Actor, run: WorkflowRun, task_key: str | None = None) -> QuerySet[TaskExecution]:
    """Return a run's tasks without the items of `for_each` tasks, or one task with its items. Raises `TaskNotFound`."""
    actor.require(Permission.READ_RUNS)
    rows = TaskExecution.objects.filter(organization_id=actor.organization_id, run=run)
    if task_key is None:
        return rows.filter(map_index=None)
    of_task = rows.filter(task_key=task_key) if "\0" not in task_key else rows.none()
    if not of_task.exists():
        raise TaskNotFound(task_key)
    return of_task


def list_log_lines(*, actor: Actor, run: WorkflowRun, task_key: str | None = None) -> QuerySet[TaskLogLine]:
    """Return the lines that a run's attempts wrote, or those of one task. Raises `TaskNotFound`."""
    actor.require(Permission.READ_RUNS)
    lines = TaskLogLine.objects.filter(organization_id=actor.organization_id, run_id=run.id)
    if task_key is None:
        return lines
    list_task_executions(actor=actor, run=run, task_key=task_key)
    return lines.filter(task_key=task_key)
