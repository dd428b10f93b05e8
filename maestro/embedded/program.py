"""What the supervisor needs to know about a program: how to run it, when it is ready, how to stop it. Values only."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from maestro.embedded.privileges import RunAs


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStep:
    """One attempt at making a process end."""

    signal: signal.Signals
    """What is sent to the process itself, not to its group."""
    seconds: float
    """How long it may take before the next step; after the last one, SIGKILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run and how to treat it."""

    name: str
    """The prefix of its lines."""
    command: tuple[str, ...]
    """Program and arguments; never a secret."""
    environment: Mapping[str, str]
    """All of its environment; secrets go here."""
    stop_steps: tuple[StopStep, ...] = (StopStep(signal=signal.SIGTERM, seconds=5),)
    """How it is stopped."""
    death_signal: signal.Signals = signal.SIGTERM
    """What the kernel sends it when the supervisor dies without stopping it (Linux)."""
    ready_text: str | None = None
    """A piece of the line it prints when it is ready."""
    is_ready: Callable[[], Awaitable[bool]] | None = None
    """Asked again and again while it starts; used when there is no such line."""
    run_as: RunAs | None = None
    """Another user to run it as."""
