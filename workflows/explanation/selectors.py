"""Why a run, or a task of it, does not go on: every cause, up to the one that holds them all.

A reader's view of what the engine obeys; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.actor import Actor
from workflows.definition.secrets import Secrets
from workflows.explanation.causes import Cause, CauseFinder
from workflows.models import Pause, TaskExecution, WorkflowRun
from workflows.pauses import selectors as pauses
from workflows.runs import selectors as runs
from workflows.runs.statuses import OPEN_TASK_STATUSES, Reason, TaskStatus

MOST_TASKS = 200
"""Tasks that are explained at once, the first in the order of the run."""
MOST_RUNS = 20
"""Runs below the first that are explained with it, in all; of the others, the tasks that wait for them say which."""
# A run below another one is explained with it, as far as this.
_DEEPEST = 10
_ACTIVE = [TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.WAITING]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedTask:
    """A task and what keeps it."""

    task: TaskExecution
    """The task."""
    causes: Sequence[Cause]
    """What keeps it; of one that has ended, how it did."""
    child: Explanation | None = None
    """Of a task that waits for a run: what keeps that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a run does not go on."""

    run: WorkflowRun
    """The run."""
    causes: Sequence[Cause]
    """What keeps all of it."""
    tasks: Sequence[ExplainedTask] = field(default_factory=list)
    """What keeps its tasks: those that others wait for; or the task that was asked for, then those it waits for."""
    waiting_count: int = 0
    """Tasks that are not listed because they only wait for others."""


def explain(*, actor: Actor, run_id: UUID, task_key: str | None = None) -> Explanation:
    """Explain why a run, or one of its tasks, does not go on.

    Raises `RunNotFound` and `TaskNotFound`.
    """
    run = runs.get_run(actor=actor, run_id=run_id)
    if task_key is not None:
        runs.list_task_executions(actor=actor, run=run, task_key=task_key)
    return _Explainer(actor).explain(run, task_key)


def list_causes(*, actor: Actor, run: WorkflowRun, task: TaskExecution | None = None) -> list[Cause]:
    """Return what keeps a run as a whole, or one of its tasks, but not what keeps the tasks and runs that it waits for.

    Raises `RunNotFound`.
    """
    return _Explainer(actor).list_causes(run, task)


class _Explainer:
    """Explains one run and those below it."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._causes = CauseFinder()
        self._runs_left = MOST_RUNS

    def list_causes(self, run: WorkflowRun, task: TaskExecution | None) -> list[Cause]:
        found = self._list_pauses(run)
        if task is None:
            return list(self._causes.of_run(run, found))
        return self._list_causes_of(task, found, runs.secrets_of(run))

    def explain(self, run: WorkflowRun, task_key: str | None, depth: int = 0) -> Explanation:
        secrets = runs.secrets_of(run)
        found = self._list_pauses(run)
        rows = _of_run(run) if task_key is None else _line_of(run, task_key)
        return Explanation(
            run=run,
            causes=list(self._causes.of_run(run, found)),
            tasks=[self._explain_task(task, found, secrets, depth) for task in rows],
            waiting_count=_open(run).count() - len(rows) if task_key is None else 0,
        )

    def _explain_task(self, task: TaskExecution, found: Sequence[Pause], secrets: Secrets, depth: int) -> ExplainedTask:
        causes = self._list_causes_of(task, found, secrets)
        return ExplainedTask(task=task, causes=causes, child=self._explain_child(task, depth))

    def _list_causes_of(self, task: TaskExecution, found: Sequence[Pause], secrets: Secrets) -> list[Cause]:
        return [
            replace(cause, message=secrets.hide_in_text(cause.message), holder=secrets.hide_in_text(cause.holder))
            for cause in self._causes.of_task(task, found)
        ]

    def _list_pauses(self, run: WorkflowRun) -> list[Pause]:
        return list(pauses.list_pauses(actor=self._actor, run_id=run.id)) if run.finished_at is None else []

    def _explain_child(self, task: TaskExecution, depth: int) -> Explanation | None:
        is_awaited = task.status == TaskStatus.WAITING and task.reason == Reason.CHILD_RUN
        if not is_awaited or task.child_run_id is None or depth >= _DEEPEST or not self._runs_left:
            return None
        self._runs_left -= 1
        child = WorkflowRun.objects.select_related("workflow", "workflow_version").get(id=task.child_run_id)
        return self.explain(child, None, depth + 1)


def _open(run: WorkflowRun) -> QuerySet[TaskExecution]:
    return TaskExecution.objects.filter(run=run, status__in=OPEN_TASK_STATUSES)


def _of_run(run: WorkflowRun) -> list[TaskExecution]:
    """Return the open tasks that wait for no other task of the run."""
    active = list(_open(run).filter(status__in=_ACTIVE).order_by("position", "map_index")[:MOST_TASKS])
    if len(active) == MOST_TASKS:
        return active
    open_keys = set(_open(run).values_list("task_key", flat=True))
    pending = _open(run).filter(status=TaskStatus.PENDING, map_index=None).order_by("position").iterator()
    ready = [task for task in pending if open_keys.isdisjoint(task.needs)]
    return sorted([*active, *ready], key=lambda task: task.position)[:MOST_TASKS]


def _line_of(run: WorkflowRun, task_key: str) -> list[TaskExecution]:
    """Return a task, then those that keep it or that it was skipped for, and so on upwards."""
    line: list[TaskExecution] = []
    seen, keys = {task_key}, [task_key]
    while keys and len(line) < MOST_TASKS:
        rows = list(TaskExecution.objects.filter(run=run, task_key__in=keys).order_by("position", "map_index"))
        line += rows
        needed = {need for task in rows for need in task.needs if _is_kept_by_needs(task)} - seen
        seen |= needed
        found = TaskExecution.objects.filter(run=run, task_key__in=needed, map_index=None)
        keys = list(found.filter(_KEEPS).values_list("task_key", flat=True))
    return line[:MOST_TASKS]


# What a task is not over for, or was skipped for.
_KEEPS = Q(status__in=OPEN_TASK_STATUSES) | Q(
    status__in=[TaskStatus.FAILED, TaskStatus.SKIPPED, TaskStatus.CANCELLED], continue_on_error=False
)


def _is_kept_by_needs(task: TaskExecution) -> bool:
    is_skipped = task.status == TaskStatus.SKIPPED and task.reason in (Reason.UPSTREAM_FAILED, Reason.UPSTREAM_SKIPPED)
    return task.status == TaskStatus.PENDING or is_skipped
