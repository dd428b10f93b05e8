"""The kind `signal`: waits until somebody sends the run a signal of a name, without a worker."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from executors.base import JsonValue, Options, TaskContext, TaskError, TaskRequest, TaskResult, Wait
from workflows.definition.input_schema import complete
from workflows.definition.limits import Limit
from workflows.definition.model_problems import told_as
from workflows.runs.statuses import Reason

SIGNAL_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$"
_NAME = "must be 1 to 100 letters, digits, `_`, `-` and `.`, the first one no `-` or `.`"


class SignalOptions(Options):
    """Options of `signal`: none is required.

    A signal is sent to a run by `maestro signal` or `POST /api/v1/workflow-runs/{id}/signals`, before or after the task
    begins to wait. Its payload is the task's output. Each signal ends one wait, the oldest signal first; of several
    tasks that wait for the same name, the first in the order of the graph takes it.
    """

    name: Annotated[str, Field(pattern=SIGNAL_NAME), told_as(_NAME)] | None = Field(
        default=None,
        description="Name of the signal, the same for all runs: no expression. Without it, the key of the task.",
    )
    payload_schema: dict[str, JsonValue] | None = Field(
        alias="schema",
        default=None,
        description="JSON Schema of the payload, as that of an input: no expression. A signal whose payload does not "
        "fit is refused.",
    )
    timeout: Limit | None = Field(
        default=None,
        description="How long to wait at most, such as `2d`. Without it, the task waits as long as it takes.",
    )
    default: JsonValue = Field(
        default=None,
        description="The output when the time is over: no expression. Without it, the task then fails as "
        "`signal_timeout`.",
    )

    @model_validator(mode="after")
    def _default_has_a_time(self) -> Self:
        if "default" in self.model_fields_set and self.timeout is None:
            raise ValueError("`default` is for when the time is over; give a `timeout` too")
        return self


class SignalExecutor:
    """Asks the engine to wait."""

    kind: ClassVar[str] = "signal"
    summary: ClassVar[str] = "Waits for a signal that somebody sends to the run, without holding a worker."
    Options = SignalOptions

    def execute(self, request: TaskRequest[SignalOptions], context: TaskContext) -> TaskResult:
        """Return the signal as what the attempt waits for."""
        options = request.options
        name = options.name or request.task_key
        details = {"name": name, "timeout_seconds": options.timeout}
        context.write_line(f"Waiting for the signal {name}.", stream="log")
        return TaskResult(waits_for=Wait(reason=Reason.SIGNAL, seconds=options.timeout, details=details))


def when_due(details: Mapping[str, JsonValue], options: Mapping[str, JsonValue], now: datetime.datetime) -> TaskResult:
    """Return what the wait comes to when its time is over."""
    if "default" in options:
        return TaskResult(output=complete(options.get("schema"), options["default"]))
    message = f"No signal {details['name']!r} came within the {details['timeout_seconds']:g} s that the task waits."
    return TaskResult(error=TaskError(code="signal_timeout", message=message))
