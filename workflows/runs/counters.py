"""Counters of what befalls the engine. They only grow: what they count may be pruned, they stay."""

from __future__ import annotations

from enum import StrEnum

from workflows.models import EngineCounter


class Counter(StrEnum):
    """What is counted."""

    LOST_ATTEMPTS = "lost_attempts"
    """Attempts that were taken back because their worker, its process or their call was lost."""
    FENCED_WRITES = "fenced_writes"
    """Results that came after their attempt was taken back, and were dropped."""


def adding(counter: Counter, *, amount: str, source: str) -> str:
    """Return a statement that adds to a counter, to stand in the statement that brings the event about.

    `amount` is an aggregate over the rows of `source`. It locks the counter, so it comes after every other lock.
    """
    return f"""
        INSERT INTO engine_counters AS counter (name, value)
        SELECT '{counter}', {amount} FROM {source} HAVING {amount} > 0
        ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value
    """  # noqa: S608 - of constants


def read_counters() -> dict[str, int]:
    """Return every counter by its name; 0 for what has never happened."""
    return dict.fromkeys(map(str, Counter), 0) | dict(EngineCounter.objects.values_list("name", "value"))
