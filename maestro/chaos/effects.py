"""The record of what tasks really did: a file to which they append a line at their beginning and their end.

It is no part of the platform under test: neither a database that is away nor a broker that is emptied touches it, and
what a process appended survives its death.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

BEGUN = "begun"
FAILED = "failed"
STOPPED = "stopped"
ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One execution of a task's code."""

    run_id: str
    """The run."""
    task_key: str
    """The task."""
    attempt: int
    """The attempt it ran in."""
    token: str
    """Its own name: another execution has another."""
    begun_at: float
    """When it began, seconds since the epoch."""
    ended_at: float | None = None
    """When it was done; None when it was killed before."""
    is_told: bool = False
    """Whether it was told to stop."""


def note(path: Path, event: str, *, run_id: str, task_key: str, attempt: int, token: str) -> None:
    """Append a line. One write to the end of a file never mixes with another's."""
    line = f"{event} {run_id} {task_key} {attempt} {token} {time.time():.6f}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def count_failures(path: Path, *, run_id: str, task_key: str) -> int:
    """Return how often a task of a run has failed as planned."""
    beginning = f"{FAILED} {run_id} {task_key} "
    return sum(line.startswith(beginning) for line in path.read_text().splitlines())


def read(path: Path) -> tuple[Effect, ...]:
    """Return every execution in the order in which they began; none when nothing has run."""
    events = [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []
    ends = {tuple(execution): float(at) for event, *execution, at in events if event == ENDED}
    told = {tuple(execution) for event, *execution, _ in events if event == STOPPED}
    return tuple(
        Effect(
            run_id=execution[0],
            task_key=execution[1],
            attempt=int(execution[2]),
            token=execution[3],
            begun_at=float(at),
            ended_at=ends.get(tuple(execution)),
            is_told=tuple(execution) in told,
        )
        for event, *execution, at in events
        if event == BEGUN
    )
