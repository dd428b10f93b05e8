from dataclasses import replace

import pytest

from maestro.chaos.deeds import Deeds
from maestro.chaos.expected import Seen, interpret
from maestro.chaos.graphs import Condition, Kind, Limit, Task
from maestro.chaos.openings import Asked, PlannedStart
from tests.unit.chaos.builders import RUN_ID, START, a_failure, a_loss, a_run, a_task, a_verdict, an_effect, at
from workflows.definition.sections import Section
from workflows.definition.spec import RunIf

ENDLESS = Task(kind=Kind.PYTHON, number=1, seconds=60, limit=Limit.ATTEMPT)
QUEUED = Task(kind=Kind.PYTHON, number=1, limit=Limit.QUEUE)


def rules(verdict):
    return [(found.rule, found.task_key) for found in verdict.breaks]


def overdue(effect=None, *, task=ENDLESS, verdict=None, **changes):
    """Judge a run whose only task was ended a bit after its 0.8 s; `changes` are of its row."""
    row = {"status": "failed", "error_code": "timed_out", "tries": 1, "finished_at": at(1.85)} | changes
    effects = (effect or replace(an_effect("a", ended=None), is_told=True),)
    run = a_run(status="failed", outputs=None, tasks=(a_task("a", **row),))
    return rules(a_verdict(run, graph={"a": task}, effects=effects, **(verdict or {})))


def test_an_attempt_that_is_ended_at_its_time_breaks_nothing():
    assert overdue() == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"finished_at": at(1.7)}, [("ended_early", "a")]),
        ({"finished_at": at(10)}, [("ended_late", "a")]),
        ({"error_code": "planned_failure"}, [("wrong_cause", "a")]),
        ({"status": "succeeded", "error_code": ""}, [("wrong_status", "a"), ("failures_gap", "a")]),
        ({"reason": "timed_out", "tries": 0}, [("wrong_status", "a"), ("wrong_failures", "a")]),
        ({"tries": 0}, [("wrong_failures", "a"), ("failures_gap", "a")]),
    ],
)
def test_an_attempt_that_is_not_ended_as_it_must_be_is_found(changes, found):
    assert [each for each in overdue(**changes) if each[1] == "a"] == found


def test_an_attempt_may_be_ended_late_when_somebody_was_away_who_does():
    late = {"finished_at": at(20)}

    assert overdue(verdict={"disturbances": [(1.5, 3)]}, **late) == []
    assert overdue(verdict={"disturbances": [(30, 31)]}, **late) == [("ended_late", "a")]


def test_overdue_code_that_is_not_told_or_comes_to_its_end_is_found():
    assert overdue(an_effect("a", ended=None)) == [("overdue_not_told", "a")]
    assert overdue(replace(an_effect("a", ended=61), is_told=True)) == [("overdue_went_on", "a")]
    assert overdue(an_effect("a", begun=1.9, ended=None)) == []


def test_every_attempt_of_those_that_take_too_long_is_judged():
    task = replace(ENDLESS, tries=2)
    early = a_failure(1, error_code="timed_out", finished_at=at(1.5))
    effects = [replace(an_effect("a", number, str(number), ended=None), is_told=True) for number in (1, 2)]
    row = {"status": "failed", "error_code": "timed_out", "tries": 2, "attempt": 2}
    row |= {"started_at": at(3), "finished_at": at(3.9)}

    def judged(first):
        run = a_run(status="failed", outputs=None, tasks=(a_task("a", **row, history=(first,)),))
        return rules(a_verdict(run, graph={"a": task}, effects=effects))

    assert judged(replace(early, finished_at=at(1.9))) == []
    assert judged(early) == [("ended_early", "a")]
    assert judged(replace(early, error_code="planned_failure", finished_at=at(1.9))) == [("wrong_cause", "a")]


def test_the_time_of_a_whole_task_may_end_it_between_two_attempts():
    task = replace(ENDLESS, limit=Limit.TOTAL)
    row = {"status": "failed", "error_code": "timed_out", "reason": "timed_out", "tries": 0}
    row |= {"history": (a_loss(1),), "attempt": 1, "started_at": at(1)}

    assert overdue(task=task, **row, finished_at=at(2.6)) == []
    assert overdue(task=task, **row, finished_at=at(2.4)) == [("ended_early", "a")]
    assert overdue(task=task, **row, finished_at=at(12)) == [("ended_late", "a")]


def unbegun(**changes):
    row = {"status": "failed", "reason": "timed_out", "error_code": "queue_timeout", "attempt": 0, "started_at": None}
    effects = changes.pop("effects", ())
    run = a_run(status="failed", outputs=None, tasks=(a_task("a", **row | changes),))
    return rules(a_verdict(run, graph={"a": QUEUED}, effects=effects))


def test_a_task_that_nobody_begins_in_time_has_failed_and_has_not_begun():
    assert unbegun() == []
    assert unbegun(finished_at=at(0.9)) == [("ended_early", "a")]
    assert unbegun(finished_at=at(9.1)) == [("ended_late", "a")]
    assert ("begun_and_unbegun", "a") in unbegun(started_at=at(0.5), attempt=1)
    assert ("effect_of_skipped", "a") in unbegun(effects=[an_effect("a")])


def test_a_beginning_that_the_database_forgot_is_none():
    forgotten = a_loss(1, status="fenced", error_code="claim_lost", started_at=at(0.4))
    row = {"status": "failed", "reason": "timed_out", "error_code": "queue_timeout", "attempt": 0, "started_at": None}
    run = a_run(status="failed", outputs=None, tasks=(a_task("a", **row, history=(forgotten,)),))

    def judged(*crashes):
        effects = [an_effect("a", begun=0.45, ended=0.5)]
        return rules(a_verdict(run, graph={"a": QUEUED}, effects=effects, crashes=crashes))

    assert judged(0.5) == []
    assert ("claim_forgotten", "a") in judged()


def test_a_task_that_has_a_time_to_be_begun_may_begin_instead_but_not_long_after_it():
    def judged(seconds):
        row = {"output": {"value": 1, "attempt": 1}, "started_at": at(seconds), "finished_at": at(seconds + 1)}
        run = a_run(outputs={"a": 1}, tasks=(a_task("a", **row),))
        effects = [an_effect("a", begun=seconds, ended=seconds + 0.5)]
        return rules(a_verdict(run, graph={"a": QUEUED}, effects=effects))

    assert judged(0.5) == judged(2) == []
    assert judged(9.1) == [("begun_late", "a")]


def test_a_task_without_such_a_limit_may_not_fail_by_it():
    row = {"status": "failed", "reason": "timed_out", "error_code": "queue_timeout", "attempt": 0, "started_at": None}
    run = a_run(status="failed", outputs=None, tasks=(a_task("a", **row),))

    found = rules(a_verdict(run, graph={"a": replace(QUEUED, limit=Limit.AMPLE)}, effects=()))

    assert ("wrong_status", "a") in found


def test_what_follows_a_task_that_nobody_began_is_as_after_any_failure():
    graph = {"a": QUEUED, "b": Task(kind=Kind.PYTHON, number=2, needs=("a",))}

    begun, not_begun = (interpret(graph, Seen(ended_unrun=frozenset(keys))) for keys in ((), ("a",)))

    assert (begun.status, begun.outputs) == ("succeeded", {"b": 3})
    assert (not_begun.status, not_begun.tasks["b"].reason) == ("failed", "upstream_failed")


def test_a_run_that_a_task_waited_for_too_long_must_be_cancelled():
    child = {"t0": replace(ENDLESS, limit=Limit.ABOVE)}
    graph = {"a": Task(kind=Kind.WORKFLOW, number=1, limit=Limit.ATTEMPT, child=child)}
    parent_row = {"status": "failed", "error_code": "timed_out", "tries": 1, "finished_at": at(1.85)}
    parent = a_run(status="failed", outputs=None, tasks=(a_task("a", **parent_row),))
    task = a_task("t0", status="cancelled", reason="stopped")
    below = {
        "id": "child",
        "workflow": "chaos-0-a",
        "parent_id": RUN_ID,
        "parent_task": "a",
        "parent_attempt": 1,
        "is_awaited": True,
    }
    cancelled = a_run(status="cancelled", outputs=None, tasks=(task,), **below)
    output = {"value": 1, "attempt": 1}
    went_on = a_run(outputs={"t0": 1}, tasks=(a_task("t0", output=output, finished_at=at(61)),), **below)

    def judged(run):
        verdict = a_verdict(runs=[parent, run], graph=graph, children={"chaos-0-a": child}, effects=(), deeds=Deeds())
        return rules(verdict)

    assert judged(cancelled) == []
    assert judged(went_on) == [("wrong_status", ""), ("wrong_status", "t0"), ("left_alone_late", "t0")]


def test_a_condition_is_judged_by_whoever_begins_the_task():
    graph = {"a": replace(QUEUED, condition=Condition.NEVER)}

    begun, not_begun = (interpret(graph, Seen(ended_unrun=frozenset(keys))) for keys in ((), ("a",)))

    assert (begun.tasks["a"].status, not_begun.tasks["a"].status) == ("skipped", "failed")


OVERRUN = {"a": replace(ENDLESS, limit=Limit.RUN), "b": Task(kind=Kind.PYTHON, number=2, needs=("a",))}


def overrun(*, graph=OVERRUN, finished=4.5, reason="timed_out", asked=None, **changes):
    """Judge a run that was ended because its 4 s were over."""
    row = {"status": "cancelled", "reason": "stopped", "finished_at": at(finished)}
    after = a_task("b", status="cancelled", attempt=0, started_at=None, finished_at=at(finished))
    run = a_run(status="failed", reason=reason, outputs=None, tasks=(a_task("a", **row), after))
    return rules(a_verdict(replace(run, **changes), graph=graph, effects=(an_effect("a", ended=None),), asked=asked))


def test_a_run_that_is_ended_at_its_time_breaks_nothing():
    assert overrun() == []


def test_a_run_that_is_not_ended_at_its_time_is_found():
    assert overrun(finished=3.9) == [("ended_early", "a"), ("ended_early", "b")]
    assert overrun(finished=16.1) == [("ended_late", "a"), ("ended_late", "b")]
    assert overrun(reason="") == [("wrong_reason", "")]
    assert ("wrong_status", "") in overrun(status="succeeded", reason="")
    assert ("wrong_status", "") in overrun(status="cancelled", reason="")
    done = a_task("a", output={"value": 1, "attempt": 1}, finished_at=at(62))
    assert ("wrong_status", "a") in overrun(tasks=(done, a_task("b", output={"value": 3, "attempt": 1})))


def test_a_run_is_ended_at_its_deadline_and_not_before():
    graph = {"a": replace(ENDLESS, limit=Limit.DEADLINE), "b": OVERRUN["b"]}
    asked = Asked(planned=PlannedStart(deadline_seconds=2), first_at=START.timestamp(), keys=1)

    assert overrun(graph=graph, asked=asked, deadline_at=at(3), finished=3.1) == []
    assert overrun(graph=graph, asked=asked, deadline_at=at(3), finished=2.9) == [
        ("ended_early", "a"),
        ("ended_early", "b"),
    ]
    # It begins after its deadline.
    late = {"deadline_at": at(3), "started_at": at(20)}
    assert overrun(graph=graph, asked=asked, finished=20.1, **late) == []


def test_what_waits_for_a_task_that_outlasts_its_run_never_begins_unless_something_else_lets_it():
    graph = OVERRUN | {
        "c": Task(kind=Kind.PYTHON, number=3),
        "all": Task(kind=Kind.PYTHON, number=1, needs=("a", "c"), rule=RunIf.ALL_DONE),
        "any": Task(kind=Kind.PYTHON, number=1, needs=("a", "c"), rule=RunIf.ANY_SUCCEEDED),
        "alert": Task(kind=Kind.PYTHON, number=1, section=Section.ON_FAILURE),
        "cheer": Task(kind=Kind.PYTHON, number=1, section=Section.ON_SUCCESS),
    }

    run = interpret(graph)

    assert (run.status, run.reason, run.outputs) == ("failed", "timed_out", None)
    assert {key: task.status for key, task in run.tasks.items()} == {
        "a": "cancelled",
        "b": "cancelled",
        "c": "succeeded",
        "all": "cancelled",
        "any": "succeeded",
        "alert": "succeeded",
    }
