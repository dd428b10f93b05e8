"""What user code may know about the attempt it runs in. Whoever calls the code sets it; `maestro.sdk` shows it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID


class NoCurrentTask(RuntimeError):
    """Nothing runs this code as a task."""

    def __init__(self) -> None:
        super().__init__(
            "current_task() has an answer only while a task runs: on a worker, or in a test under run_locally()."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentTask:
    """The attempt that is running."""

    run_id: UUID
    """The workflow run."""
    workflow_name: str
    """Name of the workflow."""
    task_key: str
    """The task's name inside its definition."""
    map_index: int | None = None
    """Position among the items of a `for_each` task; None for a plain task."""
    attempt: int
    """1 for the first; never repeats within a task of a run."""
    idempotency_token: str
    """The same for every attempt of this task of this run: lets an outside system refuse a repeat."""
    is_cancelled: Callable[[], bool]
    """Call it to know whether somebody asked the task to stop; it is cheap, so call it in every loop."""

    @property
    def logger(self) -> logging.Logger:
        """The logger of the task; as all `logging` from level INFO up, its records become the task's log."""
        return logging.getLogger(f"task.{self.task_key}")

    def progress(self, fraction: float, message: str = "") -> None:
        """Log how far the task is, from 0 to 1, and what it does."""
        if not 0 <= fraction <= 1:
            raise ValueError(f"progress goes from 0 to 1, not {fraction!r}")
        self.logger.info("progress %.0f%%%s", fraction * 100, f": {message}" if message else "")


_current: ContextVar[CurrentTask | None] = ContextVar("maestro_current_task", default=None)
_running: list[CurrentTask] = []


@contextlib.contextmanager
def running(task: CurrentTask) -> Iterator[None]:
    """Let the code inside, and what it starts, see the task as its current one."""
    token = _current.set(task)
    _running.append(task)
    try:
        yield
    finally:
        _running.remove(task)
        _current.reset(token)


def current_task() -> CurrentTask:
    """Return the attempt this code runs in; raises `NoCurrentTask` outside one.

    Async functions and threads that the task starts see it too.
    """
    task = _current.get()
    if task is None and len(_running) == 1:
        # A new thread begins without context variables. A worker process runs one attempt at a time.
        [task] = _running
    if task is None:
        raise NoCurrentTask
    return task
