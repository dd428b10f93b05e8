"""How the explanation of a run looks in REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from workflows.rest.serializers import ReasonField


class CauseOutput(serializers.Serializer[Any]):
    """One thing that keeps a run or a task."""

    code = serializers.CharField(help_text="Stable code, for example `paused`.")
    message = serializers.CharField()
    holder = ReasonField(allow_null=True, help_text="Who or what could end it.")
    until = serializers.DateTimeField(allow_null=True, help_text="When it ends by itself.")


class ExplainedTaskOutput(serializers.Serializer[Any]):
    """A task and what keeps it; of one that has ended, how it did."""

    task_key = serializers.CharField(source="task.task_key")
    map_index = serializers.IntegerField(source="task.map_index", allow_null=True)
    status = serializers.CharField(source="task.status")
    reason = ReasonField(source="task.reason", allow_null=True)
    causes = CauseOutput(many=True)
    child = serializers.SerializerMethodField(help_text="Of a task that waits for a run: what keeps that run.")

    @extend_schema_field({"type": ["object", "null"], "additionalProperties": {}})
    def get_child(self, explained: Any) -> Any:
        """Return the explanation of the run below."""
        return None if explained.child is None else ExplanationOutput(explained.child).data


class ExplanationOutput(serializers.Serializer[Any]):
    """Why a run does not go on."""

    run = serializers.UUIDField(source="run.id")
    workflow = serializers.CharField(source="run.workflow.name")
    status = serializers.CharField(source="run.status")
    causes = CauseOutput(many=True, help_text="What keeps all of it.")
    tasks = ExplainedTaskOutput(
        many=True,
        help_text="The tasks that others wait for; or the task that was asked for, then those it waits for.",
    )
    waiting_count = serializers.IntegerField(help_text="Open tasks that are not listed: they only wait for others.")
