"""Workflows and runs in the admin: read-only, because only the engine changes them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from workflows.models import Workflow, WorkflowRun


class _ReadOnly(admin.ModelAdmin[Any]):
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Workflow)
class WorkflowAdmin(_ReadOnly):
    """Workflows."""

    list_display = ("name", "organization", "active_version", "updated_at", "archived_at")
    list_select_related = ("organization", "active_version")
    search_fields = ("name",)


@admin.register(WorkflowRun)
class WorkflowRunAdmin(_ReadOnly):
    """Runs, newest first."""

    list_display = ("id", "workflow", "status", "reason", "created_at", "started_at", "finished_at")
    list_select_related = ("workflow",)
    list_filter = ("status",)
    exclude = ("inputs", "outputs")  # as stored, with their secrets
    ordering = ("-created_at",)
