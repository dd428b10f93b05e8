"""How signals and approvals look in REST, in and out."""

from __future__ import annotations

import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.actor import Actor
from accounts.selectors import Member
from workflows.definition.awaited import form_of
from workflows.definition.sections import find_task
from workflows.models import ApprovalDecision, RunSignal, TaskExecution
from workflows.parking import approval, selectors
from workflows.rest.serializers import ReasonField, StrictInput
from workflows.runs import selectors as runs


class SignalInput(StrictInput):
    """A signal for a run."""

    name = serializers.CharField(max_length=100, help_text="Name that a task of the run waits for.")
    payload = serializers.JSONField(
        required=False, allow_null=True, default=None, help_text="Any JSON value that fits the signal's schema."
    )
    id = serializers.CharField(
        required=False,
        max_length=200,
        default="",
        help_text="Your own id of the signal: sent again with the same one, it is the same signal.",
    )


class DecisionInput(StrictInput):
    """What goes with a decision."""

    comment = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=2000, help_text="A word to the decision."
    )
    form = serializers.DictField(
        child=serializers.JSONField(allow_null=True),
        default=dict,
        help_text="Answer by name, as the approval's `form` asks.",
        error_messages={"not_a_dict": "must be an object of names to answers"},
    )


class SignalOutput(serializers.ModelSerializer[RunSignal]):
    """A signal that was sent to a run."""

    id = ReasonField(source="key", allow_null=True, help_text="The sender's own id of it.")
    run = serializers.UUIDField(source="run_id")
    payload = serializers.SerializerMethodField(help_text="Any JSON value. Secret inputs are masked in it.")
    sent_by = serializers.SerializerMethodField(help_text="E-mail address of who sent it; null when the user is gone.")
    taken_by = serializers.SerializerMethodField(help_text="Key of the task that took it; null while none has.")

    class Meta:
        model = RunSignal
        fields = ["id", "run", "name", "payload", "sent_by", "received_at", "taken_by", "taken_at"]
        read_only_fields = fields

    def get_sent_by(self, signal: RunSignal) -> str | None:
        """Return who sent it."""
        return signal.user.email if signal.user else None

    def get_taken_by(self, signal: RunSignal) -> str | None:
        """Return which task took it."""
        return signal.task_execution.task_key if signal.task_execution else None

    @extend_schema_field(OpenApiTypes.ANY)
    def get_payload(self, signal: RunSignal) -> Any:
        """Return the payload without the secrets of the run's inputs."""
        return self.context["secrets"].hide_in(signal.payload)


class ApproversOutput(serializers.Serializer[Any]):
    """Who may decide."""

    roles = serializers.ListField(child=serializers.CharField())
    users = serializers.ListField(child=serializers.CharField(), help_text="E-mail addresses.")


class ApprovalOutput(serializers.ModelSerializer[TaskExecution]):
    """A task that waits for a decision."""

    run = serializers.UUIDField(source="run_id")
    workflow = serializers.CharField(source="run.workflow.name")
    message = serializers.SerializerMethodField(help_text="What is asked.")
    form = serializers.SerializerMethodField(help_text="What has to be answered to approve: name → JSON Schema.")
    approvers = serializers.SerializerMethodField(help_text="Who may decide; null for whoever may cancel the run.")
    is_escalated = serializers.SerializerMethodField(help_text="Whether those of the escalation may decide by now.")
    may_decide = serializers.SerializerMethodField(help_text="Whether you may decide.")
    waits_since = serializers.DateTimeField(source="started_at")
    escalates_at = serializers.SerializerMethodField(
        help_text="When those of the escalation may decide too; null without one, and once they may."
    )
    deadline_at = serializers.SerializerMethodField(help_text="When nobody may decide any more; null for never.")
    on_deadline = serializers.SerializerMethodField(
        help_text="What happens then: `approve`, `reject`, or null when the task fails."
    )

    class Meta:
        model = TaskExecution
        fields = [
            "run",
            "workflow",
            "task_key",
            "message",
            "form",
            "approvers",
            "is_escalated",
            "may_decide",
            "waits_since",
            "escalates_at",
            "deadline_at",
            "on_deadline",
        ]
        read_only_fields = fields

    def get_message(self, task: TaskExecution) -> str:
        """Return the question, from which the engine has taken the secrets of the run."""
        return str(_details(task).get("message", ""))

    def get_form(self, task: TaskExecution) -> dict[str, Any]:
        """Return the form, as the definition has it."""
        return form_of(find_task(task.run.workflow_version.definition, task.task_key).get("with") or {})

    @extend_schema_field(ApproversOutput(allow_null=True))
    def get_approvers(self, task: TaskExecution) -> Any:
        """Return who may decide now, without the secrets of the run."""
        lists = approval.approver_lists(_details(task))
        if not lists:
            return None
        named = {each: [one for part in lists for one in part[each]] for each in ("roles", "users")}
        return runs.secrets_of(task.run).hide_in({each: list(dict.fromkeys(names)) for each, names in named.items()})

    def get_is_escalated(self, task: TaskExecution) -> bool:
        """Tell whether the escalation has come."""
        return bool(_details(task)["is_escalated"])

    def get_may_decide(self, task: TaskExecution) -> bool:
        """Tell whether who asks may decide."""
        actor: Actor = self.context["actor"]
        member: Member = self.context["member"]
        return selectors.may_decide(actor=actor, member=member, details=_details(task))

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_escalates_at(self, task: TaskExecution) -> Any:
        """Return when the escalation comes."""
        return _moment(approval.escalates_at(_details(task), task.wake_at))

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_deadline_at(self, task: TaskExecution) -> Any:
        """Return the deadline."""
        return _moment(approval.deadline_of(_details(task), task.wake_at))

    @extend_schema_field(serializers.ChoiceField(["approve", "reject"], allow_null=True))
    def get_on_deadline(self, task: TaskExecution) -> Any:
        """Return what the deadline decides."""
        return _details(task)["on_deadline"]


class DecisionOutput(serializers.ModelSerializer[ApprovalDecision]):
    """What was decided."""

    run = serializers.UUIDField(source="task_execution.run_id")
    task_key = serializers.CharField(source="task_execution.task_key")
    outcome = serializers.ChoiceField(list(approval.Outcome))
    by = serializers.CharField(source="email", help_text="E-mail address of who decided.")
    form = serializers.DictField(help_text="Answer by name, with the form's defaults.")

    class Meta:
        model = ApprovalDecision
        fields = ["run", "task_key", "outcome", "by", "comment", "form", "decided_at"]
        read_only_fields = fields


def _details(task: TaskExecution) -> dict[str, Any]:
    return task.waits_for or {}


def _moment(moment: datetime.datetime | None) -> Any:
    return None if moment is None else serializers.DateTimeField().to_representation(moment)
