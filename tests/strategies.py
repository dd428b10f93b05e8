"""Random graphs of tasks: series-parallel, irregular, wide, deep and layered, with failures, conditions, every join
rule, signals, approvals, child runs, output contracts and hooks.
"""

import graphlib

from hypothesis import strategies as st

from tests.reference import ExpectedTask
from workflows.definition.spec import RunIf

MAX_TASKS = 24


@st.composite
def graphs(draw):
    """Task key → task, each after its needs; at most one takes its time."""
    needs = draw(st.one_of(_series_parallel(), _irregular(), _wide(), _deep(), _layered()))
    slow = draw(st.one_of(st.none(), st.sampled_from(sorted(needs))))
    tasks = {
        key: draw(
            _tasks(tuple(needed), kinds=st.just("noop"), is_slow=True)
            if key == slow
            else _tasks(tuple(needed), kinds=_KINDS)
        )
        for key, needed in needs.items()
    }
    return tasks | draw(_hooks())


@st.composite
def _hooks(draw):
    """Two hooks of some of the outcomes, one after the other."""
    hooks = {}
    for section in draw(st.lists(st.sampled_from(_HOOKS), max_size=2, unique=True)):
        hooks[f"{section}_first"] = draw(_tasks((), kinds=_KINDS, section=section))
        hooks[f"{section}_last"] = draw(_tasks((f"{section}_first",), kinds=_KINDS, section=section))
    return hooks


@st.composite
def _tasks(draw, needs, kinds, is_slow=False, section="tasks"):
    uses = draw(kinds)
    return ExpectedTask(
        needs=needs,
        is_slow=is_slow,
        rule=draw(_RULES) if needs else RunIf.ALL_SUCCEEDED,
        # A signal that nobody sends would have to be timed out, and nobody looks at the time here.
        fails=draw(_SELDOM) and uses != "signal",
        may_fail=draw(_SELDOM),
        condition=not draw(_SELDOM),
        uses=uses,
        section=section,
        # What would break the contract of a task that waits for it is refused to whoever sends it.
        refused=draw(_SELDOM) and draw(st.booleans()) and uses != "signal",
    )


# Mostly the default: other rules everywhere would make most of a graph skip.
_RULES = st.one_of(st.just(RunIf.ALL_SUCCEEDED), st.just(RunIf.ALL_SUCCEEDED), st.sampled_from(RunIf))
_KINDS = st.sampled_from([*["noop"] * 8, "signal", "approval", "workflow"])
_HOOKS = ("on_failure", "on_success", "finally")
_SELDOM = st.integers(0, 9).map(lambda number: number == 9)


@st.composite
def _irregular(draw):
    count = draw(st.integers(1, MAX_TASKS))
    return {
        f"t{i}": sorted(draw(st.sets(st.sampled_from([f"t{j}" for j in range(i)]), max_size=3))) if i else []
        for i in range(count)
    }


@st.composite
def _wide(draw):
    middle = [f"m{i}" for i in range(draw(st.integers(2, MAX_TASKS - 2)))]
    return {"source": [], **{key: ["source"] for key in middle}, "join": middle}


@st.composite
def _deep(draw):
    return {f"t{i}": [f"t{i - 1}"] if i else [] for i in range(draw(st.integers(2, MAX_TASKS)))}


@st.composite
def _layered(draw):
    width, depth = draw(st.integers(2, 5)), draw(st.integers(2, 4))
    return {
        f"t{level}_{i}": [f"t{level - 1}_{j}" for j in range(width)] if level else []
        for level in range(depth)
        for i in range(width)
    }


@st.composite
def _series_parallel(draw):
    """Replace tasks by forks again and again, starting from one."""
    needs: dict[str, list[str]] = {"t0": []}
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.sampled_from(sorted(needs)))
        branches = [f"t{len(needs) + i}" for i in range(draw(st.integers(2, 4)))]
        if len(needs) + len(branches) >= MAX_TASKS:
            break
        join = f"t{len(needs) + len(branches)}"
        followers = [key for key, needed in needs.items() if start in needed]
        for key in followers:
            needs[key] = [join if need == start else need for need in needs[key]]
        needs |= {branch: [start] for branch in branches} | {join: branches}
    return {key: needs[key] for key in graphlib.TopologicalSorter(needs).static_order()}
