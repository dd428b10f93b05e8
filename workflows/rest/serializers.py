"""How workflows, runs and task executions look in REST, in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from executors.models import TaskLogLine
from workflows.definition.document import Document, parse_document
from workflows.models import TaskExecution, Workflow, WorkflowRun, WorkflowVersion


class DefinitionInput(serializers.Serializer[Any]):
    """A definition, as an object or as YAML or JSON text."""

    definition = serializers.JSONField(help_text="The definition: an object, or its YAML or JSON text.")

    def document(self) -> Document:
        """Return the posted definition as a document. Raises `DefinitionInvalid` where its text cannot be read."""
        given = self.validated_data["definition"]
        return parse_document(given) if isinstance(given, str) else Document.of(given)


class RunInput(serializers.Serializer[Any]):
    """What a run starts with."""

    inputs = serializers.DictField(
        child=serializers.JSONField(allow_null=True), default=dict, help_text="Input name → value."
    )
    version = serializers.IntegerField(
        min_value=1, required=False, allow_null=True, help_text="Default: the active version."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse keys nobody reads, so that a misspelt one does not silently do nothing."""
        unknown = sorted(set(self.initial_data) - set(self.fields)) if isinstance(self.initial_data, Mapping) else []
        if unknown:
            raise serializers.ValidationError(
                dict.fromkeys(unknown, "This field is unknown. A run takes `inputs` and `version`.")
            )
        return attrs


class ReasonField(serializers.CharField):
    """An empty text is shown as null."""

    def to_representation(self, value: str) -> Any:
        """Show the text, or null."""
        return value or None


class WorkflowOutput(serializers.ModelSerializer[Workflow]):
    """A workflow with its active version."""

    version = serializers.IntegerField(source="active_version.number", help_text="Number of the active version.")
    content_hash = serializers.CharField(source="active_version.content_hash")
    inputs = serializers.SerializerMethodField(help_text="Input name → JSON Schema.")
    task_count = serializers.SerializerMethodField()
    is_archived = serializers.SerializerMethodField()

    class Meta:
        model = Workflow
        fields = [
            "id",
            "name",
            "description",
            "version",
            "content_hash",
            "inputs",
            "task_count",
            "is_archived",
            "created_at",
            "updated_at",
        ]

    def get_inputs(self, workflow: Workflow) -> dict[str, Any]:
        """Return the input schemas of the active version."""
        assert workflow.active_version is not None
        inputs: dict[str, Any] = workflow.active_version.definition.get("inputs") or {}
        return inputs

    def get_task_count(self, workflow: Workflow) -> int:
        """Return how many tasks the active version has."""
        assert workflow.active_version is not None
        return len(workflow.active_version.definition["tasks"])

    def get_is_archived(self, workflow: Workflow) -> bool:
        """Tell whether the workflow is out of use."""
        return workflow.archived_at is not None


class VersionOutput(serializers.ModelSerializer[WorkflowVersion]):
    """A version with its definition."""

    is_active = serializers.SerializerMethodField()

    class Meta:
        model = WorkflowVersion
        fields = ["number", "content_hash", "is_active", "definition", "created_at"]

    def get_is_active(self, version: WorkflowVersion) -> bool:
        """Tell whether new runs use this version."""
        return bool(version.id == self.context["active_version_id"])


class ProblemOutput(serializers.Serializer[Any]):
    """One thing wrong with a definition."""

    path = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    column = serializers.IntegerField(allow_null=True)


class ValidationOutput(serializers.Serializer[Any]):
    """Whether a definition is valid."""

    valid = serializers.BooleanField()
    problems = ProblemOutput(many=True)


class CanvasOutput(serializers.Serializer[Any]):
    """The canvas a version compiles to."""

    workflow = serializers.CharField()
    version = serializers.IntegerField()
    canvas = serializers.ListField(child=serializers.DictField())
    text = serializers.CharField()


class RunOutput(serializers.ModelSerializer[WorkflowRun]):
    """A run."""

    workflow = serializers.CharField(source="workflow.name")
    version = serializers.IntegerField(source="workflow_version.number")
    reason = ReasonField(allow_null=True)
    error_message = ReasonField(allow_null=True)

    class Meta:
        model = WorkflowRun
        fields = [
            "id",
            "workflow",
            "version",
            "status",
            "reason",
            "inputs",
            "outputs",
            "error_message",
            "created_at",
            "started_at",
            "finished_at",
        ]


class TaskExecutionOutput(serializers.ModelSerializer[TaskExecution]):
    """One task of a run."""

    run = serializers.UUIDField(source="run_id")
    reason = ReasonField(allow_null=True)
    error_message = ReasonField(allow_null=True)
    worker = ReasonField(allow_null=True)

    class Meta:
        model = TaskExecution
        fields = [
            "id",
            "run",
            "task_key",
            "map_index",
            "kind",
            "status",
            "reason",
            "attempt",
            "needs",
            "output",
            "error_message",
            "created_at",
            "queued_at",
            "started_at",
            "finished_at",
            "worker",
        ]


class LogLineOutput(serializers.ModelSerializer[TaskLogLine]):
    """One line an attempt wrote."""

    class Meta:
        model = TaskLogLine
        fields = ["id", "task_key", "map_index", "attempt", "stream", "level", "message", "created_at"]


class KindOutput(serializers.Serializer[Any]):
    """An executor kind."""

    kind = serializers.CharField()
    summary = serializers.CharField()
    options_schema = serializers.DictField(help_text="JSON Schema of `with:`.")
