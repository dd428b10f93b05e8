from dataclasses import replace

import pytest

from maestro.chaos.deeds import Deeds
from maestro.chaos.drawing import draw_graph
from maestro.chaos.graphs import RUN_SECONDS, Kind, Limit, Task
from maestro.chaos.openings import Asked, PlannedStart, draw_start
from tests.unit.chaos.builders import GRAPH, RUN_ID, START, a_run, a_verdict, at

LATER = PlannedStart(delay_seconds=0.5)


def rules(verdict):
    return [(found.rule, found.task_key) for found in verdict.breaks]


def asked(planned, **changes):
    return Asked(**{"planned": planned, "first_at": START.timestamp(), "keys": 1} | changes)


@pytest.mark.parametrize(
    ("start_at", "started_at", "found"),
    [
        (0.6, 0.7, []),
        (0.6, 8.5, []),
        (0.6, 9, [("begun_late", "")]),
        (0.4, 0.7, [("begins_early", "")]),
        (1.2, 1.3, [("begun_early", key) for key in ("a", "b", "never")]),
        (None, 0.7, [("begins_early", "")]),
    ],
)
def test_a_delayed_run_that_does_not_begin_at_its_time_is_found(start_at, started_at, found):
    run = a_run(start_at=None if start_at is None else at(start_at), started_at=at(started_at))

    assert rules(a_verdict(run, asked=asked(LATER))) == found


def test_a_delayed_run_may_begin_late_when_somebody_was_away_who_begins_it():
    run = a_run(start_at=at(0.6), started_at=at(9))

    assert rules(a_verdict(run, asked=asked(LATER), disturbances=[(0.7, 1)])) == []


def test_a_request_that_is_found_after_its_time_begins_at_once_but_not_one_before_it():
    by_sql = asked(replace(LATER, by_sql=True))

    assert rules(a_verdict(a_run(created_at=at(0.7), started_at=at(0.7)), asked=by_sql)) == []
    assert rules(a_verdict(a_run(created_at=at(0.3), started_at=at(0.3)), asked=by_sql)) == [("begins_early", "")]


def test_a_run_that_nobody_delayed_must_not_wait():
    assert rules(a_verdict(a_run(start_at=at(0.5)))) == [("begins_late", "")]


@pytest.mark.parametrize(
    ("deadline_at", "found"), [(at(10.1), []), (at(9), [("wrong_deadline", "")]), (None, [("wrong_deadline", "")])]
)
def test_a_deadline_that_is_not_as_it_was_asked_for_is_found(deadline_at, found):
    assert rules(a_verdict(a_run(deadline_at=deadline_at), asked=asked(PlannedStart(deadline_seconds=10)))) == found


def test_a_deadline_that_nobody_asked_for_is_found():
    assert rules(a_verdict(a_run(deadline_at=at(100)))) == [("wrong_deadline", "")]


def test_a_run_that_is_cancelled_before_it_begins_has_no_tasks():
    run = a_run(status="cancelled", outputs=None, start_at=at(0.6), started_at=None, tasks=())
    cancelled = Deeds(cancel_asked=frozenset({RUN_ID}))

    assert rules(a_verdict(run, asked=asked(LATER), deeds=cancelled, effects=())) == []
    begun = replace(run, started_at=at(0.7))
    assert rules(a_verdict(begun, asked=asked(LATER), deeds=cancelled, effects=())) == [("wrong_tasks", "")]


def test_what_was_rolled_back_and_is_there_is_found():
    assert rules(a_verdict(rolled_back=[RUN_ID])) == [("started_unasked", "")]
    assert rules(a_verdict(rolled_back=["another"])) == []


def test_two_runs_of_a_workflow_under_one_key_are_found():
    runs = [a_run(), a_run(id="another", tasks=())]

    once, twice = (a_verdict(runs=runs, asked=asked(PlannedStart(), keys=keys)) for keys in (1, 2))

    assert ("started_twice", "") in rules(once)
    assert ("started_twice", "") not in rules(twice)


def test_how_a_run_is_asked_for_is_a_function_of_the_seed():
    drawn = [draw_start(1, f"chaos-{number}", GRAPH) for number in range(300)]

    assert drawn == [draw_start(1, f"chaos-{number}", GRAPH) for number in range(300)]
    for name in (
        "by_sql",
        "delay_seconds",
        "deadline_seconds",
        "is_impatient",
        "is_rolled_back",
        "again_after_seconds",
    ):
        assert {bool(getattr(start, name)) for start in drawn} == {True, False}
    assert not any(start.is_impatient and start.by_sql for start in drawn)


def test_a_run_that_is_to_end_by_its_deadline_is_asked_for_with_one():
    graph = {"a": Task(kind=Kind.PYTHON, number=1, limit=Limit.DEADLINE)}
    limits = {task.limit for number in range(200) for task in draw_graph(1, number).values()}

    assert {draw_start(1, f"chaos-{number}", graph).deadline_seconds for number in range(20)} == {RUN_SECONDS}
    assert {Limit.RUN, Limit.DEADLINE} <= limits
