"""Runs in the admin: read-only but for pausing and cancelling, because only the engine changes them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from unfold.decorators import display

from accounts.admin.base import OrganizationAdmin, ReadOnly, may
from accounts.permissions.roles import Permission
from maestro.core import shown
from workflows.admin import actions, graph
from workflows.admin.decision_form import PauseForm
from workflows.admin.drawing import TaskLook, draw_tasks
from workflows.admin.filters import CreatedFilter, RunStatusFilter
from workflows.explanation import selectors as explanation
from workflows.models import TaskExecution, Workflow, WorkflowRun
from workflows.pauses import selectors as pauses
from workflows.pauses.services import PauseTarget
from workflows.runs import selectors
from workflows.runs.statuses import RunStatus, TaskStatus

# Workflows whose runs one search shows.
MOST_NAMED = 20
# An id may be searched by its beginning, from where it says more than the day.
LEAST_ID_DIGITS = 8
_ID_DIGITS = 32
# Statuses in the order in which somebody who looks for trouble reads them.
_BY_TROUBLE = (
    *(TaskStatus.FAILED, TaskStatus.RUNNING, TaskStatus.WAITING, TaskStatus.QUEUED, TaskStatus.PENDING),
    *(TaskStatus.CANCELLED, TaskStatus.SKIPPED, TaskStatus.SUCCEEDED),
)
MOST_LISTED = 20


@admin.register(WorkflowRun)
class WorkflowRunAdmin(ReadOnly, OrganizationAdmin):
    """Runs, newest first."""

    read_permission = Permission.READ_RUNS
    list_display = ("shown_name", "shown_status", "created_at", "shown_duration", "user", "organization")
    list_select_related = ("workflow", "workflow_version", "user", "organization")
    list_filter = (RunStatusFilter, CreatedFilter)
    lookups = ("workflow__id__exact", "workflow_version__id__exact")
    ordering = ("-created_at", "-id")
    sortable_by = ()
    search_fields = ("id", "workflow__name")
    search_help_text = "Name of a workflow, or the id of a run or its beginning"
    fields = (
        "shown_workflow",
        "shown_inputs",
        "shown_outputs",
        "created_at",
        "start_at",
        "started_at",
        "deadline_at",
        "finished_at",
        "shown_duration",
        "user",
        "cancelled_by",
        "organization",
        "environment",
        "trigger_type",
        "shown_parent",
        "id",
    )
    change_form_template = "workflows/admin/run.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowRun]:
        """Return the runs with what their page names; the lists leave out the large columns."""
        rows: QuerySet[WorkflowRun] = super().get_queryset(request)
        rows = rows.filter(pruned_at=None).select_related(*self.list_select_related, "environment", "parent_task")
        return rows.defer("workflow_version__definition", "workflow_version__plan", "parent_task__output")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[WorkflowRun], search_term: str
    ) -> tuple[QuerySet[WorkflowRun], bool]:
        """Find runs by id, by its beginning, or by the names of their workflows: never by reading all runs."""
        term = search_term.strip()
        if not term:
            return queryset, False
        named = list(Workflow.objects.filter(name__icontains=term).values_list("id", flat=True)[:MOST_NAMED])
        wanted = Q(workflow_id__in=named)
        digits = term.replace("-", "").lower()
        if LEAST_ID_DIGITS <= len(digits) <= _ID_DIGITS and set(digits) <= set("0123456789abcdef"):
            first, last = (UUID(digits.ljust(_ID_DIGITS, filler)) for filler in "0f")
            wanted = Q(id__range=(first, last)) if not named else wanted | Q(id__range=(first, last))
        return queryset.filter(wanted), False

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of pausing, resuming and cancelling."""
        views = {"cancel": self.cancel, "pause": self.pause, "resume": self.resume}
        return [*actions.addresses(self, views), *super().get_urls()]

    def cancel(self, request: HttpRequest, row_id: UUID) -> HttpResponse:
        """Cancel a run."""
        run = get_object_or_404(self.get_queryset(request), id=row_id)
        actions.cancel(request, run)
        return _to(run)

    def pause(self, request: HttpRequest, row_id: UUID) -> HttpResponse:
        """Pause a run."""
        run = get_object_or_404(self.get_queryset(request), id=row_id)
        actions.pause(request, run.organization_id, PauseTarget(run_id=run.id))
        return _to(run)

    def resume(self, request: HttpRequest, row_id: UUID) -> HttpResponse:
        """Resume a run."""
        run = get_object_or_404(self.get_queryset(request), id=row_id)
        actions.resume(request, run.organization_id, PauseTarget(run_id=run.id))
        return _to(run)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Show the run with its tasks."""
        run = kwargs.get("obj")
        if isinstance(run, WorkflowRun):
            is_open = not RunStatus(run.status).is_terminal
            context |= _tasks_of(run) | {
                "title": run.workflow.name,
                "subtitle": None,
                "run_id": str(run.id),
                "took": run.finished_at - run.started_at if run.finished_at and run.started_at else None,
                "may_start": may(request, Permission.START_RUNS, run.organization_id),
            }
            if is_open:
                context |= _doings_of(request, run)
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="run", header=True)
    def shown_name(self, run: WorkflowRun) -> list[str]:
        """Return the workflow, the version and the id."""
        return [run.workflow.name, f"version {run.workflow_version.number} · {run.id}"]

    @display(description="workflow")
    def shown_workflow(self, run: WorkflowRun) -> str:
        """Return links to the workflow and the version."""
        return format_html(
            '<a class="maestro-link" href="{}">{}</a>, <a class="maestro-link" href="{}">version {}</a>',
            reverse("admin:workflows_workflow_change", args=[run.workflow_id]),
            run.workflow.name,
            reverse("admin:workflows_workflowversion_change", args=[run.workflow_version_id]),
            run.workflow_version.number,
        )

    @display(description="status", label=dict(shown.STATUS_VARIANTS))
    def shown_status(self, run: WorkflowRun) -> tuple[str, str]:
        """Return the status, with its reason."""
        return shown.status(run.status, run.reason)

    @display(description="duration")
    def shown_duration(self, run: WorkflowRun) -> str:
        """Return how long the run took; of one that goes on, nothing."""
        return shown.duration_between(run.started_at, run.finished_at)

    @display(description="started by task")
    def shown_parent(self, run: WorkflowRun) -> str:
        """Return a link to the task that started the run."""
        if run.parent_task is None:
            return shown.NOTHING
        address = reverse("admin:workflows_taskexecution_change", args=[run.parent_task_id])
        name, above = run.parent_task.task_key, run.parent_task.run_id
        return format_html('<a class="maestro-link" href="{}">{}</a> of run {}', address, name, above)

    @display(description="inputs")
    def shown_inputs(self, run: WorkflowRun) -> str:
        """Return the inputs; secret ones are not shown."""
        return shown.json_block(selectors.shown_inputs(run))

    @display(description="outputs")
    def shown_outputs(self, run: WorkflowRun) -> str:
        """Return the outputs; the secrets of the inputs are not shown."""
        return (
            shown.json_block(selectors.secrets_of(run).hide_in(run.outputs))
            if run.outputs is not None
            else shown.NOTHING
        )


def _to(run: WorkflowRun) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:workflows_workflowrun_change", args=[run.id]))


def _doings_of(request: HttpRequest, run: WorkflowRun) -> dict[str, Any]:
    """Return what keeps a run that is not over, and what the person may do to it."""
    actor = actions.actor_in(request, run.organization_id)
    is_ending = run.hold == 2
    return {
        "causes": explanation.list_causes(actor=actor, run=run),
        "may_cancel": not is_ending and may(request, Permission.CANCEL_RUNS, run.organization_id),
        "may_pause": not is_ending and may(request, Permission.PAUSE_RUNS, run.organization_id),
        "is_paused_itself": pauses.find_pause_of_run(actor=actor, run_id=run.id) is not None,
        "pause_form": PauseForm(),
    }


def _tasks_of(run: WorkflowRun) -> dict[str, Any]:
    """Return what the page says of the tasks: how many in each status, and a graph or the ones in trouble."""
    tasks = TaskExecution.objects.filter(run=run, map_index=None)
    counts = dict(tasks.order_by().values_list("status").annotate(number=Count("id")))
    base = reverse("admin:workflows_taskexecution_changelist")
    total = sum(counts.values())
    context: dict[str, Any] = {
        "task_count": total,
        "all_tasks_url": f"{base}?{urlencode({'run__id__exact': str(run.id)})}",
        "status_counts": [
            {"status": status, "number": counts[status], "url": _narrowed(base, run, status)}
            for status in _BY_TROUBLE
            if status in counts
        ],
    }
    if total <= graph.MOST_DRAWN:
        return context | {"graph": _drawn(tasks)}
    listed: list[TaskExecution] = []
    for status in _BY_TROUBLE:
        if status in counts and len(listed) < MOST_LISTED:
            listed += tasks.filter(status=status).order_by("position").defer("output")[: MOST_LISTED - len(listed)]
    return context | {"listed": listed, "most_drawn": graph.MOST_DRAWN}


def _narrowed(base: str, run: WorkflowRun, status: str) -> str:
    return f"{base}?{urlencode({'run__id__exact': str(run.id), 'status': str(status)})}"


def _drawn(tasks: QuerySet[TaskExecution]) -> dict[str, Any]:
    looks = {}
    for task in tasks.order_by("position").defer("output", "error_message"):
        took = task.finished_at - task.started_at if task.finished_at and task.started_at else None
        said = shown.duration(took) if took is not None else task.reason if task.status == TaskStatus.WAITING else ""
        looks[task.task_key] = TaskLook(
            needs=task.needs,
            status=task.status,
            below=f"{task.status}, {said}" if said else task.status,
            url=reverse("admin:workflows_taskexecution_change", args=[task.id]),
        )
    return draw_tasks(looks)
