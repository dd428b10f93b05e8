"""Which part of a plan one canvas holds: steps in a row and forks that meet again, within a bound. Pure.

Celery nests the rest of a canvas in every message, so a canvas is bounded: what does not fit is compiled when it is its
turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workflows.compiler.plan import EndReason, ExecutionPlan

# Signatures in one canvas. A signature takes about 600 bytes of a message, which must stay under 16 KB.
CANVAS_BOUND = 12
# A header this wide carries a body of one signature, since every member's message holds the whole body.
WIDE_HEADER = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One task."""

    position: int
    """Where it stands in the plan."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Branches that run side by side; the step after it is their join."""

    branches: tuple[Stretch, ...]
    """Each ends in a step."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps and forks in a row. Begins and ends with a step; a fork always stands between two steps."""

    elements: tuple[Step | Fork, ...]
    """In the order they run."""

    @property
    def size(self) -> int:
        """Signatures in it."""
        return sum(
            1 if isinstance(element, Step) else sum(branch.size for branch in element.branches)
            for element in self.elements
        )

    @property
    def last(self) -> int:
        """Position of the task it ends with."""
        end = self.elements[-1]
        assert isinstance(end, Step)
        return end.position


def stretch_from(plan: ExecutionPlan, start: int, *, bound: int = CANVAS_BOUND) -> Stretch:
    """Return the longest stretch from a task that fits."""
    elements: list[Step | Fork] = [Step(start)]
    position, left = start, bound - 1
    while plan.end_reason(position) is None:
        more = _following(plan, position, left)
        if more is None:
            break
        elements += more
        left -= Stretch(more).size
        end = more[-1]
        assert isinstance(end, Step)
        position = end.position
    return Stretch(tuple(elements))


def end_reason(plan: ExecutionPlan, stretch: Stretch) -> EndReason:
    """Tell why the stretch ends where it does."""
    return plan.end_reason(stretch.last) or EndReason.BOUND


def fork_from(plan: ExecutionPlan, branches: Sequence[int], join: int) -> tuple[Fork, Stretch] | None:
    """Return the fork that a frontier owning all its branches may send, with the stretch from its join.

    None when a branch is too long to reach the join within one canvas.
    """
    stretches = []
    for start in branches:
        branch = _branch(plan, start, join, CANVAS_BOUND - 1)
        if branch is None:
            return None
        stretches.append(branch)
    longest = max(branch.size for branch in stretches)
    bound = 1 if len(branches) >= WIDE_HEADER else max(1, CANVAS_BOUND - longest)
    return Fork(tuple(stretches)), stretch_from(plan, join, bound=bound)


def _following(plan: ExecutionPlan, position: int, bound: int) -> tuple[Step | Fork, ...] | None:
    """Return what follows a task inside a canvas: the next step, or a fork and its join; None when it does not fit."""
    task = plan.tasks[position]
    if len(task.successors) == 1:
        return (Step(task.successors[0]),) if bound >= 1 else None
    join = task.join
    assert join is not None
    if len(task.successors) + 1 > bound:
        return None
    branches = []
    left = bound - 1
    for start in task.successors:
        branch = _branch(plan, start, join, left)
        if branch is None:
            return None
        branches.append(branch)
        left -= branch.size
    return Fork(tuple(branches)), Step(join)


def _branch(plan: ExecutionPlan, start: int, join: int, bound: int) -> Stretch | None:
    """Return the stretch from the start of a branch to its last task before the join; None when it does not fit."""
    if bound < 1:
        return None
    elements: list[Step | Fork] = [Step(start)]
    position, left = start, bound - 1
    while plan.tasks[position].successors != (join,):
        more = _following(plan, position, left)
        if more is None:
            return None
        elements += more
        left -= Stretch(more).size
        end = more[-1]
        assert isinstance(end, Step)
        position = end.position
    return Stretch(tuple(elements))
