"""Planning: order, closed forks, why a canvas ends; and the sketch people see."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.compiler.plan import EndReason, make_plan, plan_from_json, plan_to_json
from workflows.compiler.shape import CANVAS_BOUND, Fork, Step, fork_from, stretch_from
from workflows.compiler.sketch import as_json, as_text, sketch_plan


def plan_of(rules=None, kinds=None, /, **needs):
    return make_plan(
        {
            key: ((kinds or {}).get(key, "noop"), (rules or {}).get(key, "all_succeeded"), needed.split())
            for key, needed in needs.items()
        }
    )


def joins_of(plan):
    return {task.key: plan.tasks[task.join].key for task in plan.tasks if task.join is not None}


@st.composite
def dags(draw, max_tasks=12):
    count = draw(st.integers(1, max_tasks))
    return {
        f"t{i}": (
            "noop",
            "all_succeeded",
            sorted(draw(st.sets(st.sampled_from([f"t{j}" for j in range(i)]), max_size=3))),
        )
        if i
        else ("noop", "all_succeeded", [])
        for i in range(count)
    }


@given(dags())
def test_each_task_stands_after_everything_it_needs(tasks):
    plan = make_plan(dict(reversed(tasks.items())))

    assert all(need < position for position, task in enumerate(plan.tasks) for need in task.needs)
    assert {task.key: {plan.tasks[need].key for need in task.needs} for task in plan.tasks} == {
        key: set(needs) for key, (_, _, needs) in tasks.items()
    }


@given(dags())
def test_a_plan_survives_being_stored(tasks):
    plan = make_plan(tasks)

    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan


def reachable(plan, start, without):
    seen, todo = set(), [start]
    while todo:
        position = todo.pop()
        if position != without and position not in seen:
            seen.add(position)
            todo += plan.tasks[position].successors
    return seen


@given(dags())
def test_a_join_closes_its_fork(tasks):
    plan = make_plan(tasks)

    for position, task in enumerate(plan.tasks):
        if task.join is not None:
            region = set().union(*(reachable(plan, start, task.join) for start in task.successors))
            assert all(set(plan.tasks[inside].needs) <= region | {position} for inside in region)
            assert all(set(plan.tasks[inside].successors) <= region | {task.join} for inside in region)
            assert set(plan.tasks[task.join].needs) <= region


def test_diamond_joins_at_its_end():
    assert joins_of(plan_of(a="", b="a", c="a", d="b c")) == {"a": "d"}


def test_nested_forks_join_inside_out():
    plan = plan_of(a="", b="a", c="a", b1="b", b2="b", bj="b1 b2", d="bj c")

    assert joins_of(plan) == {"a": "d", "b": "bj"}


@pytest.mark.parametrize(
    "needs",
    [
        {"a": "", "b": "a", "c": "a", "x": "b", "d": "b c", "e": "x d"},
        {"a": "", "b": "a", "c": "a", "d": "a b c"},
        {"a": "", "b": "a", "c": "a", "d": "b c", "e": "b c", "f": "d e"},
        {"a": "", "r": "", "b": "a r", "c": "a", "d": "b c"},
    ],
    ids=["crossing", "shortcut", "two joins", "need from outside"],
)
def test_fork_that_is_not_series_parallel_has_no_join(needs):
    assert "a" not in joins_of(plan_of(**needs))


def test_roots_that_meet_have_a_join():
    plan = plan_of(a="", b="", c="a b")

    assert plan.tasks[plan.root_join].key == "c"


def test_roots_that_never_meet_have_none():
    assert plan_of(a="", b="", c="a").root_join is None


@pytest.mark.parametrize("rule", ["any_succeeded", "any_failed"])
def test_early_join_is_never_the_end_of_a_chord(rule):
    plan = plan_of({"d": rule}, a="", b="a", c="a", d="b c")

    assert joins_of(plan) == {}
    assert plan.end_reason(plan.positions()["b"]) is EndReason.EARLY_JOIN


@pytest.mark.parametrize("kind", ["celery", "sleep"])
def test_parking_task_ends_its_canvas_and_opens_the_fork(kind):
    plan = plan_of(None, {"b": kind}, a="", b="a", c="a", d="b c")

    assert joins_of(plan) == {}
    assert plan.end_reason(plan.positions()["b"]) is EndReason.PARKS


def test_stretch_holds_a_whole_diamond_of_ten():
    middle = [f"m{i}" for i in range(8)]
    plan = plan_of(source="", **dict.fromkeys(middle, "source"), join=" ".join(middle))

    stretch = stretch_from(plan, 0)

    assert stretch.size == 10
    assert [type(element) for element in stretch.elements] == [Step, Fork, Step]


def test_stretch_is_bounded():
    plan = plan_of(t0="", **{f"t{i}": f"t{i - 1}" for i in range(1, 40)})

    stretch = stretch_from(plan, 0)

    assert stretch.size == CANVAS_BOUND
    assert plan.tasks[stretch.last].key == f"t{CANVAS_BOUND - 1}"


def test_wide_fork_has_a_body_of_one_signature():
    middle = [f"m{i}" for i in range(100)]
    plan = plan_of(source="", **dict.fromkeys(middle, "source"), join=" ".join(middle), after="join")

    fork, body = fork_from(plan, plan.tasks[0].successors, plan.tasks[0].join)

    assert len(fork.branches) == 100
    assert body.size == 1


def test_branch_longer_than_a_canvas_makes_no_chord():
    long = {f"l{i}": f"l{i - 1}" if i else "a" for i in range(CANVAS_BOUND + 1)}
    plan = plan_of(a="", **long, b="a", d=f"b l{CANVAS_BOUND}")

    assert fork_from(plan, plan.tasks[0].successors, plan.tasks[0].join) is None


@given(dags(max_tasks=25))
def test_sketch_shows_every_task_once(tasks):
    plan = make_plan(tasks)

    shown = json.dumps(as_json(sketch_plan(plan)))

    assert sorted(shown.count(f'"task": "{key}"') for key in tasks) == [1] * len(tasks)


def test_sketch_says_where_a_canvas_ends_and_why():
    plan = plan_of(a="", b="a", c="a", x="b", d="b c", e="x d")

    assert as_text(sketch_plan(plan)).splitlines() == [
        "task",
        "  a",
        "  advance after a: fork that is not series-parallel follows",
        "task",
        "  b",
        "  advance after b: fork that is not series-parallel follows",
        "task",
        "  c",
        "  advance after c: join with other branches follows",
        "task",
        "  x",
        "  advance after x: join with other branches follows",
        "task",
        "  d",
        "  advance after d: join with other branches follows",
        "task",
        "  e",
        "  advance after e: last task",
    ]


def test_twenty_thousand_tasks_in_a_row_are_planned_without_recursion():
    plan = make_plan({f"t{i}": ("noop", "all_succeeded", [f"t{i - 1}"] if i else []) for i in range(20_000)})

    assert [task.key for task in plan.tasks] == [f"t{i}" for i in range(20_000)]


def plan_with_hooks():
    tasks = {key: ("noop", "all_succeeded", needs) for key, needs in {"a": [], "b": [], "c": ["a", "b"]}.items()}
    hooks = {key: ("noop", "all_succeeded", needs) for key, needs in {"x": [], "y": [], "z": ["x"], "w": []}.items()}
    return make_plan(
        {**tasks, **hooks}, hooks={"x": "on_failure", "y": "on_failure", "z": "on_failure", "w": "finally"}
    )


def test_hooks_stand_last_and_are_no_roots():
    plan = plan_with_hooks()

    assert [task.key for task in plan.tasks] == ["a", "b", "c", "x", "y", "z", "w"]
    assert (plan.roots, plan.root_join) == ((0, 1), 2)
    assert plan.hook_roots() == {"on_failure": (3, 4), "finally": (6,)}
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan


def test_sketch_shows_hooks_in_canvases_of_their_own():
    text = as_text(sketch_plan(plan_with_hooks()))

    assert [line for line in text.splitlines() if not line.startswith(" ")] == [
        "chord",
        "chain of on_failure",
        "task of on_failure",
        "task of finally",
    ]
