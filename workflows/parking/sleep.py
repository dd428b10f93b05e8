"""The kind `sleep`: waits for a time, without a worker."""

from __future__ import annotations

import contextlib
import datetime
from typing import Annotated, ClassVar, Self

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from executors.base import Options, TaskContext, TaskRequest, TaskResult, Wait
from maestro.core.durations import Duration
from workflows.definition.limits import LONGEST_SECONDS
from workflows.runs.statuses import Reason


def _parse_moment(value: object) -> datetime.datetime:
    if isinstance(value, str):
        with contextlib.suppress(ValueError, OverflowError):
            moment = datetime.datetime.fromisoformat(value.upper())
            if moment.tzinfo is not None:
                return moment.astimezone(datetime.UTC)
    raise ValueError("must be a date and time with its zone, such as 2030-01-31T08:00:00Z or 2030-01-31T09:00:00+01:00")


class SleepOptions(Options):
    """Options of `sleep`: one of the two.

    The worker that began the task is free at once: the task execution is `waiting` until the time has come. It ends
    within a second of it, has no output, and survives restarts of whatever runs.
    """

    duration: Annotated[Duration, Field(le=LONGEST_SECONDS)] | None = Field(
        default=None,
        description="How long to wait, from when the task begins: `200ms`, `3s`, `5m`, `2h`, `1d` or a number of "
        "seconds.",
    )
    until: Annotated[datetime.datetime, BeforeValidator(_parse_moment, json_schema_input_type=AwareDatetime)] | None = (
        Field(
            default=None,
            description="When to go on: a date and time with its zone, `2030-01-31T08:00:00Z`. A time that is past does"
            " not wait.",
        )
    )

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.duration is None) == (self.until is None):
            raise ValueError("needs either `duration` or `until`")
        return self


class SleepExecutor:
    """Asks the engine to wait."""

    kind: ClassVar[str] = "sleep"
    summary: ClassVar[str] = "Waits for a time, or until one, without holding a worker: for seconds or for months."
    Options = SleepOptions

    def execute(self, request: TaskRequest[SleepOptions], context: TaskContext) -> TaskResult:
        """Return the time as what the attempt waits for."""
        options = request.options
        return TaskResult(waits_for=Wait(reason=Reason.SLEEP, seconds=options.duration, until=options.until))
