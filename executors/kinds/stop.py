"""The kind `stop`: ends the run before its other tasks have ended."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from executors.base import JsonValue, Options, RunStop, TaskContext, TaskRequest, TaskResult


class StopOptions(Options):
    """Options of `stop`.

    What has not begun never will, and what runs is asked to stop, as by a cancel. Then the run ends as told, with the
    reason `stopped`, however its other tasks have ended; the task that stopped it has succeeded. Who stops or cancels
    a run first decides.
    """

    status: Literal["succeeded", "failed"] = Field(
        default="succeeded", description="How the run ends: `succeeded` (the default) or `failed`."
    )
    message: str = Field(default="", description="What a person reads about it.")
    outputs: dict[str, JsonValue] = Field(
        default_factory=dict, description="The outputs of a run that ends as succeeded, in the place of its own."
    )

    @model_validator(mode="after")
    def _has_outputs_only_when_succeeded(self) -> Self:
        if self.status == "failed" and self.outputs:
            raise ValueError("has no `outputs` when `status` is failed")
        return self


class StopExecutor:
    """Asks the engine to end the run."""

    kind: ClassVar[str] = "stop"
    summary: ClassVar[str] = "Ends the run early, as succeeded or as failed."
    Options = StopOptions

    def execute(self, request: TaskRequest[StopOptions], context: TaskContext) -> TaskResult:
        """Return how the run is to end."""
        options = request.options
        message = options.message
        if not message and options.status == "failed":
            message = f"Task {request.task_key} stopped the run."
        return TaskResult(
            stops=RunStop(succeeds=options.status == "succeeded", message=message, outputs=options.outputs)
        )
