"""The kind `workflow`: runs another workflow as one task."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from executors.base import ChildRun, JsonValue, Options, TaskContext, TaskRequest, TaskResult


class WorkflowOptions(Options):
    """Options of `workflow`.

    The run that the task starts is its child: a run like any other, of the same organization, environment and user. The
    worker that began the task is free at once: the task execution is `waiting` until the child ends. Its output is the
    child's `outputs`. A child that fails, fails it as `child_failed`; one that somebody cancels, as `child_cancelled`.
    What ends the task or its run before, a cancel or a time limit, cancels the child.
    """

    workflow: Annotated[str, Field(min_length=1)] = Field(description="Name or id of the workflow to run.")
    version: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Number of its version; the active one of when the task begins where none is given."
    )
    inputs: dict[str, JsonValue] = Field(default_factory=dict, description="Inputs of the child: name to value.")
    wait: bool = Field(
        default=True,
        description="Whether the task waits for the child. With `false` it succeeds at once, with "
        '`{"run_id": …}` as its output, and neither of the two runs is touched by what becomes of the other.',
    )


class WorkflowExecutor:
    """Asks the engine to start a run."""

    kind: ClassVar[str] = "workflow"
    summary: ClassVar[str] = "Runs another workflow, and waits for its end without holding a worker."
    Options = WorkflowOptions

    def execute(self, request: TaskRequest[WorkflowOptions], context: TaskContext) -> TaskResult:
        """Return the run that is to be started."""
        options = request.options
        child = ChildRun(
            workflow=options.workflow, version=options.version, inputs=options.inputs, is_awaited=options.wait
        )
        return TaskResult(waits_for=child)
