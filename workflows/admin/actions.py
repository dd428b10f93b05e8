"""What the buttons of the admin do: one service call as the signed-in person, and a message of how it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin

from accounts import selectors
from accounts.actor import Actor
from accounts.admin.base import told_as_message, user_of
from maestro.core.errors import MaestroError
from workflows.admin.decision_form import DecisionForm, PauseForm
from workflows.catalog import services as catalog
from workflows.errors import FormRefused
from workflows.models import TaskExecution, Workflow, WorkflowRun, WorkflowVersion
from workflows.parking import services as parking
from workflows.parking.approval import Outcome
from workflows.pauses import services as pauses
from workflows.pauses.services import PauseTarget
from workflows.runs import services as runs


def actor_in(request: HttpRequest, organization_id: UUID) -> Actor:
    """Return the signed-in person as actor in an organization. Raises `OrganizationNotChosen`."""
    return selectors.get_actor_in_organization(user_of(request), organization_id=organization_id)


def addresses(admin: ModelAdmin, views: Mapping[str, Callable[..., HttpResponse]]) -> list[URLPattern]:
    """Return the address of each button, verb to view, of the page of a row: only a POST reaches it."""
    name = f"{admin.opts.app_label}_{admin.opts.model_name}"
    return [
        path(f"<uuid:row_id>/{verb}/", admin.admin_site.admin_view(require_POST(view)), name=f"{name}_{verb}")
        for verb, view in views.items()
    ]


def cancel(request: HttpRequest, run: WorkflowRun) -> None:
    """Cancel a run."""
    with told_as_message(request):
        cancelled = runs.cancel_run(actor=actor_in(request, run.organization_id), run_id=run.id)
        ended = cancelled.finished_at is not None
        messages.success(
            request, "The run is cancelled." if ended else "The run ends as soon as its tasks have stopped."
        )


def pause(request: HttpRequest, organization_id: UUID, target: PauseTarget) -> None:
    """Pause a run or a workflow, for the reason that was typed."""
    form = PauseForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"The reason cannot be taken: {form.errors['reason'].as_text()}")
        return
    with told_as_message(request):
        reason = form.cleaned_data["reason"]
        pauses.pause(actor=actor_in(request, organization_id), target=target, reason=reason)
        messages.success(request, "It is paused: nothing of it begins until somebody resumes it.")


def resume(request: HttpRequest, organization_id: UUID, target: PauseTarget) -> None:
    """Resume a run or a workflow."""
    with told_as_message(request):
        pauses.resume(actor=actor_in(request, organization_id), target=target)
        messages.success(request, "It goes on, but for what another pause covers.")


def decide(request: HttpRequest, task: TaskExecution, outcome: Outcome, form: DecisionForm) -> bool:
    """Approve or reject what a task asks; tell whether that was done. The form says what is wrong with it."""
    try:
        parking.decide_approval(
            actor=actor_in(request, task.organization_id),
            run_id=task.run_id,
            task_key=task.task_key,
            outcome=outcome,
            comment=form.cleaned_data["comment"],
            form=form.inputs(),
        )
    except FormRefused as error:
        problems: list[dict[str, Any]] = error.details["errors"]  # type: ignore[assignment]
        form.add_problems({**each, "path": str(each["path"]).removeprefix("form.")} for each in problems)
        return False
    except MaestroError as error:
        form.add_error(None, error.message)
        return False
    messages.success(request, f"{task.task_key} is {outcome}.")
    return True


def activate(request: HttpRequest, version: WorkflowVersion) -> None:
    """Make a version the one that new runs use."""
    with told_as_message(request):
        actor = actor_in(request, version.organization_id)
        catalog.activate_version(actor=actor, reference=str(version.workflow_id), number=version.number)
        messages.success(request, f"New runs use version {version.number}.")


def archive(request: HttpRequest, workflow: Workflow) -> None:
    """Archive a workflow."""
    with told_as_message(request):
        catalog.archive_workflow(actor=actor_in(request, workflow.organization_id), reference=str(workflow.id))
        messages.success(request, f"{workflow.name} is archived: its name is free, its runs go on and stay readable.")
