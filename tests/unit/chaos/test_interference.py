from dataclasses import replace

import pytest

from maestro.chaos.deeds import Deeds, Hold, draw_cancel, draw_signals
from maestro.chaos.drawing import draw_graph
from maestro.chaos.graphs import Kind, Task
from maestro.chaos.rows import SignalRow
from tests.unit.chaos.builders import (
    EFFECTS,
    GRAPH,
    RUN_ID,
    START,
    a_failure,
    a_run,
    a_task,
    a_verdict,
    an_effect,
    at,
    with_task,
)
from workflows.definition.sections import Section

CANCELLED = Deeds(cancel_asked=frozenset({RUN_ID}), cancelled_at={RUN_ID: START.timestamp() + 1.6})
STOP = Task(kind=Kind.STOP, number=3)


def rules(verdict):
    return [(found.rule, found.task_key) for found in verdict.breaks]


def a_cancelled_run(**changes):
    """The run, cancelled while `b` ran; `changes` are of the row of `b`."""
    row = {"status": "cancelled", "reason": "stopped", "output": None, "started_at": at(1.5), "finished_at": at(2)}
    return replace(with_task("b", **row | changes), status="cancelled", outputs=None)


def test_a_run_that_is_cancelled_as_somebody_asked_breaks_nothing():
    assert rules(a_verdict(a_cancelled_run(), deeds=CANCELLED)) == []


def hook(section, **more):
    return Task(kind=Kind.PYTHON, number=1, section=Section(section), **more)


def test_a_cancelled_run_has_its_last_hooks_and_no_others():
    graph = {**GRAPH, "cheer": hook("on_success"), "clean": hook("finally")}
    clean = a_task("clean", output={"value": 1, "attempt": 1}, started_at=at(2.1), finished_at=at(2.5))
    cheer = replace(clean, task_key="cheer")
    effects = (*EFFECTS, an_effect("clean", begun=2.1, ended=2.4))
    run = a_cancelled_run()

    def judged(*hooks):
        ended = replace(run, tasks=(*run.tasks, *hooks))
        return rules(a_verdict(ended, graph=graph, deeds=CANCELLED, effects=effects if hooks else EFFECTS))

    assert judged(clean) == []
    assert ("wrong_tasks", "") in judged()
    assert ("wrong_tasks", "") in judged(cheer, clean)


def test_a_cancel_while_hooks_run_ends_these_and_what_would_follow_never_comes():
    graph = {**GRAPH, "cheer": hook("on_success"), "clean": hook("finally")}
    run = a_run()
    cheer = a_task("cheer", status="cancelled", reason="stopped", started_at=at(1.5))
    run = replace(run, tasks=(*run.tasks, cheer))

    assert rules(a_verdict(run, graph=graph, deeds=CANCELLED)) == []
    assert ("wrong_status", "cheer") in rules(a_verdict(run, graph=graph))
    assert ("wrong_tasks", "") in rules(a_verdict(run, graph=graph))
    late = replace(run, tasks=(*run.tasks[:-1], replace(cheer, started_at=at(1.7))))
    assert rules(a_verdict(late, graph=graph, deeds=CANCELLED)) == [("begun_after_cancel", "cheer")]


def test_a_task_may_be_cancelled_while_it_waits_for_its_next_try_and_after_it_was_made_to_fail():
    failed = a_failure(1, started_at=at(1.2), finished_at=at(1.5))
    graph = {**GRAPH, "b": replace(GRAPH["b"], failures=1, tries=2)}
    waiting = a_cancelled_run(tries=1, history=(failed,), reason="", started_at=at(1.2))
    interrupted = a_cancelled_run(tries=1)

    assert rules(a_verdict(waiting, graph=graph, deeds=CANCELLED)) == []
    assert rules(a_verdict(interrupted, deeds=CANCELLED)) == []
    assert rules(a_verdict(a_cancelled_run(tries=2), deeds=CANCELLED)) == [
        ("wrong_failures", "b"),
        ("failures_gap", "b"),
    ]


def test_a_run_that_was_over_before_its_cancel_must_be_as_ever():
    assert rules(a_verdict(deeds=replace(CANCELLED, cancelled_at={}))) == []
    assert rules(a_verdict(with_task("b", output=None), deeds=replace(CANCELLED, cancelled_at={}))) == [
        ("wrong_output", "b")
    ]


def test_a_run_that_nobody_asked_to_cancel_is_found():
    assert ("wrong_status", "") in rules(a_verdict(a_cancelled_run()))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"started_at": at(1.7)}, [("begun_after_cancel", "b")]),
        ({"finished_at": at(62)}, [("cancelled_late", "b")]),
        ({"reason": "paused"}, [("wrong_reason", "b")]),
        ({"finished_at": at(1.8)}, [("effect_of_stopped", "b")]),
        ({"finished_at": at(1.8), "reason": "killed"}, [("effect_of_stopped", "b")]),
        ({"finished_at": at(1.8), "reason": "unconfirmed"}, []),
        ({"status": "skipped", "reason": "condition"}, [("wrong_status", "b")]),
        (
            {"attempt": 0, "reason": "", "started_at": None},
            [("attempt_uncounted", ""), ("effect_of_cancelled", "b")],
        ),
    ],
)
def test_what_a_cancelled_run_must_not_do_is_found(changes, found):
    verdict = a_verdict(a_cancelled_run(**changes), deeds=CANCELLED)

    assert rules(verdict) == found


def test_a_task_may_be_cancelled_after_the_database_lost_its_only_attempt():
    run = a_cancelled_run(attempt=0, reason="", started_at=None)

    assert rules(a_verdict(run, deeds=CANCELLED, crashes=[1.7])) == []
    assert rules(a_verdict(run, deeds=CANCELLED, crashes=[9])) == [
        ("attempt_uncounted", ""),
        ("effect_of_cancelled", "b"),
    ]


@pytest.mark.parametrize(
    ("hold", "found"),
    [
        (("run", RUN_ID, 1.4, 2.0), [("begun_while_held", "b")]),
        (("workflow", "chaos-0", 1.4, 2.0), [("begun_while_held", "b")]),
        (("queue", "maestro", 1.4, 2.0), [("begun_while_held", "b")]),
        (("organization", "", 1.4, 2.0), [("begun_while_held", "b")]),
        (("run", "another", 1.4, 2.0), []),
        (("workflow", "chaos-1", 1.4, 2.0), []),
        (("run", RUN_ID, 1.6, 2.0), []),
        (("run", RUN_ID, 1.0, 1.4), []),
    ],
)
def test_what_begins_during_a_pause_is_found(hold, found):
    scope, name, begun, ended = hold
    held = Hold(scope=scope, name=name, begun_at=at(begun).timestamp(), ended_at=at(ended).timestamp())
    run = with_task("b", started_at=at(1.5))

    assert [each for each in rules(a_verdict(run, deeds=Deeds(holds=(held,)))) if each[1] == "b"] == found


def test_an_answer_that_nobody_should_get_is_found():
    assert rules(a_verdict(deeds=Deeds(refusals=("500 internal_error: oh",)))) == [("wrong_answer", "")]


def judge_one(task, row, **more):
    """Judge a run of one task that runs no code."""
    run = a_run(tasks=(row,), **{"outputs": {"a": row.output["value"] if row.output else -1}} | more.pop("run", {}))
    return rules(a_verdict(run, graph={"a": task}, effects=(), **more))


def test_a_sleep_that_ends_before_its_time_is_found():
    task = Task(kind=Kind.SLEEP, number=1, seconds=0.5)

    assert judge_one(task, a_task("a", finished_at=at(1.5))) == []
    assert judge_one(task, a_task("a", finished_at=at(1.4))) == [("waited_too_little", "a")]


@pytest.mark.parametrize(
    ("taken_by", "found"),
    [
        (["a"], []),
        ([""], [("signal_not_taken", "a")]),
        ([], [("signal_not_taken", "a")]),
        (["a", ""], [("signal_repeated", "")]),
        (["a", "a"], [("signal_repeated", ""), ("signal_not_taken", "a")]),
    ],
)
def test_a_signal_that_is_lost_or_taken_twice_is_found(taken_by, found):
    task = Task(kind=Kind.SIGNAL, number=4, is_answered=True)
    signals = [SignalRow(run_id=RUN_ID, name="a", taken_by=key) for key in taken_by]

    assert judge_one(task, a_task("a", output={"value": 4}), signals=signals) == found


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"outcome": "approved", "form": {"value": 4}, "by": "ann@example.org", "comment": ""}, []),
        ({"outcome": "approved", "form": {"value": 4}, "by": None, "comment": ""}, [("wrong_output", "a")]),
        ({"outcome": "approved", "form": {"value": 5}, "by": "ann@example.org"}, [("wrong_output", "a")]),
        (None, [("wrong_output", "a")]),
    ],
)
def test_an_approval_that_is_not_as_it_was_decided_is_found(output, found):
    task = Task(kind=Kind.APPROVAL, number=4, is_answered=True)

    run = a_run(tasks=(a_task("a", output=output),), outputs={"a": 4})

    assert rules(a_verdict(run, graph={"a": task}, effects=())) == found


@pytest.mark.parametrize(("count", "found"), [(0, [("wrong_children", "a")]), (1, []), (2, [("wrong_children", "a")])])
def test_a_task_that_starts_no_run_or_two_is_found(count, found):
    child = {"t0": Task(kind=Kind.PYTHON, number=6)}
    parent = a_run(tasks=(a_task("a", output={"t0": 6}),), outputs={"a": 6})
    children = [
        a_run(
            id=f"child-{number}",
            workflow="chaos-0-a",
            outputs={"t0": 6},
            tasks=(a_task("t0", output={"value": 6, "attempt": 1}),),
            parent_id=RUN_ID,
            parent_attempt=1,
            is_awaited=True,
            parent_task="a",
            finished_at=at(2),
        )
        for number in range(count)
    ]
    effects = [replace(an_effect("t0"), run_id=run.id) for run in children]

    verdict = a_verdict(
        runs=[parent, *children],
        graph={"a": Task(kind=Kind.WORKFLOW, number=1, child=child)},
        children={"chaos-0-a": child},
        effects=effects,
    )

    assert rules(verdict) == found


def test_a_child_of_a_cancelled_run_may_be_cancelled():
    child = {"t0": Task(kind=Kind.PYTHON, number=6)}
    cancelled = {"status": "cancelled", "outputs": None}
    rows = [
        a_run(tasks=(a_task("a", status="cancelled"),), **cancelled),
        a_run(
            id="child",
            workflow="chaos-0-a",
            tasks=(a_task("t0", status="cancelled", attempt=0, started_at=None),),
            parent_id=RUN_ID,
            parent_attempt=1,
            is_awaited=True,
            parent_task="a",
            **cancelled,
        ),
    ]
    graph = {"a": Task(kind=Kind.WORKFLOW, number=1, child=child)}

    def judged(deeds, **changes):
        runs = [replace(rows[0], **changes), rows[1]]
        return rules(a_verdict(runs=runs, graph=graph, children={"chaos-0-a": child}, effects=(), deeds=deeds))

    asked = Deeds(cancel_asked=frozenset({RUN_ID}))
    assert judged(asked) == []
    assert ("wrong_status", "a") in judged(Deeds())
    assert ("wrong_status", "t0") in judged(asked, tasks=(a_task("a", status="succeeded"),))


def test_a_run_that_stops_itself_must_end_as_told_and_the_task_that_stops_it_too():
    graph = {"stop": STOP, "b": Task(kind=Kind.PYTHON, number=3)}
    rows = (a_task("stop"), a_task("b", status="cancelled", attempt=0, started_at=None))
    run = a_run(outputs={"value": 3}, tasks=rows, reason="stopped")

    assert rules(a_verdict(run, graph=graph, effects=())) == []
    assert rules(a_verdict(replace(run, status="cancelled", outputs=None), graph=graph, effects=())) == [
        ("wrong_status", "")
    ]
    spoiled = replace(run, tasks=(a_task("stop", status="cancelled", attempt=0, started_at=None), rows[1]))
    assert ("wrong_status", "stop") in rules(a_verdict(spoiled, graph=graph, effects=()))


def test_what_people_do_is_a_function_of_the_seed():
    signal = {"a": Task(kind=Kind.SIGNAL, number=4, is_answered=True), "b": Task(kind=Kind.SIGNAL, number=5)}
    graphs = [draw_graph(1, number) for number in range(300)]
    cancels = [draw_cancel(1, f"chaos-{number}", graph) for number, graph in enumerate(graphs)]

    assert [planned.task_key for planned in draw_signals(1, "chaos-2", signal)] == ["a"]
    assert draw_signals(1, "chaos-2", signal) == draw_signals(1, "chaos-2", signal)
    assert cancels == [draw_cancel(1, f"chaos-{number}", graph) for number, graph in enumerate(graphs)]
    assert 0 < len([seconds for seconds in cancels if seconds is not None]) < 40
    assert {draw_cancel(1, f"chaos-{number}", {"a": STOP}) for number in range(100)} == {None}
