"""How workflows, their versions and the kinds look in REST, in and out; and what all serializers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rest_framework import exceptions, serializers
from rest_framework.request import Request

from maestro.core.rest.openapi import ProblemEntry
from workflows.definition.document import Document, parse_document
from workflows.models import Workflow, WorkflowVersion


class StrictInput(serializers.Serializer[Any]):
    """Base of what clients send: a member nobody reads is refused, so that a misspelt one does not do nothing."""

    default_error_messages = {
        "invalid": "must be a JSON object",
        "null": "must be a JSON object, not null",
    }

    def to_internal_value(self, data: Any) -> Any:
        """Return the values; refuse unknown members by name, together with all else that is wrong."""
        given = set(data) if isinstance(data, Mapping) else set()
        message = f"is not known here; known are {', '.join(self.fields)}"
        problems: dict[str, Any] = {
            name: exceptions.ErrorDetail(message, "unknown_key") for name in sorted(given - set(self.fields))
        }
        value: Any = None
        try:
            value = super().to_internal_value(data)
        except exceptions.ValidationError as error:
            problems |= cast("dict[str, Any]", error.detail)
        if problems:
            raise exceptions.ValidationError(problems)
        return value


class DefinitionInput(StrictInput):
    """A definition, as an object or as YAML or JSON text."""

    definition = serializers.JSONField(help_text="The definition: an object, or its YAML or JSON text.")

    @classmethod
    def posted(cls, request: Request) -> DefinitionInput:
        """Return the definition in a body; an empty one, which the framework does not parse, is an empty document."""
        given = cls(data=request.data if request.stream is not None else {"definition": ""})
        given.is_valid(raise_exception=True)
        return given

    def document(self) -> Document:
        """Return the posted definition as a document. Raises `DefinitionInvalid` where its text cannot be read."""
        given = self.validated_data["definition"]
        return parse_document(given) if isinstance(given, str) else Document.of(given)


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
        read_only_fields = fields

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
    definition = serializers.DictField(help_text="The definition as authored.")

    class Meta:
        model = WorkflowVersion
        fields = ["number", "content_hash", "is_active", "definition", "created_at"]
        read_only_fields = fields

    def get_is_active(self, version: WorkflowVersion) -> bool:
        """Tell whether new runs use this version."""
        return bool(version.id == self.context["active_version_id"])


class ValidationOutput(serializers.Serializer[Any]):
    """Whether a definition is valid."""

    valid = serializers.BooleanField()
    problems = ProblemEntry(many=True)


class CanvasOutput(serializers.Serializer[Any]):
    """The canvas a version compiles to."""

    workflow = serializers.CharField()
    version = serializers.IntegerField()
    canvas = serializers.ListField(child=serializers.DictField())
    text = serializers.CharField()


class KindOutput(serializers.Serializer[Any]):
    """An executor kind."""

    kind = serializers.CharField()
    summary = serializers.CharField()
    options_schema = serializers.DictField(help_text="JSON Schema of `with:`.")
