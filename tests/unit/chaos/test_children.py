"""Runs below others: what somebody does to them alone, and what the end of either means for the other."""

from dataclasses import replace

import pytest

from maestro.chaos.deeds import Deeds, Hold
from maestro.chaos.expected import Seen, interpret
from maestro.chaos.graphs import Condition, Kind, Task
from tests.unit.chaos.builders import RUN_ID, START, a_failure, a_run, a_task, a_verdict, an_effect, at
from workflows.definition.sections import Section

CHILD = {"t0": Task(kind=Kind.PYTHON, number=6)}
CALL = Task(kind=Kind.WORKFLOW, number=1, child=CHILD)
AFTER = Task(kind=Kind.PYTHON, number=2, needs=("a",))
CANCELLED = {"status": "cancelled", "outputs": None}
SUCCEEDED = {"outputs": {"t0": 6}}


def rules(verdict):
    return [(found.rule, found.task_key) for found in verdict.breaks]


def a_child(**changes):
    task = a_task("t0", output={"value": 6, "attempt": 1}, started_at=at(1.2), finished_at=at(1.8))
    row = {"id": "child", "workflow": "chaos-0-a", "tasks": (task,), "finished_at": at(1.9), **SUCCEEDED}
    row |= {"parent_id": RUN_ID, "parent_task": "a", "parent_attempt": 1, "is_awaited": True}
    return a_run(**row | changes)


def a_cancelled_child(**changes):
    task = a_task("t0", status="cancelled", reason="stopped", started_at=at(1.2), finished_at=at(1.8))
    return a_child(**CANCELLED | {"tasks": (task,)} | changes)


def judge(parent, child, *, task=CALL, deeds=None, effects=None, graph=None, **more):
    effects = [replace(an_effect("t0", begun=1.3, ended=1.7), run_id="child")] if effects is None else effects
    verdict = a_verdict(
        runs=[parent, child],
        graph=graph or {"a": task},
        children={"chaos-0-a": task.child},
        effects=effects,
        deeds=deeds or Deeds(),
        **more,
    )
    return rules(verdict)


def failed_by_cancel(**changes):
    row = {"status": "failed", "error_code": "child_cancelled", "tries": 1} | changes
    return a_run(status="failed", outputs=None, tasks=(a_task("a", **row),))


def test_the_cancel_of_a_run_below_another_fails_the_task_that_waits_for_it():
    asked = Deeds(cancel_asked=frozenset({"child"}), cancelled_at={"child": START.timestamp() + 1.5})
    effects = [replace(an_effect("t0", begun=1.3, ended=None), run_id="child")]

    assert judge(failed_by_cancel(), a_cancelled_child(), deeds=asked, effects=effects) == []
    found = judge(failed_by_cancel(), a_cancelled_child(), effects=effects)
    assert ("wrong_status", "t0") in found
    assert ("wrong_status", "a") in found
    again = failed_by_cancel(tries=2)
    tried = judge(again, a_cancelled_child(), task=replace(CALL, tries=2), deeds=asked, effects=effects)
    assert ("wrong_failures", "a") in tried


def test_what_follows_the_cancel_of_a_run_below_is_as_after_any_failure():
    graph = {"a": replace(CALL, tries=3), "b": AFTER}
    cancelled = Seen(children={"a": (Seen(), Seen(is_cancelled=True))})

    assert interpret(graph).tasks["a"].status == "succeeded"
    failing = {"a": replace(CALL, tries=3, child={"t0": replace(CHILD["t0"], fails=True)}), "b": AFTER}
    after = interpret(failing, cancelled)
    assert (after.tasks["a"].most_failures, after.tasks["b"].reason) == (2, "upstream_failed")
    assert interpret(failing).tasks["a"].most_failures == 3


def test_a_run_below_goes_with_a_cancelled_one_above():
    parent = a_run(**CANCELLED, tasks=(a_task("a", status="cancelled", reason="", finished_at=at(1.5)),))
    asked = Deeds(cancel_asked=frozenset({RUN_ID}), cancelled_at={RUN_ID: START.timestamp() + 1.6})
    late = a_task("t0", status="cancelled", reason="stopped", started_at=at(1.7), finished_at=at(1.8))

    assert judge(parent, a_cancelled_child(), deeds=asked, effects=()) == []
    assert judge(parent, a_cancelled_child(tasks=(late,)), deeds=asked, effects=()) == [("begun_after_cancel", "t0")]


@pytest.mark.parametrize(
    ("begun", "ended", "found"),
    [(1.2, 3, []), (14, 15, [("begun_left_alone", "t0")]), (1.2, 26, [("left_alone_late", "t0")])],
)
def test_a_run_that_is_left_alone_and_goes_on_is_found(begun, ended, found):
    parent = a_run(**CANCELLED, tasks=(a_task("a", status="cancelled", reason="", finished_at=at(1.5)),))
    task = a_task("t0", status="cancelled", reason="stopped", started_at=at(begun), finished_at=at(ended))
    asked = Deeds(cancel_asked=frozenset({RUN_ID}))

    def judged(**more):
        return judge(parent, a_cancelled_child(tasks=(task,)), deeds=asked, effects=(), **more)

    assert judged() == found
    assert judged(disturbances=[(1.6, 2)]) == []


def test_a_task_that_ends_before_the_run_it_waits_for_is_found():
    parent = a_run(outputs={"a": 6}, tasks=(a_task("a", output={"t0": 6}),))

    assert judge(parent, a_child()) == []
    assert judge(parent, a_child(finished_at=at(2.1))) == [("ended_before_child", "a")]


def test_a_run_that_nobody_waits_for_is_touched_by_nothing_above():
    detached = replace(CALL, is_awaited=False)
    parent = a_run(outputs={"a": -1}, tasks=(a_task("a", output={"run_id": "child"}),))
    later = a_child(is_awaited=False, finished_at=at(9))
    asked = Deeds(cancel_asked=frozenset({RUN_ID}), cancelled_at={RUN_ID: START.timestamp() + 1.1})

    assert judge(parent, later, task=detached) == []
    assert judge(parent, later, task=detached, deeds=replace(asked, cancelled_at={})) == []
    wrong = a_run(outputs={"a": -1}, tasks=(a_task("a", output={"run_id": "other"}),))
    assert judge(wrong, later, task=detached) == [("wrong_output", "a")]
    gone = a_cancelled_child(is_awaited=False)
    found = judge(a_run(**CANCELLED, tasks=(a_task("a", status="cancelled"),)), gone, task=detached, deeds=asked)
    assert ("wrong_status", "t0") in found


def test_a_run_below_that_stops_itself_says_what_its_task_returns():
    stop = Task(kind=Kind.STOP, number=5)

    stopped, not_stopped = (
        interpret({"a": replace(CALL, child={"t0": CHILD["t0"], "t1": task})})
        for task in (stop, replace(stop, condition=Condition.NEVER))
    )

    # Of a task without a value, outputs say -1.
    assert (stopped.outputs, not_stopped.outputs) == ({"a": 5}, {"a": 6 - 1})


def test_hooks_of_a_cancelled_run_below_run_and_those_of_one_that_is_not_may_not_be_cancelled():
    child = {**CHILD, "clean": Task(kind=Kind.PYTHON, number=1, section=Section.FINALLY)}
    parent = a_run(**CANCELLED, tasks=(a_task("a", status="cancelled", reason="", finished_at=at(1.5)),))
    asked = Deeds(cancel_asked=frozenset({RUN_ID}), cancelled_at={RUN_ID: START.timestamp() + 1.6})
    clean = a_task("clean", output={"value": 1, "attempt": 1}, started_at=at(1.8), finished_at=at(2))
    effects = [replace(an_effect("clean", begun=1.85, ended=1.9), run_id="child")]
    call = replace(CALL, child=child)
    cut = a_cancelled_child().tasks

    assert judge(parent, a_cancelled_child(tasks=(*cut, clean)), task=call, deeds=asked, effects=effects) == []
    spoiled = replace(clean, status="cancelled", reason="stopped", output=None)
    found = judge(parent, a_cancelled_child(tasks=(*cut, spoiled)), task=call, deeds=asked, effects=effects)
    assert found == [("wrong_status", "clean")]


@pytest.mark.parametrize("name", ["chaos-0", "chaos-0-a"])
def test_a_run_below_is_held_with_the_workflow_above_unless_nobody_waits_for_it(name):
    hold = Hold(scope="workflow", name=name, begun_at=at(1.1).timestamp(), ended_at=at(1.4).timestamp())
    held = [("begun_while_held", "t0")]

    def judged(**changes):
        task = replace(CALL, **changes)
        output = {"t0": 6} if task.is_awaited else {"run_id": "child"}
        parent = a_run(outputs={"a": 6 if task.is_awaited else -1}, tasks=(a_task("a", output=output),))
        return judge(parent, a_child(**changes), task=task, deeds=Deeds(holds=(hold,)))

    assert judged() == held
    assert judged(is_awaited=False) == (held if name == "chaos-0-a" else [])


def test_a_run_that_was_left_alone_is_not_held_with_the_run_above():
    clean = Task(kind=Kind.PYTHON, number=1, section=Section.FINALLY)
    parent = a_run(**CANCELLED, tasks=(a_task("a", status="cancelled", reason="", finished_at=at(1.5)),))
    row = a_task("clean", output={"value": 1, "attempt": 1}, started_at=at(1.8), finished_at=at(2))
    effects = [replace(an_effect("clean", begun=1.85, ended=1.9), run_id="child")]
    cut = a_cancelled_child(tasks=(*a_cancelled_child().tasks, row))

    def judged(scope, name):
        hold = Hold(scope=scope, name=name, begun_at=at(1.3).timestamp(), ended_at=at(2).timestamp())
        deeds = Deeds(cancel_asked=frozenset({RUN_ID}), holds=(hold,))
        return judge(parent, cut, task=replace(CALL, child=CHILD | {"clean": clean}), deeds=deeds, effects=effects)

    assert judged("run", RUN_ID) == []
    assert judged("run", "child") == judged("queue", "maestro") == [("begun_while_held", "clean")]


def test_a_failed_run_below_is_one_of_the_tries():
    task = replace(CALL, tries=2, child={"t0": replace(CHILD["t0"], fails=True)})
    history = (a_failure(1, error_code="child_failed", finished_at=at(1.5)),)
    row = {"status": "failed", "error_code": "child_failed", "tries": 2, "attempt": 2, "started_at": at(3)}
    parent = a_run(status="failed", outputs=None, tasks=(a_task("a", **row, history=history, finished_at=at(5)),))

    expected = interpret({"a": task}).tasks["a"]

    assert (expected.fewest_children, expected.most_children) == (2, 2)
    failed = a_task("t0", status="failed", error_code="planned_failure", tries=1)
    child = a_child(status="failed", outputs=None, tasks=(failed,))
    assert judge(parent, child, task=task) == [("wrong_children", "a")]
