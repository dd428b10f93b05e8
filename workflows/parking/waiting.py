"""What kinds that wait say to the engine when the time of a wait has come, and it does not end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from executors.base import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class GoesOn:
    """The wait goes on, but something about it has changed."""

    details: Mapping[str, JsonValue]
    """What is added to what is known of it."""
    seconds: float | None
    """For how long after the time that has come; None for ever."""
    note: str
    """A line for the log of the task."""
