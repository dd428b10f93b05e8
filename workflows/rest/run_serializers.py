"""How runs, their tasks, attempts and log lines look in REST, in and out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions, serializers

from executors.models import TaskLogLine
from workflows.definition.priority import Priority
from workflows.definition.secrets import Secrets
from workflows.definition.sections import Section
from workflows.models import TaskAttempt, TaskExecution, WorkflowRun
from workflows.rest import fields
from workflows.rest.serializers import ReasonField, StrictInput
from workflows.runs import selectors


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
    cancelled_by = ReasonField(
        allow_null=True,
        help_text="E-mail address of who cancelled it, or the hooks it ended with; null also when it was cancelled"
        " because the run above it does not wait for it any more.",
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
            "cancelled_by",
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
    wake_at = serializers.DateTimeField(
        help_text="When a task that waits is looked at again: of an approval, at its escalation if that is to come, "
        "then at its deadline.",
        allow_null=True,
    )
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
