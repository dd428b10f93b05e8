"""Versions of workflows in the admin: the definition to read, what changed, and activating."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.decorators import display

from accounts.admin.base import OrganizationAdmin, ReadOnly, may
from accounts.permissions.roles import Permission
from maestro.core import shown
from workflows.admin import actions, graph
from workflows.admin.drawing import TaskLook, draw_tasks
from workflows.admin.reading import in_reading_order
from workflows.catalog import selectors
from workflows.compiler.plan import MAIN, PlannedTask
from workflows.models import WorkflowVersion


@admin.register(WorkflowVersion)
class WorkflowVersionAdmin(ReadOnly, OrganizationAdmin):
    """Versions, immutable; the list is reached from a workflow."""

    read_permission = Permission.READ_WORKFLOWS
    list_display = ("shown_name", "is_active", "created_by", "created_at")
    list_select_related = ("workflow", "created_by")
    lookups = ("workflow__id__exact",)
    ordering = ("-id",)
    sortable_by = ()
    fields = ("shown_workflow", "is_active", "content_hash", "created_by", "created_at", "id")
    change_form_template = "workflows/admin/version.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowVersion]:
        """Return the versions with what their page names; the plan is read where it is drawn."""
        rows: QuerySet[WorkflowVersion] = super().get_queryset(request)
        rows = rows.select_related("workflow", "created_by", "organization").defer("plan")
        is_list = request.resolver_match is not None and request.resolver_match.url_name == _LIST
        return rows.defer("definition") if is_list else rows

    def get_urls(self) -> list[URLPattern]:
        """Add the address of activating."""
        view = self.admin_site.admin_view(require_POST(self.activate))
        return [
            path("<uuid:version_id>/activate/", view, name="workflows_workflowversion_activate"),
            *super().get_urls(),
        ]

    def activate(self, request: HttpRequest, version_id: UUID) -> HttpResponse:
        """Make the version the one that new runs use."""
        version = get_object_or_404(self.get_queryset(request), id=version_id)
        actions.activate(request, version)
        return HttpResponseRedirect(reverse("admin:workflows_workflowversion_change", args=[version.id]))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Show the definition, what changed, and the graph."""
        version = kwargs.get("obj")
        if isinstance(version, WorkflowVersion):
            workflow = version.workflow
            is_active = workflow.active_version_id == version.id
            may_write = may(request, Permission.WRITE_WORKFLOWS, version.organization_id)
            context |= _content_of(version) | {
                "title": f"{workflow.name}, version {version.number}",
                "subtitle": None,
                "is_active_version": is_active,
                "may_activate": may_write and not is_active and workflow.archived_at is None,
            }
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="version", header=True)
    def shown_name(self, version: WorkflowVersion) -> list[str]:
        """Return the number and the workflow."""
        return [f"version {version.number}", version.workflow.name]

    @display(description="active", boolean=True)
    def is_active(self, version: WorkflowVersion) -> bool:
        """Tell whether new runs use it."""
        return version.workflow.active_version_id == version.id

    @display(description="workflow")
    def shown_workflow(self, version: WorkflowVersion) -> str:
        """Return a link to the workflow."""
        address = reverse("admin:workflows_workflow_change", args=[version.workflow_id])
        return format_html('<a class="maestro-link" href="{}">{}</a>', address, version.workflow.name)


_LIST = "workflows_workflowversion_changelist"


def _content_of(version: WorkflowVersion) -> dict[str, Any]:
    plan = selectors.get_plan(version)
    previous = (
        WorkflowVersion.objects.filter(workflow_id=version.workflow_id, number__lt=version.number)
        .order_by("-number")
        .only("number", "definition")
        .first()
    )
    keys = [task.key for task in plan.tasks]
    definition = in_reading_order(version.definition, keys)
    context: dict[str, Any] = {
        "definition": shown.yaml_block(definition),
        "task_count": len(plan.tasks),
        "previous": previous,
    }
    if previous is not None:
        context["difference"] = shown.difference_block(in_reading_order(previous.definition, keys), definition)
    if len(plan.tasks) <= graph.MOST_DRAWN:
        context["graph"] = draw_tasks(
            {
                task.key: TaskLook(needs=[plan.tasks[need].key for need in task.needs], below=_below(task))
                for task in plan.tasks
            }
        )
    return context


def _below(task: PlannedTask) -> str:
    return task.kind if task.section == MAIN else f"{task.kind}, {task.section}"
