"""The admin's home page: what needs attention first."""

from __future__ import annotations

import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin.base import organizations_of, user_of
from accounts.permissions.roles import Permission
from executors.models import Worker
from workflows.runs import attention, counters

TEMPLATE = "workflows/admin/home.html"
MOST_WORKERS = 20


def fill_home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return the context of the home page; the theme calls this."""
    organizations = organizations_of(request, Permission.READ_RUNS)
    failed, number, has_more = attention.count_failed_runs(organizations)
    queued = attention.list_queued_tasks(organizations)
    now = timezone.now()
    sections = {
        "failed": failed,
        "failed_number": f"{number:,}+" if has_more else f"{number:,}",
        "long_runs": attention.list_long_runs(organizations),
        "waiting": attention.list_waiting_tasks(organizations),
        "queued": queued,
        "oldest_queued": now - queued[0].queued_at if queued and queued[0].queued_at else None,
        "now": now,
    }
    if user_of(request).is_superuser:
        sections |= _workers(now)
    return context | {"title": "What needs attention"} | sections


def _workers(now: datetime.datetime) -> dict[str, Any]:
    lost = Worker.objects.filter(lost_at__gt=now - attention.RECENT, has_stopped=False).order_by("-lost_at")
    return {
        "sees_workers": True,
        "counters": counters.read_counters(),
        "lost_workers": lost[:MOST_WORKERS],
        "alive_workers": Worker.objects.filter(lost_at=None).order_by("name")[:MOST_WORKERS],
    }


admin.site.index_template = TEMPLATE
