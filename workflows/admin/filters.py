"""Filters of the admin's lists, each served by an index."""

from __future__ import annotations

import datetime
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from unfold.contrib.filters.admin import RadioFilter

from workflows.runs.statuses import RunStatus, TaskStatus

_AGES = {
    "1h": ("last hour", datetime.timedelta(hours=1)),
    "24h": ("last 24 hours", datetime.timedelta(days=1)),
    "7d": ("last 7 days", datetime.timedelta(days=7)),
    "30d": ("last 30 days", datetime.timedelta(days=30)),
}


class _StatusFilter(RadioFilter):
    title = "status"
    parameter_name = "status"
    statuses: tuple[str, ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the statuses."""
        return [(status, status) for status in self.statuses]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow."""
        return queryset.filter(status=self.value()) if self.value() in self.statuses else queryset


class RunStatusFilter(_StatusFilter):
    """Narrows to runs in a status."""

    statuses = tuple(status.value for status in RunStatus)


class TaskStatusFilter(_StatusFilter):
    """Narrows to task executions in a status."""

    statuses = tuple(status.value for status in TaskStatus)


class CreatedFilter(RadioFilter):
    """Narrows to what was created lately."""

    title = "created"
    parameter_name = "created"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the ages."""
        return [(key, words) for key, (words, _) in _AGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow."""
        if self.value() not in _AGES:
            return queryset
        return queryset.filter(created_at__gt=Now() - _AGES[str(self.value())][1])


class UseFilter(RadioFilter):
    """Narrows to workflows in use or archived ones."""

    title = "use"
    parameter_name = "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("in_use", "in use"), ("archived", "archived")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow."""
        if self.value() not in ("in_use", "archived"):
            return queryset
        return queryset.filter(archived_at__isnull=self.value() == "in_use")
