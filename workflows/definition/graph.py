"""The graph that `needs` draws: every need exists, nothing needs itself in a circle, who is upstream of whom.

No function here recurses, and each takes time linear in tasks and needs: a definition may be a chain of 20,000 tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from workflows.definition.problems import Problem, Suggester
from workflows.definition.sections import Section
from workflows.definition.values import JsonValue

Needs: TypeAlias = Mapping[str, Sequence[JsonValue]]
"""What each task needs, as authored: an entry that is not text is another check's business and draws nothing."""

_Edges: TypeAlias = Mapping[str, Sequence[str]]

_LONGEST_CYCLE_SHOWN = 20
_TARGETS_PER_PASS = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGraph:
    """Tasks and what they need."""

    needs: Needs
    """As authored, tasks in document order."""
    edges: _Edges
    """The needs that are tasks of the graph, each once, without the task itself."""
    order: tuple[str, ...]
    """The tasks, each after all it needs. Those in a circle, or behind one, are not in it."""
    section: Section = Section.TASKS
    """Where they stand."""

    @classmethod
    def of(cls, needs: Needs, section: Section = Section.TASKS) -> TaskGraph:
        """Draw the graph, of right and wrong needs alike."""
        edges = {
            task: [need for need in dict.fromkeys(filter(_is_text, needed)) if need in needs and need != task]
            for task, needed in needs.items()
        }
        return cls(needs=needs, edges=edges, order=_order(edges), section=section)


def check_needs(graph: TaskGraph) -> list[Problem]:
    """Return every need that is missing, repeated, of itself, or part of a circle (one problem for each tangle)."""
    suggester = Suggester(graph.needs)
    problems = [problem for task in graph.needs for problem in _check_task(graph, task, suggester)]
    in_order = set(graph.order)
    left = {
        task: [need for need in needed if need not in in_order]
        for task, needed in graph.edges.items()
        if task not in in_order
    }
    return problems + [_cycle_problem(graph, tangle) for tangle in _tangles(left)]


def find_not_upstream(graph: TaskGraph, pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those (task, other) pairs in which the other is not among all that the task waits for.

    Tasks in a circle, or behind one, are passed over: upstream means nothing there.
    """
    ordered = set(graph.order)
    distant = [
        (task, other) for task, other in dict.fromkeys(pairs) if task in ordered and other not in graph.edges[task]
    ]
    targets = list(dict.fromkeys(other for _, other in distant))
    found: set[tuple[str, str]] = set()
    for start in range(0, len(targets), _TARGETS_PER_PASS):
        bits = {target: 1 << index for index, target in enumerate(targets[start : start + _TARGETS_PER_PASS])}
        masks = _upstream_masks(graph, bits)
        found.update((task, other) for task, other in distant if other in bits and not masks[task] & bits[other])
    return found


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str)


def _order(edges: _Edges) -> tuple[str, ...]:
    waiting = {task: len(needed) for task, needed in edges.items()}
    downstream: dict[str, list[str]] = {task: [] for task in edges}
    for task, needed in edges.items():
        for need in needed:
            downstream[need].append(task)
    ordered = [task for task, count in waiting.items() if count == 0]
    for task in ordered:  # grows while it is read
        for follower in downstream[task]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ordered.append(follower)
    return tuple(ordered)


def _check_task(graph: TaskGraph, task: str, suggester: Suggester) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, need in enumerate(graph.needs[task]):
        if not isinstance(need, str):
            continue
        path = (graph.section, task, "needs", index)
        if need in seen:
            yield Problem(code="duplicate_need", path=path, message=f'names "{need}" a second time; once is enough')
        elif need == task:
            yield Problem(code="self_need", path=path, message="a task cannot need itself")
        elif need not in graph.needs:
            message = f'there is no task "{need}"{_where(graph.section)}{suggester.suggest(need)}'
            yield Problem(code="missing_need", path=path, message=message)
        seen.add(need)


def _where(section: Section) -> str:
    return "" if section is Section.TASKS else f" in `{section}`, which runs when all of `tasks` have ended"


def _tangles(edges: _Edges) -> list[list[str]]:
    """Return the strongly connected components of more than one task, by Kosaraju's two walks."""
    backwards: dict[str, list[str]] = {task: [] for task in edges}
    for task, needed in edges.items():
        for need in needed:
            backwards[need].append(task)
    seen: set[str] = set()
    components = [_reach(task, backwards, seen) for task in reversed(_post_order(edges)) if task not in seen]
    return [component for component in components if len(component) > 1]


def _post_order(edges: _Edges) -> list[str]:
    finished: list[str] = []
    seen: set[str] = set()
    for root in edges:
        walk = [] if root in seen else [(root, iter(edges[root]))]
        seen.add(root)
        while walk:
            task, ahead = walk[-1]
            following = next((need for need in ahead if need not in seen), None)
            if following is None:
                finished.append(task)
                walk.pop()
            else:
                seen.add(following)
                walk.append((following, iter(edges[following])))
    return finished


def _reach(start: str, edges: _Edges, seen: set[str]) -> list[str]:
    """Return what can be reached from a task without what was seen before, which it adds to."""
    reached = [start]
    seen.add(start)
    for task in reached:  # grows while it is read
        fresh = [other for other in dict.fromkeys(edges[task]) if other not in seen]
        seen.update(fresh)
        reached.extend(fresh)
    return reached


def _cycle_problem(graph: TaskGraph, tangle: list[str]) -> Problem:
    members = set(tangle)
    start = next(task for task in graph.needs if task in members)
    cycle = _shortest_cycle(start, graph.edges, members)
    shown = [*cycle, start]
    if len(shown) > _LONGEST_CYCLE_SHOWN:
        half = _LONGEST_CYCLE_SHOWN // 2
        shown = [*shown[:half], f"({len(shown) - 2 * half:,} more)", *shown[-half:]]
    message = f"these tasks wait for each other: {' → '.join(shown)}; take one of these needs away"
    index = list(graph.needs[start]).index(cycle[1])
    return Problem(code="cycle", path=(graph.section, start, "needs", index), message=message)


def _shortest_cycle(start: str, edges: _Edges, members: set[str]) -> list[str]:
    """Return the shortest way from a task through its needs back to it, within a tangle that holds it."""
    reached_from: dict[str, str] = {}
    queue = deque([start])
    while start not in reached_from:
        task = queue.popleft()
        for need in edges[task]:
            if need in members and need not in reached_from:
                reached_from[need] = task
                queue.append(need)
    backwards = [reached_from[start]]
    while backwards[-1] != start:
        backwards.append(reached_from[backwards[-1]])
    return backwards[::-1]


def _upstream_masks(graph: TaskGraph, bits: Mapping[str, int]) -> dict[str, int]:
    """Return for each ordered task which of the given ones are upstream of it, one bit for each."""
    masks: dict[str, int] = {}
    for task in graph.order:
        mask = 0
        for need in graph.edges[task]:
            mask |= masks[need] | bits.get(need, 0)
        masks[task] = mask
    return masks
