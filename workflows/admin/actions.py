"""What the buttons of the admin do: one service call as the signed-in person, and a message of how it went."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest

from accounts import selectors
from accounts.actor import Actor
from accounts.admin.base import told_as_message, user_of
from workflows.catalog import services as catalog
from workflows.models import Workflow, WorkflowRun, WorkflowVersion
from workflows.runs import services as runs


def actor_in(request: HttpRequest, organization_id: UUID) -> Actor:
    """Return the signed-in person as actor in an organization. Raises `OrganizationNotChosen`."""
    return selectors.get_actor_in_organization(user_of(request), organization_id=organization_id)


def cancel(request: HttpRequest, run: WorkflowRun) -> None:
    """Cancel a run."""
    with told_as_message(request):
        cancelled = runs.cancel_run(actor=actor_in(request, run.organization_id), run_id=run.id)
        ended = cancelled.finished_at is not None
        messages.success(
            request, "The run is cancelled." if ended else "The run ends as soon as its tasks have stopped."
        )


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
