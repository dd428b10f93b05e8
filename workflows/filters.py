"""Filters of lists of runs and of log lines, for every interface."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.db.models import QuerySet

from executors.choices import LogLevel
from executors.models import TaskLogLine
from maestro.core.ids import parse_id
from workflows.models import WorkflowRun
from workflows.runs.statuses import RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to show; what is None does not narrow."""

    status: RunStatus | None = None
    """Runs in this status."""
    workflow: str | None = None
    """Runs of the workflow of this name or id."""
    created_after: datetime.datetime | None = None
    """Runs created later than this."""
    created_before: datetime.datetime | None = None
    """Runs created earlier than this."""

    def apply(self, runs: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
        """Narrow a list of runs."""
        workflow_id = parse_id(self.workflow) if self.workflow is not None else None
        wanted = {
            "status": self.status,
            "workflow_id": workflow_id,
            "workflow__name": self.workflow if workflow_id is None else None,
            "created_at__gt": self.created_after,
            "created_at__lt": self.created_before,
        }
        return runs.filter(**{field: value for field, value in wanted.items() if value is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which log lines to show; what is None does not narrow."""

    task_key: str | None = None
    """Lines of this task, its items included."""
    attempt: int | None = None
    """Lines of attempts of this number."""
    level: LogLevel | None = None
    """Lines of this level or above."""
    after: int | None = None
    """Lines after the one of this id."""

    def apply(self, lines: QuerySet[TaskLogLine]) -> QuerySet[TaskLogLine]:
        """Narrow a list of log lines."""
        wanted = {
            "task_key": self.task_key,
            "attempt": self.attempt,
            "level__in": self.level.and_above if self.level else None,
            "id__gt": self.after,
        }
        return lines.filter(**{field: value for field, value in wanted.items() if value is not None})
