"""The order and indentation of a run's tasks in a list, decided from what each one needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from maestro.client.representations import TaskExecution

Needs = Mapping[str, tuple[str, ...]]


def needs_of(tasks: Iterable[TaskExecution]) -> dict[str, tuple[str, ...]]:
    """Return what each task needs, by task key; needs that are no task of the run are left out."""
    listed = {task.task_key: task.needs for task in tasks}
    return {key: tuple(need for need in needs if need in listed) for key, needs in listed.items()}


def topological_order(needs: Needs) -> tuple[str, ...]:
    """Return the task keys with every task after its needs, and the tasks of one branch beside each other."""
    missing = {key: len(needed) for key, needed in needs.items()}
    successors = successors_of(needs)
    ready = [key for key in needs if not missing[key]][::-1]
    ordered: dict[str, None] = {}
    while ready:
        key = ready.pop()
        ordered[key] = None
        for successor in reversed(successors[key]):
            missing[successor] -= 1
            if not missing[successor]:
                ready.append(successor)
    return (*ordered, *(key for key in needs if key not in ordered))


def indentation(needs: Needs, order: Sequence[str]) -> dict[str, int]:
    """Return how deep each task stands: branches one deeper than their fork, a join as deep as the fork again."""
    successors = successors_of(needs)
    fork_of: dict[str, str | None] = {}  # the nearest task that every way to this one passes
    distance: dict[str | None, int] = {None: 0}
    depth: dict[str, int] = {}
    for key in order:
        needed = [need for need in needs[key] if need in depth]
        fork = _meeting_point(needed, fork_of, distance)
        fork_of[key] = fork
        distance[key] = distance[fork] + 1
        depth[key] = depth[fork] if fork is not None else 0
        if len(needed) == 1 and len(successors[needed[0]]) > 1:
            depth[key] += 1
    return depth


def successors_of(needs: Needs) -> dict[str, list[str]]:
    """Return which tasks need each task."""
    successors: dict[str, list[str]] = {key: [] for key in needs}
    for key, needed in needs.items():
        for need in needed:
            successors[need].append(key)
    return successors


def _meeting_point(
    needed: Sequence[str], fork_of: Mapping[str, str | None], distance: Mapping[str | None, int]
) -> str | None:
    if not needed:
        return None
    point: str | None = needed[0]
    for need in needed[1:]:
        other: str | None = need
        while point != other:
            if distance[point] >= distance[other]:
                point = fork_of[point] if point is not None else None
            else:
                other = fork_of[other] if other is not None else None
    return point
