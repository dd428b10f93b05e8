"""Reading runs, their task executions and logs."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from accounts.actor import Actor
from accounts.permissions.roles import Permission
from executors import selectors as executor_selectors
from executors.models import TaskLogLine
from maestro.core import sql
from workflows.definition.secrets import Secrets, mask_inputs
from workflows.definition.values import JsonValue
from workflows.errors import RunNotFound, TaskNotFound
from workflows.filters import LogFilter
from workflows.models import TaskAttempt, TaskExecution, WorkflowRun

# They are gone, or about to go.
_ARE_LINES_PRUNED = """
SELECT coalesce(r.finished_at < now() - make_interval(days => o.log_retention_days), false)
       OR coalesce(r.finished_at <= p.lines_pruned_until, false)
FROM workflow_runs r JOIN organizations o ON o.id = r.organization_id
                     LEFT JOIN retention_progress p ON p.organization_id = o.id
WHERE r.id = %(run_id)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExtract:
    """Lines of a run's log, and how far they reach."""

    lines: QuerySet[TaskLogLine]
    """The lines, to be read in order of their ids."""
    last_id: int
    """No wanted line up to this id is left out, or will come later."""
    is_pruned: bool
    """Whether the run ended so long ago that its lines are not kept."""


def list_runs(*, actor: Actor) -> QuerySet[WorkflowRun]:
    """Return the organization's runs."""
    actor.require(Permission.READ_RUNS)
    rows = WorkflowRun.objects.filter(organization_id=actor.organization_id, pruned_at=None)
    # Of the task that started a run, its key and run are wanted; its output may be large.
    return rows.select_related("workflow", "workflow_version", "parent_task").defer("parent_task__output")


def get_run(*, actor: Actor, run_id: UUID) -> WorkflowRun:
    """Return one run. Raises `RunNotFound`."""
    run = list_runs(actor=actor).filter(id=run_id).first()
    if run is None:
        raise RunNotFound
    return run


def get_started_run(*, actor: Actor, run_id: UUID) -> WorkflowRun:
    """Return a run to whoever started it, who may know of it what its start answers. Raises `RunNotFound`."""
    actor.require(Permission.START_RUNS)
    runs = WorkflowRun.objects.filter(organization_id=actor.organization_id, pruned_at=None)
    run = runs.filter(id=run_id).select_related("workflow", "workflow_version").first()
    if run is None:
        raise RunNotFound
    return run


def secrets_of(run: WorkflowRun) -> Secrets:
    """Return the secrets among a run's inputs, to be hidden in whatever is shown of it."""
    return Secrets.of(run.workflow_version.definition.get("inputs") or {}, run.inputs)


def shown_inputs(run: WorkflowRun) -> dict[str, JsonValue]:
    """Return a run's inputs as people may see them."""
    return mask_inputs(run.workflow_version.definition.get("inputs") or {}, run.inputs)


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


def list_past_attempts(*, actor: Actor, run: WorkflowRun, task_key: str | None = None) -> QuerySet[TaskAttempt]:
    """Return the attempts of a run, or of one of its tasks, that did not end their task: it was tried again.

    Raises `TaskNotFound`.
    """
    actor.require(Permission.READ_RUNS)
    attempts = TaskAttempt.objects.filter(organization_id=actor.organization_id, task_execution__run=run)
    if task_key is not None:
        tasks = list_task_executions(actor=actor, run=run, task_key=task_key)
        attempts = attempts.filter(task_execution__in=tasks)
    return attempts.select_related("task_execution")


def read_log(*, actor: Actor, run: WorkflowRun, wanted: LogFilter) -> LogExtract:
    """Return the wanted lines that a run's attempts wrote, as far as the log is settled. Raises `TaskNotFound`."""
    actor.require(Permission.READ_RUNS)
    if wanted.task_key is not None:
        list_task_executions(actor=actor, run=run, task_key=wanted.task_key)
    settled_id = executor_selectors.get_settled_line_id(run_id=run.id)
    lines = TaskLogLine.objects.filter(organization_id=actor.organization_id, run_id=run.id, id__lte=settled_id)
    return LogExtract(
        lines=wanted.apply(lines),
        last_id=max(settled_id, wanted.after or 0),
        is_pruned=_are_lines_pruned(run),
    )


def _are_lines_pruned(run: WorkflowRun) -> bool:
    row = sql.request_connection().execute(_ARE_LINES_PRUNED, {"run_id": run.id}).fetchone()
    return row is not None and bool(row[0])
