"""Task executions and attempts in the admin: read-only but for decisions, because only the engine changes them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from unfold.decorators import display

from accounts import selectors as accounts
from accounts.admin.base import OrganizationAdmin, PlatformAdmin, ReadOnly, organizations_of
from accounts.permissions.roles import Permission
from executors.models import TaskLogLine
from maestro.core import shown
from workflows.admin import actions
from workflows.admin.decision_form import DecisionForm
from workflows.admin.filters import TaskStatusFilter
from workflows.definition.awaited import form_of
from workflows.definition.sections import find_task
from workflows.explanation import selectors as explanation
from workflows.models import TaskAttempt, TaskExecution, WorkflowRun
from workflows.parking import selectors as parking
from workflows.parking.approval import Outcome
from workflows.runs import selectors
from workflows.runs.statuses import Reason, TaskStatus

# Without a run, a list shows the tasks of so many of the latest runs; the rows of all runs have no order to be read in.
LATEST_RUNS = 100
_OF_RUN = "run__id__exact"
_IN_FLIGHT = ("queued", "running", "waiting")
MOST_LINES = 200
MOST_ATTEMPTS = 50


@admin.register(TaskExecution)
class TaskExecutionAdmin(ReadOnly, OrganizationAdmin):
    """Task executions: of a run, in flight anywhere, or of the latest runs."""

    read_permission = Permission.READ_RUNS
    list_display = ("shown_task", "shown_status", "kind", "attempt", "started_at", "shown_duration", "worker")
    list_select_related = ("run__workflow",)
    list_filter = (TaskStatusFilter,)
    list_before_template = "workflows/admin/task_list_scope.html"
    lookups = (_OF_RUN,)
    sortable_by = ()
    search_fields = ("task_key",)
    search_help_text = "Key of a task, or its beginning"
    fields = (
        "shown_run",
        "kind",
        "shown_needs",
        "run_if",
        "shown_counts",
        "queue",
        "worker",
        "created_at",
        "queued_at",
        "started_at",
        "finished_at",
        "shown_duration",
        "wake_at",
        "shown_child",
        "shown_output",
    )
    change_form_template = "workflows/admin/task.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskExecution]:
        """Return the tasks with the run they belong to."""
        rows: QuerySet[TaskExecution] = super().get_queryset(request).filter(run__pruned_at=None)
        is_list = request.resolver_match is not None and request.resolver_match.url_name == _LIST
        if not is_list:
            return rows.select_related("run__workflow", "run__workflow_version", "parent").defer(
                "run__workflow_version__plan"
            )
        rows = rows.defer("output", "error_message", "run__inputs", "run__outputs")
        if _OF_RUN in request.GET or request.GET.get("status") in _IN_FLIGHT:
            return rows
        runs = WorkflowRun.objects.order_by("-created_at", "-id")
        allowed = organizations_of(request, self.read_permission)
        runs = runs if allowed is None else runs.filter(organization_id__in=allowed)
        return rows.filter(run_id__in=list(runs.values_list("id", flat=True)[:LATEST_RUNS]))

    def get_urls(self) -> list[URLPattern]:
        """Add the address of deciding."""
        view = self.admin_site.admin_view(self.decide)
        return [path("<int:task_id>/decide/", view, name="workflows_taskexecution_decide"), *super().get_urls()]

    def decide(self, request: HttpRequest, task_id: int) -> HttpResponse:
        """Ask for the answers of an approval and a comment, then approve or reject."""
        task = get_object_or_404(self.get_queryset(request), id=task_id)
        page = HttpResponseRedirect(reverse("admin:workflows_taskexecution_change", args=[task.id]))
        if not _is_approval(task):
            messages.error(request, f"{task.task_key} does not wait for a decision.")
            return page
        options = find_task(task.run.workflow_version.definition, task.task_key).get("with") or {}
        form = DecisionForm(request.POST or None, schemas=form_of(options))
        outcome = request.POST.get("outcome")
        if outcome in set(Outcome) and form.is_valid() and actions.decide(request, task, Outcome(outcome), form):
            return page
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "form": form,
            "title": f"Decide {task.task_key}",
            "task": task,
            "question": (task.waits_for or {}).get("message", ""),
        }
        return TemplateResponse(request, "workflows/admin/decision_form.html", context)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Sort a run's tasks as they depend on each other, those in flight by age, all else newest first."""
        if _OF_RUN in request.GET:
            return ("position", "map_index", "id")
        return ("created_at", "id") if request.GET.get("status") in _IN_FLIGHT else ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TaskExecution], search_term: str
    ) -> tuple[QuerySet[TaskExecution], bool]:
        """Find tasks by the beginning of their key."""
        term = search_term.strip()
        return queryset.filter(task_key__startswith=term) if term else queryset, False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list, and which tasks it is a list of."""
        scope: dict[str, Any] = {"latest_runs": LATEST_RUNS, "of_run": request.GET.get(_OF_RUN)}
        scope["in_flight"] = request.GET.get("status") in _IN_FLIGHT
        return super().changelist_view(request, (extra_context or {}) | {"scope": scope})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Show the task with its attempts and the end of its log."""
        task = kwargs.get("obj")
        if isinstance(task, TaskExecution):
            context |= {"title": task.task_key, "subtitle": None} | _history_of(task)
            if task.status == TaskStatus.WAITING:
                actor = actions.actor_in(request, task.run.organization_id)
                context["causes"] = explanation.list_causes(actor=actor, run=task.run, task=task)
                if _is_approval(task):
                    context["question"] = (task.waits_for or {}).get("message", "")
                    context["may_decide"] = parking.may_decide(
                        actor=actor, member=accounts.get_member(actor=actor), details=task.waits_for or {}
                    )
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="task", header=True)
    def shown_task(self, task: TaskExecution) -> list[str]:
        """Return the key, with its place among the items of a `for_each` task, and the workflow."""
        return [_name(task), task.run.workflow.name]

    @display(description="run")
    def shown_run(self, task: TaskExecution) -> str:
        """Return a link to the run."""
        address = reverse("admin:workflows_workflowrun_change", args=[task.run_id])
        return format_html('{}, <a class="maestro-link" href="{}">{}</a>', task.run.workflow.name, address, task.run_id)

    @display(description="status", label=dict(shown.STATUS_VARIANTS))
    def shown_status(self, task: TaskExecution) -> tuple[str, str]:
        """Return the status, with its reason."""
        return shown.status(task.status, task.reason)

    @display(description="duration")
    def shown_duration(self, task: TaskExecution) -> str:
        """Return how long the latest attempt took."""
        return shown.duration_between(task.started_at, task.finished_at)

    @display(description="needs")
    def shown_needs(self, task: TaskExecution) -> str:
        """Return the tasks it waits for."""
        return ", ".join(task.needs) or shown.NOTHING

    @display(description="attempts")
    def shown_counts(self, task: TaskExecution) -> str:
        """Return how often it was tried, and why again."""
        return f"{task.attempt}; {task.tries} failed, {task.platform_failures} lost by the platform"

    @display(description="child run")
    def shown_child(self, task: TaskExecution) -> str:
        """Return a link to the run that the task has started."""
        if task.child_run_id is None:
            return shown.NOTHING
        address = reverse("admin:workflows_workflowrun_change", args=[task.child_run_id])
        return format_html('<a class="maestro-link" href="{}">{}</a>', address, task.child_run_id)

    @display(description="output")
    def shown_output(self, task: TaskExecution) -> str:
        """Return the output; the secrets of the run's inputs are not shown."""
        if task.output is None:
            return shown.NOTHING
        return shown.json_block(selectors.secrets_of(task.run).hide_in(task.output))


@admin.register(TaskAttempt)
class TaskAttemptAdmin(ReadOnly, PlatformAdmin):
    """Attempts that did not end their task, latest first. Those of one task stand on its page, for everybody."""

    list_display = ("shown_task", "attempt", "shown_status", "error_code", "worker", "finished_at")
    list_select_related = ("task_execution",)
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        "shown_task",
        "attempt",
        "status",
        "error_code",
        "shown_error",
        "late_status",
        "late_at",
        "worker",
        "started_at",
        "finished_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskAttempt]:
        """Return the attempts with their task."""
        rows: QuerySet[TaskAttempt] = super().get_queryset(request)
        return rows.select_related("task_execution").defer("task_execution__output")

    @display(description="task")
    def shown_task(self, attempt: TaskAttempt) -> str:
        """Return the task's key."""
        return attempt.task_execution.task_key

    @display(description="status", label=dict(shown.STATUS_VARIANTS))
    def shown_status(self, attempt: TaskAttempt) -> str:
        """Return how the attempt ended."""
        return attempt.status

    @display(description="error")
    def shown_error(self, attempt: TaskAttempt) -> str:
        """Return why."""
        return shown.text_block(attempt.error_message)


_LIST = "workflows_taskexecution_changelist"


def _is_approval(task: TaskExecution) -> bool:
    return task.status == TaskStatus.WAITING and task.reason == Reason.APPROVAL


def _name(task: TaskExecution) -> str:
    return task.task_key if task.map_index is None else f"{task.task_key}[{task.map_index}]"


def _history_of(task: TaskExecution) -> dict[str, Any]:
    lines = TaskLogLine.objects.filter(run_id=task.run_id, task_key=task.task_key, map_index=task.map_index)
    latest = list(lines.order_by("-id")[: MOST_LINES + 1])
    query = urlencode({"task_key": task.task_key})
    return {
        "attempts": task.attempts.order_by("-attempt")[:MOST_ATTEMPTS],
        "lines": latest[:MOST_LINES][::-1],
        "has_more_lines": len(latest) > MOST_LINES,
        "log_url": f"/api/v1/workflow-runs/{task.run_id}/logs?{query}",
    }
