"""Draws the graphs of a campaign from its seed and the number of the run. Pure. What they are made of: `graphs`."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from maestro.chaos.graphs import ENDLESS_SECONDS, VALUES, Condition, Contract, Graph, Kind, Limit, Retry, Task
from workflows.definition.sections import HOOKS
from workflows.definition.spec import RunIf

FEWEST_TASKS = 2
MOST_TASKS = 15
LONGEST_TASK_SECONDS = 0.3
# Some still run when a worker comes back that stood still for so long that it was given up.
LONG_TASK_SECONDS = (1.0, 4.0)
LONG_TASK_SHARE = 0.05
# Until what is outside is ready: asked once, or a few times.
OUTSIDE_SECONDS = (0.0, 3.5)
# What each kind but Python is drawn with: most graphs have no more than one task of the kinds that wait.
SHARES = {"shell": 0.2, "sleep": 0.02, "signal": 0.02, "approval": 0.02, "workflow": 0.03, "http": 0.02}
STOP_SHARE = 0.04
STOP_SHARE_OF_CHILD = 0.1
RUN_LIMIT_SHARE = 0.06
RUN_LIMIT_SHARE_OF_CHILD = 0.1
CONTRACT_SHARE = 0.1
LIMIT_SHARES = {Limit.AMPLE: 0.15, Limit.ATTEMPT: 0.03, Limit.TOTAL: 0.02, Limit.QUEUE: 0.03}
# What becomes of the run that is waited for is all that these show.
LIMIT_SHARES_OF_PARENTS = LIMIT_SHARES | {Limit.ATTEMPT: 0.15, Limit.TOTAL: 0.05}
# What fails so often would leave little of its graph to run otherwise.
OVERRUN_MAY_FAIL_SHARE = 0.6
STUBBORN_SHARE = 0.3
HOOKS_SHARE = 0.3
DETACHED_SHARE = 0.25
ANSWERED_SHARE = 0.75
DEEPEST_CHILD = 2
MOST_TASKS_OF_CHILD = 5


def draw_graph(seed: int, number: int) -> Graph:
    """Draw the graph of one run of a campaign, and those of the runs below it."""
    chance = random.Random(f"{seed}/graph/{number}")
    needs = chance.choice((_irregular, _series_parallel))(chance)
    graph = {key: _draw_task(chance, tuple(needed), depth=0) for key, needed in needs.items()}
    if chance.random() < STOP_SHARE:
        last = list(graph)[-1]
        graph[last] = _as_stop(graph[last])
    elif chance.random() < RUN_LIMIT_SHARE:
        graph |= _draw_overrun(chance, graph, chance.choice((Limit.RUN, Limit.DEADLINE)))
    return graph | _draw_hooks(chance, 0)


def _irregular(chance: random.Random) -> dict[str, list[str]]:
    """Let each task need some of those before it."""
    keys = [f"t{number}" for number in range(chance.randint(FEWEST_TASKS, MOST_TASKS))]
    return {
        key: sorted(chance.sample(keys[:position], min(position, chance.choice((0, 1, 1, 2, 3)))))
        for position, key in enumerate(keys)
    }


def _series_parallel(chance: random.Random) -> dict[str, list[str]]:
    """Replace tasks by forks again and again, starting from one."""
    needs: dict[str, list[str]] = {"t0": []}
    for _ in range(chance.randint(1, 4)):
        start = chance.choice(sorted(needs))
        branches = [f"t{len(needs) + branch}" for branch in range(chance.randint(1, 4))]
        join = f"t{len(needs) + len(branches)}"
        if len(needs) + len(branches) >= MOST_TASKS:
            break
        for needed in needs.values():
            needed[:] = [join if need == start else need for need in needed]
        needs |= {branch: [start] for branch in branches} | {join: branches}
    return _in_order(needs)


def _in_order(needs: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Put each task after its needs."""
    ordered: dict[str, list[str]] = {}
    while len(ordered) < len(needs):
        ordered |= {
            key: needed
            for key, needed in needs.items()
            if key not in ordered and all(need in ordered for need in needed)
        }
    return ordered


def _draw_small(chance: random.Random) -> dict[str, list[str]]:
    """Let each task of a few need one before it, or none."""
    keys = [f"t{number}" for number in range(chance.randint(1, MOST_TASKS_OF_CHILD))]
    return {
        key: chance.sample(keys[:position], min(position, chance.choice((0, 1, 1))))
        for position, key in enumerate(keys)
    }


def _draw_task(chance: random.Random, needs: tuple[str, ...], *, depth: int) -> Task:
    # Mostly the default: other rules everywhere would make most of a graph skip.
    rule = chance.choice([*RunIf, *[RunIf.ALL_SUCCEEDED] * 7]) if needs else RunIf.ALL_SUCCEEDED
    condition = Condition.NONE
    if chance.random() < 0.08:
        can_read = needs and rule is RunIf.ALL_SUCCEEDED
        condition = chance.choice((Condition.NEVER, Condition.EVEN, Condition.EVEN)) if can_read else Condition.NEVER
    kind = _draw_kind(chance, depth)
    tries = chance.randint(2, 4) if chance.random() < 0.3 else 1
    retry = chance.choice([*Retry, *[Retry.STEADY] * 4]) if tries > 1 else Retry.STEADY
    seconds = LONG_TASK_SECONDS if chance.random() < LONG_TASK_SHARE else (0, LONGEST_TASK_SECONDS)
    fails = kind is not Kind.SLEEP and chance.random() < (0.05 if kind.is_code else 0.2)
    can_be_answered = kind is Kind.APPROVAL or (kind is Kind.SIGNAL and not fails)
    has_contract = kind is Kind.PYTHON and chance.random() < CONTRACT_SHARE
    is_awaited = kind is not Kind.WORKFLOW or chance.random() >= DETACHED_SHARE
    child = _draw_child(chance, depth + 1) if kind is Kind.WORKFLOW else None
    if child is not None and not is_awaited:
        child = _prolonged(chance, child)
    task = Task(
        kind=kind,
        number=chance.randrange(VALUES),
        seconds=round(chance.uniform(*(OUTSIDE_SECONDS if kind is Kind.HTTP else seconds)), 3),
        needs=needs,
        rule=rule,
        condition=condition,
        fails=fails,
        # What fails once, and is lost before it could say so, is tried again.
        failures=chance.randint(0, tries - 1) if kind is Kind.PYTHON and not retry.is_once else 0,
        tries=tries,
        retry=retry,
        may_fail=chance.random() < 0.2,
        contract=chance.choice((Contract.FITS, Contract.FITS, Contract.REFUSES)) if has_contract else Contract.NONE,
        is_answered=can_be_answered and chance.random() < ANSWERED_SHARE,
        child=child,
        is_awaited=is_awaited,
    )
    return _limited(chance, task, _draw_limit(chance, task))


def _draw_limit(chance: random.Random, task: Task) -> Limit:
    left = chance.random()
    shares = LIMIT_SHARES_OF_PARENTS if task.kind is Kind.WORKFLOW else LIMIT_SHARES
    for limit, share in shares.items():
        if left < share:
            # From when a task that joins early is ready, only the engine knows.
            return Limit.AMPLE if limit is Limit.QUEUE and not task.reads_needs else limit
        left -= share
    return Limit.NONE


def _limited(chance: random.Random, task: Task, limit: Limit) -> Task:
    """Give a task a limit; one that it overruns is all that ends it."""
    if not limit.is_overrun:
        return replace(task, limit=limit)
    return replace(
        task,
        limit=limit,
        seconds=ENDLESS_SECONDS,
        fails=False,
        failures=0,
        contract=Contract.NONE,
        is_answered=False,
        may_fail=chance.random() < OVERRUN_MAY_FAIL_SHARE,
        is_stubborn=task.kind is Kind.PYTHON and chance.random() < STUBBORN_SHARE,
        child=None if task.child is None else _draw_endless(chance),
        is_awaited=True,
    )


def _draw_endless(chance: random.Random) -> Graph:
    """Draw what only the run above it ends."""
    kind = chance.choice((Kind.PYTHON, Kind.SHELL, Kind.SLEEP, Kind.SIGNAL))
    return {"t0": Task(kind=kind, number=chance.randrange(VALUES), seconds=ENDLESS_SECONDS, limit=Limit.ABOVE)}


def _draw_hooks(chance: random.Random, depth: int) -> dict[str, Task]:
    """Give each section of hooks, now and then, a task and another that needs it."""
    hooks: dict[str, Task] = {}
    for section in HOOKS:
        if chance.random() < HOOKS_SHARE:
            first, second = f"{section}_1", f"{section}_2"
            hooks[first] = replace(_draw_task(chance, (), depth=depth), section=section)
            hooks[second] = replace(_draw_task(chance, (first,), depth=depth), section=section)
    return hooks


def _draw_kind(chance: random.Random, depth: int) -> Kind:
    left = chance.random()
    # A run below another one is there to run one below it, now and then.
    shares = SHARES if depth == 0 else SHARES | {"workflow": 0.1}
    for name, share in shares.items():
        if left < share:
            return Kind(name) if name != "workflow" or depth < DEEPEST_CHILD else Kind.PYTHON
        left -= share
    return Kind.PYTHON


def _draw_child(chance: random.Random, depth: int) -> Graph:
    graph = {key: _draw_task(chance, tuple(needed), depth=depth) for key, needed in _draw_small(chance).items()}
    if chance.random() < STOP_SHARE_OF_CHILD:
        last = list(graph)[-1]
        graph[last] = _as_stop(graph[last])
    elif chance.random() < RUN_LIMIT_SHARE_OF_CHILD:
        graph |= _draw_overrun(chance, graph, Limit.RUN)
    return graph | _draw_hooks(chance, depth)


def _draw_overrun(chance: random.Random, graph: Graph, limit: Limit) -> Graph:
    """Let one of the tasks that begin first take longer than their run may."""
    key = chance.choice([key for key, task in graph.items() if not task.needs])
    return {key: _limited(chance, replace(graph[key], condition=Condition.NONE), limit)}


def _prolonged(chance: random.Random, graph: Graph) -> Graph:
    """Let the first task of a run take so long that the one above may end before it."""
    first, task = next(iter(graph.items()))
    if task.limit.is_overrun or task.kind is Kind.STOP:
        return graph
    return {**graph, first: replace(task, seconds=round(chance.uniform(*LONG_TASK_SECONDS), 3))}


def _as_stop(task: Task) -> Task:
    return Task(
        kind=Kind.STOP,
        number=task.number,
        needs=task.needs,
        rule=task.rule,
        condition=task.condition,
        fails=task.number % 2 == 0,
    )
