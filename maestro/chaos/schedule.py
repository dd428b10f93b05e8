"""Which faults happen when: drawn from the seed, as a pure function. What each does: `faults`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

# Faults come in storms, so that they meet one another, with calms in between, in which the stack comes back: else only
# its standstill would be tried.
MOST_IN_STORM = 6
GAP_SECONDS = (0.1, 2.0)
CALM_SECONDS = (2.0, 10.0)


class FaultKind(StrEnum):
    """What can be done to a stack."""

    KILL_WORKER = "kill-worker"
    KILL_CHILD = "kill-child"
    KILL_API = "kill-api"
    KILL_BEAT = "kill-beat"
    FLUSH_BROKER = "flush-broker"
    RESTART_BROKER = "restart-broker"
    RESTART_DATABASE = "restart-database"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    PAUSE = "pause"
    STALL_WORKER = "stall-worker"
    HOLD = "hold"


# What these do not touch is as quick as ever.
HARMLESS = frozenset(
    {
        FaultKind.KILL_CHILD,
        FaultKind.KILL_API,
        FaultKind.FLUSH_BROKER,
        FaultKind.DUPLICATE,
        FaultKind.REORDER,
        FaultKind.HOLD,
    }
)
# Least seconds between two of a kind: a worker that is killed while it starts, again and again, shows nothing.
REST_SECONDS = {
    FaultKind.KILL_WORKER: 8.0,
    FaultKind.KILL_CHILD: 1.0,
    # Nothing is started while the API comes back.
    FaultKind.KILL_API: 30.0,
    FaultKind.KILL_BEAT: 15.0,
    FaultKind.FLUSH_BROKER: 5.0,
    FaultKind.RESTART_BROKER: 6.0,
    FaultKind.RESTART_DATABASE: 8.0,
    FaultKind.DUPLICATE: 0.3,
    FaultKind.REORDER: 0.3,
    FaultKind.PAUSE: 3.0,
    # As long as it may last.
    FaultKind.STALL_WORKER: 27.0,
    FaultKind.HOLD: 2.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """A fault that is to happen."""

    number: int
    """Its place in the schedule, from 0."""
    kind: FaultKind
    """What is done."""
    after_seconds: float
    """When, since the first run was started."""

    def chance(self, seed: int) -> random.Random:
        """Return what chooses the target and how it is hit."""
        return random.Random(f"{seed}/fault/{self.number}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """A fault that has happened."""

    kind: FaultKind
    """What was done."""
    detail: str
    """To whom, and how."""
    at: float
    """When, seconds since the epoch."""
    until: float
    """When it was over: a pause ends."""
    messages: int = 0
    """How many messages were copied."""
    forgets_commits: bool = False
    """Whether the database may have lost what it committed asynchronously: claims."""

    @property
    def is_disturbing(self) -> bool:
        """Whether something was away meanwhile that ends what is overdue."""
        return self.kind not in HARMLESS


def draw_faults(seed: int, kinds: Sequence[FaultKind]) -> Iterator[PlannedFault]:
    """Yield faults without end, each after the one before; none of no kinds."""
    chance = random.Random(f"{seed}/faults")
    rested_at = dict.fromkeys(sorted(kinds), 0.0)
    at = 0.0
    number = left = 0
    while rested_at:
        if number and not left:
            at += chance.uniform(*CALM_SECONDS)
        left = (left or chance.randint(1, MOST_IN_STORM)) - 1
        at = max(at + chance.uniform(*GAP_SECONDS), min(rested_at.values()))
        kind = chance.choice([kind for kind, rested in rested_at.items() if rested <= at])
        rested_at[kind] = at + REST_SECONDS[kind]
        yield PlannedFault(number=number, kind=kind, after_seconds=at)
        number += 1
