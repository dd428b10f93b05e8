"""What a campaign left in the database and the broker, as values. Read by `evidence`, judged by `invariants`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from workflows.definition.values import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """An attempt that did not end its task."""

    attempt: int
    status: str
    error_code: str
    error_message: str
    worker: str
    started_at: datetime.datetime | None
    finished_at: datetime.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task execution."""

    task_key: str
    status: str
    reason: str
    attempt: int
    tries: int
    output: JsonValue
    error_code: str
    error_message: str
    worker: str
    created_at: datetime.datetime
    queued_at: datetime.datetime | None
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    history: tuple[AttemptRow, ...] = ()
    """The attempts before the one that ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run."""

    id: str
    workflow: str
    status: str
    reason: str
    outputs: JsonValue
    error_message: str
    created_at: datetime.datetime
    start_at: datetime.datetime | None
    started_at: datetime.datetime | None
    deadline_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    tasks: tuple[TaskRow, ...] = ()
    parent_id: str = ""
    """The run whose task has started it; empty when a person has."""
    parent_task: str = ""
    """Key of that task."""
    parent_attempt: int = 0
    """The attempt that did."""
    is_awaited: bool = False
    """Whether that task waits for its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRow:
    """A signal that was sent to a run."""

    run_id: str
    name: str
    taken_by: str
    """Key of the task that took it; empty when none has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question of a task that asks the outside until it says what it waits for."""

    run_id: str
    task_key: str
    at: float
    """When it came, seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What is there when nothing should be left to do."""

    waiting_messages: Mapping[str, int]
    """Queue → messages in it, where there are any."""
    holding_workers: tuple[str, ...]
    """Living workers that hold a message."""
    unacknowledged: int
    """Messages that a worker took and nobody acknowledged: the broker delivers them again some day."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits and nobody holds anything."""
        return not self.waiting_messages and not self.holding_workers


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedLine:
    """A line that stands more than once in the log of an attempt."""

    run_id: str
    task_key: str
    attempt: int
    message: str
    times: int
    """How often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line that a task wrote."""

    task_key: str
    attempt: int
    stream: str
    message: str
    created_at: datetime.datetime
