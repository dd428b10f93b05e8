"""How workflows, runs and task executions look in REST, in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.request import Request

from executors.models import TaskLogLine
from maestro.core.rest.openapi import ProblemEntry
from workflows.definition.document import Document, parse_document
from workflows.definition.priority import Priority
from workflows.definition.secrets import Secrets
from workflows.definition.sections import Section
from workflows.models import Pause, TaskAttempt, TaskExecution, Workflow, WorkflowRun, WorkflowVersion
from workflows.rest import fields
from workflows.runs import selectors


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


class RunInput(StrictInput):
    """What a run starts with."""

    inputs = serializers.DictField(
        child=serializers.JSONField(allow_null=True),
        default=dict,
        help_text="Input name → value.",
        error_messages={"not_a_dict": "must be an object of input names to values"},
    )
    version = serializers.IntegerField(
        min_value=1, required=False, allow_null=True, help_text="Default: the active version."
    )
    start_at = fields.TimeField(
        required=False, allow_null=True, help_text="When the run begins, `2030-01-31T08:00:00Z`. Default: at once."
    )
    delay = fields.DurationField(
        required=False, allow_null=True, help_text="How long it waits before it begins, `90s` or `2h`; or `start_at`."
    )
    deadline = fields.TimeOrDurationField(
        required=False,
        allow_null=True,
        help_text="When it is ended, finished or not: a time, or how long after its start, `45m`.",
    )
    priority = serializers.ChoiceField(
        [priority.value for priority in Priority],
        required=False,
        allow_null=True,
        help_text="Whose tasks workers take first. Default: what the workflow says, or `normal`.",
        error_messages={"invalid_choice": "must be high, normal or low"},
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse two ways to say when the run begins."""
        if attrs.get("start_at") is not None and attrs.get("delay") is not None:
            message = "says when the run begins, and so does `start_at`: give one of them"
            raise exceptions.ValidationError({"delay": exceptions.ErrorDetail(message, "conflict")})
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


class ParentOutput(serializers.Serializer[TaskExecution]):
    """The task that started a run."""

    run_id = serializers.UUIDField(help_text="Its run.")
    task_key = serializers.CharField()


class RunOutput(serializers.ModelSerializer[WorkflowRun]):
    """A run."""

    workflow = serializers.CharField(source="workflow.name")
    version = serializers.IntegerField(source="workflow_version.number")
    reason = ReasonField(allow_null=True)
    inputs = serializers.SerializerMethodField(help_text="Input name → value; secrets are masked.")
    outputs = serializers.SerializerMethodField(
        help_text="Output name → value; null before the run has succeeded. Secret inputs are masked in it."
    )
    error_message = ReasonField(allow_null=True)
    is_paused = serializers.SerializerMethodField(help_text="Whether nothing of it begins; `/pauses?run=` says why.")
    parent = ParentOutput(
        source="parent_task",
        allow_null=True,
        help_text="The task of kind `workflow` that started the run; null when somebody else did.",
    )
    outcome = ReasonField(
        allow_null=True,
        help_text="The status it ends with, as soon as that is decided: while its hooks run, or what a `stop` told to"
        " stop; null before.",
    )

    class Meta:
        model = WorkflowRun
        fields = [
            "id",
            "workflow",
            "version",
            "status",
            "reason",
            "is_paused",
            "priority",
            "outcome",
            "inputs",
            "outputs",
            "error_message",
            "parent",
            "created_at",
            "start_at",
            "started_at",
            "deadline_at",
            "finished_at",
        ]
        read_only_fields = fields

    def get_is_paused(self, run: WorkflowRun) -> bool:
        """Tell whether a pause covers the whole run."""
        return run.hold == 1

    def get_inputs(self, run: WorkflowRun) -> dict[str, Any]:
        """Return the inputs without their secrets."""
        return selectors.shown_inputs(run)

    def get_outputs(self, run: WorkflowRun) -> dict[str, Any] | None:
        """Return the outputs without the secrets of the inputs."""
        outputs: dict[str, Any] | None = selectors.secrets_of(run).hide_in(run.outputs)
        return outputs


class TaskExecutionOutput(serializers.ModelSerializer[TaskExecution]):
    """One task of a run."""

    run = serializers.UUIDField(source="run_id")
    reason = ReasonField(allow_null=True)
    lost_attempts = serializers.IntegerField(
        source="platform_failures", help_text="Attempts that were lost, because their worker or its process died."
    )
    error_code = ReasonField(allow_null=True)
    section = serializers.ChoiceField(
        choices=[section.value for section in Section], help_text="Which part of the definition it stands in."
    )
    output = serializers.SerializerMethodField(
        help_text="Any JSON value; null before the task has succeeded. Secret inputs are masked in it."
    )
    wake_at = serializers.DateTimeField(help_text="When a task that waits is looked at again.", allow_null=True)
    child_run_id = serializers.UUIDField(
        help_text="The run that a task of kind `workflow` has started, the latest when it was tried again.",
        allow_null=True,
    )
    error_message = ReasonField(allow_null=True)
    worker = ReasonField(allow_null=True)

    class Meta:
        model = TaskExecution
        fields = [
            "id",
            "run",
            "task_key",
            "section",
            "map_index",
            "kind",
            "status",
            "reason",
            "attempt",
            "lost_attempts",
            "wake_at",
            "child_run_id",
            "needs",
            "continue_on_error",
            "output",
            "error_code",
            "error_message",
            "created_at",
            "queued_at",
            "started_at",
            "finished_at",
            "worker",
        ]
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.ANY)
    def get_output(self, task: TaskExecution) -> Any:
        """Return the output without the secrets of the run's inputs."""
        secrets: Secrets = self.context["secrets"]
        return secrets.hide_in(task.output)


class TaskAttemptOutput(serializers.ModelSerializer[TaskAttempt]):
    """An attempt after which its task was tried again."""

    task_key = serializers.CharField(source="task_execution.task_key")
    map_index = serializers.IntegerField(source="task_execution.map_index", allow_null=True)
    status = serializers.ChoiceField(["failed", "lost"], help_text="`lost` when its worker was.")

    class Meta:
        model = TaskAttempt
        fields = [
            "id",
            "task_key",
            "map_index",
            "attempt",
            "status",
            "error_code",
            "error_message",
            "worker",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields


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


class LogLineOutput(serializers.ModelSerializer[TaskLogLine]):
    """One line an attempt wrote."""

    class Meta:
        model = TaskLogLine
        fields = ["id", "task_key", "map_index", "attempt", "stream", "level", "message", "created_at"]
        read_only_fields = fields


LAST_ID = serializers.IntegerField(help_text="Pass it as `after` to read on; the same as before when there is no news.")
IS_PRUNED = serializers.BooleanField(
    help_text="True when the run ended so long ago that its lines are not kept, and are deleted."
)


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


class KindOutput(serializers.Serializer[Any]):
    """An executor kind."""

    kind = serializers.CharField()
    summary = serializers.CharField()
    options_schema = serializers.DictField(help_text="JSON Schema of `with:`.")
