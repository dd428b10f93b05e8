"""Workers in the admin: for superusers, read-only, because only the workers themselves and recovery write them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RadioFilter
from unfold.decorators import display

from accounts.admin.base import PlatformAdmin, ReadOnly
from executors.models import Worker
from maestro.core import shown

_STATUSES = {
    "alive": Q(lost_at=None),
    "stopped": Q(lost_at__isnull=False, has_stopped=True),
    "lost": Q(lost_at__isnull=False, has_stopped=False),
}


class StatusFilter(RadioFilter):
    """Narrows to workers that are alive, were stopped, or were lost."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the statuses."""
        return [(status, status) for status in _STATUSES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Worker]) -> QuerySet[Worker]:
        """Narrow."""
        chosen = _STATUSES.get(self.value() or "")
        return queryset.filter(chosen) if chosen is not None else queryset


@admin.register(Worker)
class WorkerAdmin(ReadOnly, PlatformAdmin):
    """Workers, the latest first; one that restarts is a new row."""

    list_display = ("name", "shown_status", "concurrency", "holds", "heartbeat_at", "started_at", "lost_at")
    list_filter = (StatusFilter,)
    # An id begins with its worker's own time, which may be wrong.
    ordering = ("-started_at", "-id")
    fields = (
        "name",
        "status_text",
        "id",
        "pid",
        "concurrency",
        "shown_queues",
        "started_at",
        "heartbeat_at",
        "lost_at",
        "held_at",
        "shown_held",
    )

    @display(description="status")
    def status_text(self, worker: Worker) -> str:
        """Return the status as plain text."""
        return _status_of(worker)

    @display(description="status", label=dict(shown.STATUS_VARIANTS))
    def shown_status(self, worker: Worker) -> str:
        """Return whether it is alive, was stopped, or was lost."""
        return _status_of(worker)

    @display(description="holds")
    def holds(self, worker: Worker) -> str:
        """Return how many messages it holds."""
        return f"{len(worker.held)} message{'' if len(worker.held) == 1 else 's'}"

    @display(description="queues")
    def shown_queues(self, worker: Worker) -> str:
        """Return its queues."""
        return ", ".join(worker.queues)

    @display(description="messages it holds")
    def shown_held(self, worker: Worker) -> str:
        """Return the ids of the messages it holds: run, task key, generation and time."""
        return shown.text_block("\n".join(worker.held))


def _status_of(worker: Worker) -> str:
    if worker.lost_at is None:
        return "alive"
    return "stopped" if worker.has_stopped else "lost"
