"""The execution plan of a definition: order, joins and which forks may become chords. Pure; Celery is
`compiler/canvas.py`.

Planning takes time and memory close to linear in tasks and needs: everything below is iterative, and the nearest common
ancestor is found by jump pointers (Myers, "An applicative random-access stack", 1983) in logarithmic time without a
table of ancestors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

PLAN_VERSION = 3
# The section of the tasks that are no hooks.
MAIN = "tasks"

# Kinds that wait outside a worker by nature: nothing can follow them in the same canvas.
PARKING_KINDS = frozenset({"approval", "celery", "signal", "sleep", "workflow"})
# Joins that may be decided before all needs are done: Celery's chord cannot say that.
EARLY_JOINS = frozenset({"any_succeeded", "any_failed"})


Limits = Mapping[str, float]
"""Seconds by the names that `workflows.definition.limits` has: those that are set."""


class EndReason(StrEnum):
    """Why a canvas ends with a task, so that `advance` looks at what follows."""

    LAST = "last task"
    EARLY_JOIN = "early join follows"
    SHARED_JOIN = "join with other branches follows"
    IRREGULAR_FORK = "fork that is not series-parallel follows"
    PARKS = "waits outside a worker"
    BOUND = "canvas is full"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """One task as the compiler sees it."""

    key: str
    """The task's name inside its definition."""
    kind: str
    """Executor kind."""
    run_if: str
    """Join rule."""
    needs: tuple[int, ...]
    """Positions of the tasks it waits for."""
    successors: tuple[int, ...]
    """Positions of the tasks that wait for it."""
    limits: Limits | None
    """How long it may take; None for as long as it does."""
    continues_on_error: bool
    """Whether it may fail without failing the run and what needs it."""
    section: str
    """Which part of the definition it stands in."""
    join: int | None
    """For a fork whose branches meet again in a closed, series-parallel region: the position of the join."""

    @property
    def parks(self) -> bool:
        """Whether the task leaves its worker while it is still running."""
        return self.kind in PARKING_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPlan:
    """The compiled, Celery-free shape of a definition. Positions are topological order."""

    tasks: tuple[PlannedTask, ...]
    """All tasks, each after everything it needs; hooks last."""
    roots: tuple[int, ...]
    """Tasks without needs that are no hooks."""
    root_join: int | None
    """As `PlannedTask.join`, for the roots together."""

    def positions(self) -> Mapping[str, int]:
        """Return where each task key stands."""
        return {task.key: position for position, task in enumerate(self.tasks)}

    def hook_roots(self) -> Mapping[str, tuple[int, ...]]:
        """Return the tasks without needs of each section of hooks that has some."""
        roots: dict[str, list[int]] = {}
        for position, task in enumerate(self.tasks):
            if task.section != MAIN and not task.needs:
                roots.setdefault(task.section, []).append(position)
        return {section: tuple(positions) for section, positions in roots.items()}

    def end_reason(self, position: int) -> EndReason | None:
        """Tell why nothing can follow the task inside a canvas, None when something can."""
        task = self.tasks[position]
        if task.parks:
            return EndReason.PARKS
        if not task.successors:
            return EndReason.LAST
        if len(task.successors) > 1:
            return None if task.join is not None else EndReason.IRREGULAR_FORK
        successor = self.tasks[task.successors[0]]
        if len(successor.needs) == 1:
            return None
        return EndReason.EARLY_JOIN if successor.run_if in EARLY_JOINS else EndReason.SHARED_JOIN


def make_plan(
    tasks: Mapping[str, tuple[str, str, Sequence[str]]],
    limits: Mapping[str, Limits] | None = None,
    continuing: Collection[str] = (),
    hooks: Mapping[str, str] | None = None,
) -> ExecutionPlan:
    """Plan a valid, acyclic definition given as task key → (kind, run_if, needs), the limits of tasks with some, the
    keys of those that may fail, and the section of those that are hooks, which come last.
    """
    order = _topological_order({key: needs for key, (_, _, needs) in tasks.items()})
    positions = {key: position for position, key in enumerate(order)}
    needs = [tuple(sorted(positions[need] for need in tasks[key][2])) for key in order]
    successors: list[list[int]] = [[] for _ in order]
    for position, needed in enumerate(needs):
        for need in needed:
            successors[need].append(position)
    drafts = [
        PlannedTask(
            key=key,
            kind=tasks[key][0],
            run_if=tasks[key][1],
            needs=needs[i],
            successors=tuple(successors[i]),
            limits=(limits or {}).get(key),
            continues_on_error=key in continuing,
            section=(hooks or {}).get(key, MAIN),
            join=None,
        )
        for i, key in enumerate(order)
    ]
    return _with_joins(drafts, _roots(drafts))


def plan_to_json(plan: ExecutionPlan) -> dict[str, Any]:
    """Write a plan as JSON values, to store beside its definition; starting a run copies its rows from there."""
    return {
        "tasks": [
            [
                task.key,
                task.kind,
                task.run_if,
                [plan.tasks[need].key for need in task.needs],
                task.join,
                task.limits,
                task.continues_on_error,
                task.section,
            ]
            for task in plan.tasks
        ],
        "root_join": plan.root_join,
    }


def plan_from_json(value: Mapping[str, Any]) -> ExecutionPlan:
    """Read a plan that `plan_to_json` of the same `PLAN_VERSION` wrote."""
    positions = {row[0]: position for position, row in enumerate(value["tasks"])}
    successors: list[list[int]] = [[] for _ in positions]
    for position, (_, _, _, needs, *_) in enumerate(value["tasks"]):
        for need in needs:
            successors[positions[need]].append(position)
    tasks = tuple(
        PlannedTask(
            key=key,
            kind=kind,
            run_if=run_if,
            needs=tuple(positions[need] for need in needs),
            successors=tuple(successors[position]),
            limits=limits,
            continues_on_error=continues_on_error,
            section=section,
            join=join,
        )
        for position, (key, kind, run_if, needs, join, limits, continues_on_error, section) in enumerate(value["tasks"])
    )
    return ExecutionPlan(tasks=tasks, roots=_roots(tasks), root_join=value["root_join"])


def _roots(tasks: Sequence[PlannedTask]) -> tuple[int, ...]:
    return tuple(position for position, task in enumerate(tasks) if not task.needs and task.section == MAIN)


def _topological_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Order keys so that each follows its needs, as close to the authored order as that allows."""
    order: list[str] = []
    placed: set[str] = set()
    for start in needs:
        stack = [(start, iter(needs[start]))] if start not in placed else []
        while stack:
            key, rest = stack[-1]
            upstream = next((need for need in rest if need not in placed), None)
            if upstream is not None:
                stack.append((upstream, iter(needs[upstream])))
                continue
            stack.pop()
            if key not in placed:
                placed.add(key)
                order.append(key)
    return order


def _with_joins(tasks: list[PlannedTask], roots: tuple[int, ...]) -> ExecutionPlan:
    """Find the join of every closed, series-parallel fork, innermost first."""
    post_dominators = _PostDominators(tasks)
    joins: list[int | None] = [None] * len(tasks)
    for position in range(len(tasks) - 1, -1, -1):
        if len(tasks[position].successors) > 1:
            joins[position] = _closed_join(tasks, joins, tasks[position].successors, (position,), post_dominators)
    root_join = _closed_join(tasks, joins, roots, (), post_dominators) if len(roots) > 1 else None
    planned = tuple(replace(task, join=joins[position]) for position, task in enumerate(tasks))
    return ExecutionPlan(tasks=planned, roots=roots, root_join=root_join)


def _closed_join(
    tasks: Sequence[PlannedTask],
    joins: Sequence[int | None],
    branches: Sequence[int],
    expected_needs: tuple[int, ...],
    post_dominators: _PostDominators,
) -> int | None:
    """Return where all branches meet, if each is a series-parallel stretch that touches nothing outside."""
    join = post_dominators.common(branches)
    if join is None or tasks[join].run_if in EARLY_JOINS:
        return None
    ends = []
    for branch in branches:
        if tasks[branch].needs != expected_needs:
            return None
        end = _branch_end(tasks, joins, branch, join)
        if end is None:
            return None
        ends.append(end)
    return join if tuple(sorted(ends)) == tasks[join].needs else None


def _branch_end(tasks: Sequence[PlannedTask], joins: Sequence[int | None], start: int, join: int) -> int | None:
    """Walk from the start of a branch to its last task before the join; None where the branch is not closed.

    An inner fork is crossed in one step, by the join found for it before: so each task is walked once in all.
    """
    position = start
    while True:
        task = tasks[position]
        if task.parks:
            return None
        if len(task.successors) == 1:
            following = task.successors[0]
            if following == join:
                return position
            if len(tasks[following].needs) != 1:
                return None
        else:
            inner = joins[position]
            if inner is None or inner == join:
                return None
            following = inner
        position = following


class _PostDominators:
    """The nearest task that every path from a task to the end passes; `exit` stands after the last tasks."""

    def __init__(self, tasks: Sequence[PlannedTask]) -> None:
        self._exit = len(tasks)
        self._depth = [0] * (len(tasks) + 1)
        self._parent = [self._exit] * (len(tasks) + 1)
        self._jump = [self._exit] * (len(tasks) + 1)
        for position in range(len(tasks) - 1, -1, -1):
            self._place(position, tasks[position].successors)

    def common(self, positions: Sequence[int]) -> int | None:
        """Return the nearest task that every path from each of several tasks passes, those tasks not counted."""
        nearest = self._nearest(positions)
        if nearest in positions:
            nearest = self._parent[nearest]
        return None if nearest == self._exit else nearest

    def _place(self, position: int, successors: Sequence[int]) -> None:
        parent = self._nearest(successors) if successors else self._exit
        jump = self._jump[parent]
        is_even = self._depth[parent] - self._depth[jump] == self._depth[jump] - self._depth[self._jump[jump]]
        self._parent[position] = parent
        self._depth[position] = self._depth[parent] + 1
        self._jump[position] = self._jump[jump] if is_even else parent

    def _nearest(self, positions: Sequence[int]) -> int:
        nearest = positions[0]
        for position in positions[1:]:
            nearest = self._meet(nearest, position)
        return nearest

    def _meet(self, one: int, other: int) -> int:
        if self._depth[one] < self._depth[other]:
            one, other = other, one
        while self._depth[one] > self._depth[other]:
            one = self._jump[one] if self._depth[self._jump[one]] >= self._depth[other] else self._parent[one]
        while one != other:
            if self._jump[one] != self._jump[other]:
                one, other = self._jump[one], self._jump[other]
            else:
                one, other = self._parent[one], self._parent[other]
        return one
