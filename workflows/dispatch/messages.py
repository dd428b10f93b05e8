"""What an `execute` message says, as values."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid5


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRef:
    """One task execution as a message names it."""

    run_id: UUID
    """The run."""
    organization_id: UUID
    """Its tenant."""
    task_key: str
    """The task's name inside its definition."""
    map_index: int | None
    """Which item of a `for_each` task."""
    generation: int
    """The generation the message was made for; a message of an older one is stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRef:
    """The call a task execution waits for, as messages about its end name it."""

    task: TaskRef
    """The task execution and its generation."""
    tries: int
    """User failures before it: each try makes a call of its own."""

    @property
    def celery_id(self) -> str:
        """Id of the Celery task: the same for every attempt of one try, so that a repeat finds what is there."""
        task = self.task
        return str(uuid5(task.run_id, f"{task.task_key}/{task.map_index}/{task.generation}/{self.tries}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who executes a message."""

    worker: str
    """Name of the worker, for people."""
    worker_id: UUID | None
    """Incarnation of the worker, for leases."""
    message_id: str = ""
    """Id of the message, which the worker lists in its lease while it holds it."""
