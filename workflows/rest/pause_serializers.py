"""How pauses look in REST, in and out."""

from __future__ import annotations

from rest_framework import serializers

from workflows.models import Pause
from workflows.rest.serializers import ReasonField, StrictInput


class PauseInput(StrictInput):
    """Why something is paused."""

    reason = serializers.CharField(
        max_length=1000, allow_blank=True, default="", help_text="For those who find it paused."
    )


class PauseOutput(serializers.ModelSerializer[Pause]):
    """A pause: what nothing begins in, since when, by whom and why."""

    run = serializers.UUIDField(source="run_id", allow_null=True, help_text="The run, if it is one.")
    workflow = serializers.CharField(source="workflow.name", allow_null=True, help_text="The workflow, if it is one.")
    queue = ReasonField(allow_null=True, help_text="The queue, if it is one.")
    reason = ReasonField(allow_null=True)
    paused_by = serializers.EmailField(source="paused_by.email", allow_null=True)
    resumed_by = serializers.EmailField(source="resumed_by.email", allow_null=True)

    class Meta:
        model = Pause
        fields = [
            "id",
            "scope",
            "run",
            "workflow",
            "queue",
            "reason",
            "paused_by",
            "paused_at",
            "resumed_by",
            "resumed_at",
        ]
        read_only_fields = fields
