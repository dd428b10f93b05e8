"""Reading what was sent to runs, and what waits for a decision."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import QuerySet

from accounts.actor import Actor
from accounts.permissions.roles import Permission
from accounts.selectors import Member
from workflows.definition.values import JsonValue
from workflows.models import RunSignal, TaskExecution, WorkflowRun
from workflows.parking import approval
from workflows.runs.statuses import Reason, TaskStatus


def list_signals(*, actor: Actor, run: WorkflowRun) -> QuerySet[RunSignal]:
    """Return the signals that were sent to a run."""
    actor.require(Permission.READ_RUNS)
    signals = RunSignal.objects.filter(organization_id=actor.organization_id, run=run)
    return signals.select_related("task_execution", "user")


def list_approvals(*, actor: Actor) -> QuerySet[TaskExecution]:
    """Return the tasks of the organization that wait for a decision, whoever may decide."""
    actor.require(Permission.READ_RUNS)
    waiting = TaskExecution.objects.filter(
        organization_id=actor.organization_id,
        status=TaskStatus.WAITING,
        reason=Reason.APPROVAL,
        run__pruned_at=None,
    )
    return waiting.select_related("run__workflow", "run__workflow_version")


def may_decide(*, actor: Actor, member: Member, details: Mapping[str, JsonValue]) -> bool:
    """Tell whether the actor may decide an approval, given what is known of its wait."""
    if Permission.DECIDE_APPROVALS not in actor.permissions:
        return False
    may_cancel = Permission.CANCEL_RUNS in actor.permissions
    return approval.may_decide(details, role=member.role, email=member.email, may_cancel=may_cancel)
