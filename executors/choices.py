"""Closed sets of what attempts leave behind."""

from __future__ import annotations

from enum import StrEnum


class LogLevel(StrEnum):
    """How much a line of a log matters, the least first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def and_above(self) -> tuple[LogLevel, ...]:
        """Return this level and those that matter more."""
        levels = tuple(LogLevel)
        return levels[levels.index(self) :]
