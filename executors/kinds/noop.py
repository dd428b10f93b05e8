"""The kind `noop`: does nothing, or waits, or fails, as its options say. For trying out the shape of a workflow."""

from __future__ import annotations

import time
from typing import ClassVar

from pydantic import Field

from executors.base import CANCELLED, JsonValue, Options, TaskContext, TaskError, TaskRequest, TaskResult
from maestro.core.durations import Duration

POLL_SECONDS = 0.1


class NoopOptions(Options):
    """Options of `noop`."""

    duration: Duration = Field(
        default=0.0, description="How long to wait first: `200ms`, `3s`, `5m`, `2h`, `1d` or a number of seconds."
    )
    output: JsonValue = Field(default=None, description="The task's output: any JSON value.")
    fail: bool | str = Field(
        default=False, description="`true` fails the task after the wait; a text does so with that message."
    )


class NoopExecutor:
    """Waits, then succeeds with the given output or fails."""

    kind: ClassVar[str] = "noop"
    summary: ClassVar[str] = "Does nothing: waits if told to, then succeeds with a given output or fails."
    Options = NoopOptions

    def execute(self, request: TaskRequest[NoopOptions], context: TaskContext) -> TaskResult:
        """Wait for the duration, looking out for a cancel, and return what the options ask for."""
        options = request.options
        ends_at = time.monotonic() + options.duration
        while (remaining := ends_at - time.monotonic()) > 0:
            if context.is_cancelled():
                return TaskResult(error=CANCELLED)
            time.sleep(min(remaining, POLL_SECONDS))
        if options.fail is False:
            return TaskResult(output=options.output)
        message = options.fail if isinstance(options.fail, str) and options.fail else "Failed as its options asked."
        return TaskResult(error=TaskError(code="noop_failed", message=message))
