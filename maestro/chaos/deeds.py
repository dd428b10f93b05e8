"""What people do to runs while faults happen: drawn from the seed, and as it was done. Pure; it is done by `people` and
`holds`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from maestro.chaos.graphs import Graph, Kind, Limit, Task
from workflows.definition.sections import Section

CANCELLED_SHARE = 0.06
# What becomes of the runs below is all that a cancel of these shows.
CANCELLED_SHARE_OF_PARENTS = 0.25
CANCELLED_AFTER_SECONDS = (0.0, 4.0)
# Most of these are over soon.
CANCELLED_SHARE_OF_CHILDREN = 0.3
CHILDREN_CANCELLED_AFTER_SECONDS = (0.0, 0.5)
# Mostly sooner than the task begins to wait, or while it waits.
SIGNALLED_AFTER_SECONDS = (0.0, 3.0)
# Mostly when the wait is over, or the run.
SIGNALLED_AGAIN_SHARE = 0.5
SIGNALLED_AGAIN_AFTER_SECONDS = (0.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSignal:
    """A signal that somebody is to send."""

    task_key: str
    """The task that waits for it, and its name."""
    value: int
    """What it says."""
    after_seconds: float
    """When, since the run was started."""
    again_after_seconds: float | None
    """For how long the sender waits before it is sent a second time under the same id; None when it is not."""
    is_for_hook: bool = False
    """Whether a hook waits for it: then it is of use until the run is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A pause that was in force."""

    scope: str
    """`run`, `workflow`, `queue` or `organization`."""
    name: str
    """Which of them; empty for the organization."""
    begun_at: float
    """When the API said that it is paused, seconds since the epoch."""
    ended_at: float
    """When it was asked to let it go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeds:
    """What people did in a campaign."""

    cancel_asked: frozenset[str] = frozenset()
    """Runs that somebody asked to cancel, whatever was answered."""
    cancelled_at: Mapping[str, float] = field(default_factory=dict)
    """Run → when the API said that nothing of it begins any more, seconds since the epoch."""
    signals: int = 0
    """Signals that were taken by the API, sent again or not."""
    signals_again: int = 0
    """Those of them that were sent again."""
    decisions: int = 0
    """Approvals that somebody decided."""
    holds: tuple[Hold, ...] = ()
    """What was paused."""
    refusals: tuple[str, ...] = ()
    """Answers that nobody should get."""


def draw_signals(seed: int, workflow: str, graph: Graph) -> tuple[PlannedSignal, ...]:
    """Draw when the signals of each run of a workflow are sent."""
    chance = random.Random(f"{seed}/signals/{workflow}")
    return tuple(
        PlannedSignal(
            task_key=key,
            value=task.number,
            after_seconds=chance.uniform(*SIGNALLED_AFTER_SECONDS),
            again_after_seconds=(
                chance.uniform(*SIGNALLED_AGAIN_AFTER_SECONDS) if chance.random() < SIGNALLED_AGAIN_SHARE else None
            ),
            is_for_hook=task.section is not Section.TASKS,
        )
        for key, task in graph.items()
        if task.kind is Kind.SIGNAL and task.is_answered
    )


def draw_cancel(seed: int, workflow: str, graph: Graph, *, is_child: bool = False) -> float | None:
    """Draw how many seconds after its start a run of a workflow is cancelled; None when it is not, as one that ends
    early anyway.
    """
    chance = random.Random(f"{seed}/cancel/{workflow}")
    is_parent = any(task.kind is Kind.WORKFLOW for task in graph.values())
    share = CANCELLED_SHARE_OF_PARENTS if is_parent else CANCELLED_SHARE
    if is_child:
        share = CANCELLED_SHARE_OF_CHILDREN
    if chance.random() >= share or any(_ends_early(task) for task in graph.values()):
        return None
    return chance.uniform(*(CHILDREN_CANCELLED_AFTER_SECONDS if is_child else CANCELLED_AFTER_SECONDS))


def _ends_early(task: Task) -> bool:
    return task.kind is Kind.STOP or task.limit is Limit.ABOVE or task.limit.ends_run
