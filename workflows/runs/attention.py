"""What needs somebody's attention first: failed runs, what takes long, what waits for a worker. Bounded reads only."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from workflows.models import TaskExecution, Workflow, WorkflowRun
from workflows.runs.statuses import RunStatus, TaskStatus

# Failed runs that are counted by workflow; of more, "1,000+" is said.
MOST_COUNTED = 1_000
# What has been open for longer is worth a look.
LONG = datetime.timedelta(hours=1)
RECENT = datetime.timedelta(days=1)
MOST_LISTED = 10

Organizations = Sequence[UUID] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRuns:
    """Failed runs of one workflow."""

    workflow: Workflow
    """The workflow."""
    number: int
    """Its runs among those counted."""
    latest_at: datetime.datetime
    """When the latest of them was created."""


def count_failed_runs(organizations: Organizations) -> tuple[list[FailedRuns], int, bool]:
    """Return the runs of the last day that failed, by workflow, how many in all, and whether more were left out."""
    rows = _scoped(WorkflowRun.objects.all(), organizations).filter(
        status=RunStatus.FAILED, created_at__gt=Now() - RECENT
    )
    found = list(rows.order_by("-created_at").values_list("workflow_id", "created_at")[: MOST_COUNTED + 1])
    latest: dict[UUID, datetime.datetime] = {}
    for workflow_id, created_at in found:
        latest.setdefault(workflow_id, created_at)
    counted = Counter(workflow_id for workflow_id, _ in found[:MOST_COUNTED]).most_common(MOST_LISTED)
    workflows = Workflow.objects.in_bulk([workflow_id for workflow_id, _ in counted])
    failed = [
        FailedRuns(workflow=workflows[workflow_id], number=number, latest_at=latest[workflow_id])
        for workflow_id, number in counted
        if workflow_id in workflows
    ]
    return failed, min(len(found), MOST_COUNTED), len(found) > MOST_COUNTED


def list_long_runs(organizations: Organizations) -> QuerySet[WorkflowRun]:
    """Return the runs that have been open the longest, if for long."""
    rows = _scoped(WorkflowRun.objects.all(), organizations).filter(
        status=RunStatus.RUNNING, created_at__lt=Now() - LONG
    )
    return (
        rows.select_related("workflow")
        .only("id", "created_at", "status", "reason", "workflow__name")
        .order_by("created_at")[:MOST_LISTED]
    )


def list_waiting_tasks(organizations: Organizations) -> QuerySet[TaskExecution]:
    """Return the tasks that have been waiting the longest, if for long."""
    return (
        _tasks(TaskStatus.WAITING, organizations)
        .filter(created_at__lt=Now() - LONG)
        .order_by("created_at")[:MOST_LISTED]
    )


def list_queued_tasks(organizations: Organizations) -> list[TaskExecution]:
    """Return the tasks that have been queued the longest, of every queue and priority."""
    queued = TaskExecution.objects.filter(status=TaskStatus.QUEUED)
    oldest: list[TaskExecution] = []
    for queue, priority in queued.order_by().values_list("queue", "priority").distinct():
        of_queue = _tasks(TaskStatus.QUEUED, organizations).filter(queue=queue, priority=priority)
        oldest += of_queue.order_by("queued_at")[:MOST_LISTED]
    return sorted(oldest, key=lambda task: task.queued_at or task.created_at)[:MOST_LISTED]


def _tasks(status: TaskStatus, organizations: Organizations) -> QuerySet[TaskExecution]:
    rows = _scoped(TaskExecution.objects.filter(status=status), organizations)
    return rows.select_related("run__workflow").only(
        "id", "task_key", "map_index", "status", "reason", "queue", "queued_at", "created_at", "run__workflow__name"
    )


def _scoped(rows: QuerySet, organizations: Organizations) -> QuerySet:  # type: ignore[type-arg]
    return rows if organizations is None else rows.filter(organization_id__in=organizations)
