"""Workflows in the admin: their versions and runs, and the buttons that run, pause and archive them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import display

from accounts.admin.base import OrganizationAdmin, ReadOnly, may
from accounts.permissions.roles import Permission
from maestro.core import shown
from maestro.core.errors import MaestroError
from maestro.core.ids import parse_id
from workflows.admin import actions
from workflows.admin.decision_form import PauseForm
from workflows.admin.filters import UseFilter
from workflows.admin.run_form import RunForm, typed_inputs
from workflows.errors import InputsRefused
from workflows.explanation.causes import say_pause
from workflows.models import Pause, Workflow, WorkflowRun
from workflows.pauses import selectors as pauses
from workflows.pauses.services import PauseTarget
from workflows.runs import services

# What a workflow's page lists; the rest is one click away.
LATEST = 10
# Names, in the address of the form, the run whose inputs it begins with.
EARLIER = "from"


@admin.register(Workflow)
class WorkflowAdmin(ReadOnly, OrganizationAdmin):
    """Workflows by name."""

    read_permission = Permission.READ_WORKFLOWS
    list_display = ("shown_name", "shown_version", "latest_status", "latest_at", "organization", "updated_at")
    list_select_related = ("organization", "active_version")
    list_filter = (UseFilter,)
    ordering = ("name", "id")
    sortable_by = ()
    search_fields = ("name",)
    fields = ("name", "description", "organization", "created_at", "updated_at", "archived_at", "id")
    change_form_template = "workflows/admin/workflow.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workflow]:
        """Return the workflows with the status of each one's latest run."""
        rows: QuerySet[Workflow] = super().get_queryset(request)
        latest = WorkflowRun.objects.filter(workflow=OuterRef("id"), pruned_at=None).order_by("-created_at")
        return (
            rows.select_related(*self.list_select_related)
            .defer("active_version__plan", "active_version__definition")
            .annotate(
                latest_run_status=Subquery(latest.values("status")[:1]),
                latest_run_at=Subquery(latest.values("created_at")[:1]),
            )
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of running, archiving, pausing and resuming."""
        run = path("<uuid:row_id>/run/", self.admin_site.admin_view(self.run), name="workflows_workflow_run")
        views = {"archive": self.archive, "pause": self.pause, "resume": self.resume}
        return [run, *actions.addresses(self, views), *super().get_urls()]

    def run(self, request: HttpRequest, row_id: UUID) -> HttpResponse:
        """Ask for the inputs, then start a run."""
        workflow = get_object_or_404(self.get_queryset(request), id=row_id)
        version = workflow.active_version
        if version is None or workflow.archived_at is not None:
            messages.error(request, f"{workflow.name} is archived or has no version: it starts no runs.")
            return self._to(workflow)
        schemas = version.definition.get("inputs") or {}
        initial = typed_inputs(schemas, self._inputs_of_earlier(request, workflow))
        form = RunForm(request.POST or None, schemas=schemas, initial=initial)
        if request.method == "POST" and form.is_valid():
            run = self._start(request, workflow, form)
            if run is not None:
                return HttpResponseRedirect(reverse("admin:workflows_workflowrun_change", args=[run.id]))
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "form": form,
            "title": f"Run {workflow.name}",
            "workflow": workflow,
            "version": version,
        }
        return TemplateResponse(request, "workflows/admin/run_form.html", context)

    def archive(self, request: HttpRequest, row_id: UUID) -> HttpResponse:
        """Archive a workflow."""
        workflow = get_object_or_404(self.get_queryset(request), id=row_id)
        actions.archive(request, workflow)
        return self._to(workflow)

    def pause(self, request: HttpRequest, row_id: UUID) -> HttpResponse:
        """Pause a workflow."""
        workflow = get_object_or_404(self.get_queryset(request), id=row_id)
        actions.pause(request, workflow.organization_id, PauseTarget(workflow=str(workflow.id)))
        return self._to(workflow)

    def resume(self, request: HttpRequest, row_id: UUID) -> HttpResponse:
        """Resume a workflow."""
        workflow = get_object_or_404(self.get_queryset(request), id=row_id)
        actions.resume(request, workflow.organization_id, PauseTarget(workflow=str(workflow.id)))
        return self._to(workflow)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Show the workflow with its latest versions and runs."""
        workflow = kwargs.get("obj")
        if isinstance(workflow, Workflow):
            runs = WorkflowRun.objects.filter(workflow=workflow, pruned_at=None).order_by("-created_at")
            is_in_use = workflow.archived_at is None and workflow.active_version_id is not None
            pause = _find_pause(request, workflow)
            context |= {
                "title": workflow.name,
                "subtitle": None,
                "versions": workflow.versions.order_by("-number").defer("plan", "definition")[:LATEST],
                "runs": runs.select_related("user", "workflow_version").defer(
                    "inputs", "outputs", "workflow_version__plan", "workflow_version__definition"
                )[:LATEST],
                "may_run": is_in_use and may(request, Permission.START_RUNS, workflow.organization_id),
                "may_pause": may(request, Permission.PAUSE_RUNS, workflow.organization_id),
                "pause": say_pause(pause) if pause else None,
                "pause_form": PauseForm(),
                "may_archive": is_in_use and may(request, Permission.WRITE_WORKFLOWS, workflow.organization_id),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def _inputs_of_earlier(self, request: HttpRequest, workflow: Workflow) -> dict[str, Any]:
        """Return the inputs of the run that is to be repeated; none where the address names no run of the workflow."""
        earlier = parse_id(request.GET.get(EARLIER, ""))
        run = WorkflowRun.objects.filter(id=earlier, workflow=workflow, pruned_at=None).first() if earlier else None
        return run.inputs if run is not None and may(request, Permission.READ_RUNS, workflow.organization_id) else {}

    def _start(self, request: HttpRequest, workflow: Workflow, form: RunForm) -> WorkflowRun | None:
        """Start a run; None when it is refused, with the reasons in the form."""
        try:
            run = services.start_run(
                actor=actions.actor_in(request, workflow.organization_id),
                reference=str(workflow.id),
                inputs=form.inputs(),
            )
        except InputsRefused as error:
            form.add_problems(error.details["errors"])  # type: ignore[arg-type]
            return None
        except MaestroError as error:
            form.add_error(None, error.message)
            return None
        messages.success(request, "The run has started.")
        return run

    def _to(self, workflow: Workflow) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:workflows_workflow_change", args=[workflow.id]))

    @display(description="workflow", header=True)
    def shown_name(self, workflow: Workflow) -> list[str]:
        """Return the name and the beginning of the description."""
        text = workflow.description.strip().partition("\n")[0]
        return [workflow.name, text if len(text) <= 80 else f"{text[:79]}…"]

    @display(description="version", empty_value=shown.NOTHING)
    def shown_version(self, workflow: Workflow) -> str | None:
        """Return the number of the active version, or that the workflow is archived."""
        if workflow.archived_at is not None:
            return "archived"
        return str(workflow.active_version.number) if workflow.active_version else None

    @display(description="latest run", label=dict(shown.STATUS_VARIANTS))
    def latest_status(self, workflow: Any) -> str | None:
        """Return how the latest run stands."""
        status: str | None = workflow.latest_run_status
        return status

    @display(description="started", empty_value=shown.NOTHING)
    def latest_at(self, workflow: Any) -> Any:
        """Return when the latest run was created."""
        return workflow.latest_run_at


def _find_pause(request: HttpRequest, workflow: Workflow) -> Pause | None:
    """Return the pause of a workflow, if the person may know of it."""
    if not may(request, Permission.READ_RUNS, workflow.organization_id):
        return None
    return pauses.find_pause_of_workflow(
        actor=actions.actor_in(request, workflow.organization_id), workflow_id=workflow.id
    )
