"""The port every executor kind implements: one task attempt in, one result out. Pure: no Django, Celery or IO here."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

JsonValue = Any  # None, bool, int, float, str, list or dict of the same: what JSON can say

MAX_OUTPUT_BYTES = 1024 * 1024
"""An output larger than this, written as JSON, fails its attempt."""


class Options(BaseModel):
    """Base of a kind's `with:` options. Unknown keys are refused; its JSON Schema is shown to users."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """Why an attempt failed."""

    code: str
    """Stable snake_case code, for example `exit_status`."""
    message: str
    """For the person who reads it; no secrets."""
    is_platform_fault: bool = False
    """True when the platform, not the user's task, is to blame."""
    is_retryable: bool = True
    """False when trying again cannot help."""
    retry_after: float | None = None
    """Seconds before which another attempt makes no sense, as the other side said; None when it did not."""


CANCELLED = TaskError(code="cancelled", message="Cancelled while it was running.", is_retryable=False)
"""The error of an attempt that stopped because `TaskContext.is_cancelled` said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimit:
    """How long one attempt may take."""

    allowed_seconds: float
    """From its beginning on; infinite without a limit."""
    seconds_left: float
    """From now on; infinite without a limit."""
    grace_seconds: float
    """How long it may take to stop when it is told to."""


def timed_out(seconds: float) -> TaskError:
    """Return the error of an attempt that took longer than the seconds it may."""
    # An attempt may begin after the time of its whole task is over, before somebody ends the task.
    shown = f"{max(seconds, 0):.2f}".rstrip("0").rstrip(".")
    return TaskError(code="timed_out", message=f"The attempt took longer than the {shown} s it may take.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CeleryCall:
    """A call of a Celery task that is somebody else's."""

    task: str
    """Name under which its workers know the task."""
    args: tuple[JsonValue, ...] = ()
    """Positional arguments."""
    kwargs: Mapping[str, JsonValue] = field(default_factory=dict)
    """Keyword arguments."""
    queue: str | None = None
    """Queue to send it to; None for the one its task or the platform names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Something outside that a task waits for, without a worker; who ends it is known by the reason."""

    reason: str
    """What it waits for: the reason of the task execution while it waits."""
    seconds: float | None = None
    """For how long at most; None for ever, or until `until`."""
    until: datetime.datetime | None = None
    """Until when at most."""
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    """What whoever ends it needs to know; kept with the task execution."""
    message: str = ""
    """What people are told about it; kept with the details, without the secrets of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStop:
    """How a run is to end before its tasks have ended."""

    succeeds: bool
    """Whether it ends as succeeded; else as failed."""
    message: str = ""
    """What a person reads about it."""
    outputs: Mapping[str, JsonValue] = field(default_factory=dict)
    """The outputs of a run that succeeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRun:
    """A run of another workflow that the task starts."""

    workflow: str
    """Name or id of the workflow."""
    version: int | None = None
    """Number of its version; None for the active one."""
    inputs: Mapping[str, JsonValue] = field(default_factory=dict)
    """What it starts with."""
    is_awaited: bool = True
    """Whether its end is the task's; else the task has succeeded once it has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What an attempt came to: an output, or an error, or something whose end will be the attempt's."""

    output: JsonValue = None
    """The task's output; JSON values only."""
    error: TaskError | None = None
    """Set when the attempt failed."""
    waits_for: CeleryCall | ChildRun | Wait | None = None
    """Set when the attempt parks: the platform makes the call, starts the run, or waits, and what comes of it is what
    the attempt came to."""
    stops: RunStop | None = None
    """Set when the attempt succeeded and the run is to end by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest(Generic[OptionsT]):
    """One attempt of one task, as a kind sees it."""

    run_id: UUID
    """The workflow run."""
    organization_id: UUID
    """The tenant the run belongs to."""
    workflow_name: str
    """Name of the workflow."""
    task_key: str
    """The task's name inside its definition."""
    map_index: int | None = None
    """Position among the items of a `for_each` task; None for a plain task."""
    attempt: int
    """1 for the first claim; never repeats within a task of a run."""
    idempotency_token: str
    """The same for every attempt of this task of this run: lets an outside system refuse a repeat."""
    options: OptionsT
    """The kind's validated options, expressions already evaluated."""
    resumed: Mapping[str, JsonValue] | None = None
    """The details of the wait that the attempt comes from, if its kind is asked again; None when it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """What a subprocess of an attempt is given."""

    directory: Path
    """A directory of this attempt's own, empty at first, removed afterwards."""
    environment: Mapping[str, str]
    """All a subprocess may see: PATH, HOME, LANG, TMPDIR and the MAESTRO_* ids; never the platform's secrets."""
    output_file: Path
    """Where a subprocess may leave the task's output as JSON; `MAESTRO_OUTPUT` in its environment. Absent at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line an attempt wrote."""

    stream: str
    """`stdout`, `stderr` or `log`."""
    level: str
    """`debug`, `info`, `warning` or `error`."""
    message: str
    """The text without its newline."""
    created_at: datetime.datetime
    """When the worker read it, by the database's clock."""


class TaskContext(Protocol):
    """What the platform offers to a running attempt."""

    def write_line(self, message: str, *, stream: str = "stdout", level: str = "info") -> None:
        """Append one line to the attempt's log, in order; from any thread."""

    def is_cancelled(self) -> bool:
        """Tell whether this attempt is to stop: somebody cancelled it, or its time is over.

        A kind that waits looks ten times a second or so, and then returns `TaskResult(error=CANCELLED)`; the platform
        knows which it was.
        """

    def seconds_left(self) -> float:
        """Return how long the attempt may still take: infinite without a limit, negative when its time is over."""

    def grace_seconds(self) -> float:
        """Return how long the attempt may take to stop when it is told to: what does not until then is killed."""

    def workspace(self) -> Workspace:
        """Return the attempt's workspace, made at the first call: a kind that needs none pays nothing."""


class Executor(Protocol[OptionsT]):
    """A kind: stateless, found by entry point `maestro.executors`, created once per process."""

    kind: ClassVar[str]
    """The name used in `uses:`."""
    summary: ClassVar[str]
    """One sentence for users."""
    Options: type[OptionsT]
    """Model of `with:`."""

    def execute(self, request: TaskRequest[OptionsT], context: TaskContext) -> TaskResult:
        """Run one attempt. May raise: `executors.runtime` turns an exception into a failed result."""
