"""How runs are asked for: drawn from the seed, and as it was done. Pure; done by `starts`, judged in `beginnings`."""

from __future__ import annotations

import random
from dataclasses import dataclass

from maestro.chaos.graphs import AMPLE_SECONDS, RUN_SECONDS, Graph, Limit

SQL_SHARE = 0.2
DELAYED_SHARE = 0.15
DELAY_SECONDS = (0.3, 3.0)
AMPLE_DEADLINE_SHARE = 0.1
IMPATIENT_SHARE = 0.15
AGAIN_SHARE = 0.3
AGAIN_AFTER_SECONDS = (0.0, 5.0)
ROLLED_BACK_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStart:
    """How a run is asked for."""

    by_sql: bool = False
    """Whether another application asks for it in a transaction of its own; else by the API."""
    delay_seconds: float | None = None
    """How much later it is to begin; None for at once."""
    deadline_seconds: float | None = None
    """How long after its beginning it must be over; None for never."""
    is_impatient: bool = False
    """Whether the first who asks does not wait for the answer."""
    is_rolled_back: bool = False
    """Whether a transaction that asks for another one is rolled back before."""
    again_after_seconds: float | None = None
    """For how long the caller waits before it is asked for again under the same key; None when it is not."""

    @property
    def seconds_to_deadline(self) -> float | None:
        """How long from now it must be over."""
        return None if self.deadline_seconds is None else (self.delay_seconds or 0.0) + self.deadline_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was done to start the run of a workflow."""

    planned: PlannedStart
    """What was asked for."""
    first_at: float
    """When it was asked for first, seconds since the epoch."""
    keys: int
    """Under how many keys."""


def draw_start(seed: int, workflow: str, graph: Graph) -> PlannedStart:
    """Draw how the run of a workflow is asked for."""
    chance = random.Random(f"{seed}/start/{workflow}")
    by_sql = chance.random() < SQL_SHARE
    delay_seconds = round(chance.uniform(*DELAY_SECONDS), 2) if chance.random() < DELAYED_SHARE else None
    deadline_seconds = AMPLE_SECONDS if chance.random() < AMPLE_DEADLINE_SHARE else None
    if any(task.limit is Limit.DEADLINE for task in graph.values()):
        deadline_seconds = RUN_SECONDS
    return PlannedStart(
        by_sql=by_sql,
        delay_seconds=delay_seconds,
        deadline_seconds=deadline_seconds,
        is_impatient=not by_sql and chance.random() < IMPATIENT_SHARE,
        is_rolled_back=by_sql and chance.random() < ROLLED_BACK_SHARE,
        again_after_seconds=chance.uniform(*AGAIN_AFTER_SECONDS) if chance.random() < AGAIN_SHARE else None,
    )
