"""Filters of run lists, for every interface."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.db.models import QuerySet

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
