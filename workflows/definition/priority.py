"""The priority of a run: whose ready tasks workers take first. Pure."""

from __future__ import annotations

from enum import StrEnum


class Priority(StrEnum):
    """Whose tasks are taken first, of those that are ready."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def step(self) -> int:
        """The number that the broker knows it by: it takes lower ones first."""
        return _STEPS[self]


_STEPS = {Priority.HIGH: 0, Priority.NORMAL: 3, Priority.LOW: 6}
