from dataclasses import replace

import pytest

from maestro.chaos.graphs import Retry
from maestro.chaos.rows import Leftovers, RepeatedLine
from tests.unit.chaos.builders import (
    EFFECTS,
    FAILING,
    GRAPH,
    RUN_ID,
    a_failure,
    a_loss,
    a_run,
    a_task,
    a_verdict,
    an_effect,
    at,
    with_task,
)


def rules(verdict):
    return [(found.rule, found.task_key) for found in verdict.breaks]


def test_a_campaign_in_which_everything_is_as_it_must_be_breaks_nothing():
    verdict = a_verdict()

    assert verdict.breaks == ()
    assert verdict.repeats_after_crash == 0


def test_a_planned_failure_breaks_nothing():
    failed = a_task("a", status="failed", error_code="planned_failure", tries=1)

    verdict = a_verdict(a_run(status="failed", outputs=None, tasks=(failed,)), graph=FAILING, effects=[an_effect("a")])

    assert verdict.breaks == ()


@pytest.mark.parametrize(
    ("run", "found"),
    [
        (a_run(status="running", finished_at=None), [("run_not_ended", "")]),
        (a_run(status="failed"), [("wrong_status", "")]),
        (a_run(outputs={"b": 6, "never": -1}), [("wrong_outputs", "")]),
        (a_run(outputs=None), [("wrong_outputs", "")]),
        (a_run(tasks=a_run().tasks[:2]), [("wrong_tasks", "")]),
        (with_task("b", status="queued"), [("task_not_ended", "b")]),
        (with_task("b", status="running"), [("task_not_ended", "b")]),
        (with_task("b", status="waiting", reason="celery"), [("task_not_ended", "b")]),
        (with_task("b", status="skipped", reason="upstream_failed"), [("wrong_status", "b")]),
        (with_task("b", status="cancelled"), [("wrong_status", "b")]),
        (with_task("never", reason="upstream_skipped"), [("wrong_status", "never")]),
        (with_task("b", output={"value": 6, "attempt": 1}), [("wrong_output", "b")]),
        (with_task("b", output=None), [("wrong_output", "b")]),
        (with_task("a", output={"value": 2, "attempt": 1}), [("wrong_output", "a")]),
        (with_task("a", history=()), [("attempts_gap", "a")]),
        (with_task("a", attempt=2, history=(a_loss(1), a_loss(2))), [("attempts_gap", "a")]),
        (with_task("b", attempt=2), [("wrong_output", "b"), ("effect_missing", "b"), ("attempts_gap", "b")]),
    ],
)
def test_rows_that_are_not_as_they_must_be_are_found(run, found):
    assert rules(a_verdict(run)) == found


def test_a_failure_that_nobody_planned_is_found_by_its_cause():
    failed = a_task("a", status="failed", error_code="unexpected_error", tries=1)

    verdict = a_verdict(a_run(status="failed", outputs=None, tasks=(failed,)), graph=FAILING, effects=[an_effect("a")])

    assert rules(verdict) == [("wrong_cause", "a")]


@pytest.mark.parametrize(
    ("effects", "found"),
    [
        (EFFECTS[:2], [("effect_missing", "b")]),
        ((*EFFECTS[:2], an_effect("b", begun=1.6, ended=None)), [("effect_missing", "b")]),
        ((EFFECTS[0], EFFECTS[2]), [("effect_missing", "a"), ("begun_early", "")]),
        ((*EFFECTS, an_effect("never")), [("effect_of_skipped", "never")]),
        ((*EFFECTS, an_effect("b", 1, "three", begun=2)), [("attempt_repeated", "")]),
        ((*EFFECTS, an_effect("b", 2, "three", begun=2)), [("attempt_uncounted", "")]),
        ((*EFFECTS, an_effect("b", 0, "three", begun=2)), [("attempt_uncounted", "")]),
        ((*EFFECTS[:2], an_effect("b", begun=1.4, ended=1.9)), [("begun_early", "")]),
    ],
)
def test_work_that_was_not_done_or_done_too_often_is_found(effects, found):
    assert rules(a_verdict(effects=effects)) == found


def test_an_attempt_may_run_twice_when_a_crash_may_have_lost_its_claim():
    twice = (*EFFECTS, an_effect("b", 1, "three", begun=4))

    assert a_verdict(effects=twice, crashes=[1.5]).repeats_after_crash == 1
    assert a_verdict(effects=twice, crashes=[1.5]).breaks == ()


@pytest.mark.parametrize("crash", [-60.0, 3.9, 5.0], ids=["long before", "when it was written", "after"])
def test_a_crash_at_another_time_excuses_no_attempt_that_ran_twice(crash):
    verdict = a_verdict(effects=(*EFFECTS, an_effect("b", 1, "three", begun=4)), crashes=[crash])

    assert rules(verdict) == [("attempt_repeated", "")]


def test_a_line_that_is_stored_twice_is_found_unless_its_attempt_ran_twice():
    line = RepeatedLine(run_id=RUN_ID, task_key="b", attempt=1, message="hello", times=2)
    twice = (*EFFECTS, an_effect("b", 1, "three", begun=4))

    assert rules(a_verdict(lines=[line])) == [("line_repeated", "b")]
    assert rules(a_verdict(lines=[line], effects=twice, crashes=[1.5])) == []


def test_what_is_left_in_queues_and_with_workers_is_found():
    left = Leftovers(waiting_messages={"maestro": 2}, holding_workers=("executor@host",), unacknowledged=3)

    assert rules(a_verdict(leftovers=left)) == [("message_left", ""), ("message_held", "")]


def test_runs_that_could_not_be_started_or_are_gone_are_found():
    assert rules(a_verdict(wanted=2)) == [("not_started", "")]
    [gone] = a_verdict(runs=[]).breaks
    assert (gone.rule, gone.run_id) == ("run_missing", RUN_ID)


@pytest.mark.parametrize("tries", [1, 3])
def test_a_failing_task_that_was_not_tried_as_often_as_it_should_is_found(tries):
    graph = {"a": replace(FAILING["a"], tries=2)}
    history = tuple(a_failure(number) for number in range(1, tries))
    row = {"attempt": tries, "tries": tries, "started_at": at(tries + 1), "history": history}
    failed = a_task("a", status="failed", error_code="planned_failure", **row)
    effects = [an_effect("a", number, str(number)) for number in range(1, tries + 1)]

    verdict = a_verdict(a_run(status="failed", outputs=None, tasks=(failed,)), graph=graph, effects=effects)

    assert rules(verdict) == [("wrong_failures", "a")]


def test_a_claim_that_was_forgotten_is_no_attempt_of_the_row_and_needs_a_crash():
    forgotten = a_loss(1, status="fenced", error_code="claim_lost")

    assert rules(a_verdict(with_task("b", history=(forgotten,)), crashes=[1])) == []
    assert rules(a_verdict(with_task("b", history=(forgotten,)))) == [("claim_forgotten", "b")]
    assert rules(a_verdict(with_task("a", history=(forgotten,)), crashes=[1])) == [("attempts_gap", "a")]


def test_a_loss_that_counts_as_a_failure_is_found():
    assert rules(a_verdict(with_task("a", tries=1))) == [("wrong_failures", "a"), ("failures_gap", "a")]


def retried(task=replace(GRAPH["a"], failures=1, tries=2), **changes):  # noqa: B008 - a value
    """Judge a task that failed in its first attempt and succeeded in its second; `changes` are of its row."""
    graph = {"a": task}
    row = {"attempt": 2, "tries": 1, "started_at": at(3), "history": (a_failure(1),)}
    row |= {"output": {"value": 2, "attempt": 2}} | changes
    effects = [an_effect("a", number, str(number)) for number in range(1, row["attempt"] + 1)]
    return rules(a_verdict(a_run(outputs={"a": 2}, tasks=(a_task("a", **row),)), graph=graph, effects=effects))


def test_a_task_that_is_tried_again_as_planned_breaks_nothing():
    assert retried() == []


def test_lost_attempts_before_a_failure_are_no_tries():
    row = {"attempt": 3, "started_at": at(4), "output": {"value": 2, "attempt": 3}}

    assert retried(history=(a_loss(1), a_failure(2)), **row) == []


def test_a_delay_that_grows_is_longer_each_time_up_to_the_longest():
    task = replace(GRAPH["a"], failures=3, tries=4, retry=Retry.GROWING)
    history = tuple(a_failure(number, started_at=at(number), finished_at=at(number + 0.5)) for number in (1, 2, 3))
    row = {"attempt": 4, "tries": 3, "output": {"value": 2, "attempt": 4}, "history": history}

    assert [task.delay_seconds(failures) for failures in (1, 2, 3)] == [0.2, 0.4, 0.5]
    assert retried(task, **row, started_at=at(4)) == []
    assert retried(task, **row, started_at=at(3.9)) == [("retried_early", "a")]
    assert retried(replace(task, retry=Retry.STEADY), **row, started_at=at(3.9)) == []
    assert retried(replace(task, retry=Retry.JITTERED), **row, started_at=at(3.51)) == []


@pytest.mark.parametrize("rule", [Retry.NOT_ON, Retry.WITHIN])
def test_a_task_that_is_to_be_tried_once_and_is_tried_again_is_found(rule):
    graph = {"a": replace(FAILING["a"], tries=2, retry=rule)}

    def judged(tries):
        history = tuple(a_failure(number) for number in range(1, tries))
        row = {"attempt": tries, "tries": tries, "started_at": at(tries + 1), "history": history}
        failed = a_task("a", status="failed", error_code="planned_failure", **row)
        effects = [an_effect("a", number, str(number)) for number in range(1, tries + 1)]
        return rules(a_verdict(a_run(status="failed", outputs=None, tasks=(failed,)), graph=graph, effects=effects))

    assert judged(1) == []
    assert judged(2) == [("wrong_failures", "a")]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"history": ()}, [("attempts_gap", "a"), ("failures_gap", "a")]),
        ({"history": (a_loss(1),)}, [("failures_gap", "a")]),
        ({"history": (a_failure(1, error_code="unexpected_error"),)}, [("wrong_cause", "a")]),
        ({"started_at": at(1.6)}, [("retried_early", "a")]),
    ],
)
def test_failures_that_are_not_as_they_must_be_are_found(changes, found):
    assert retried(**changes) == found


def test_a_task_that_was_given_up_for_its_losses_is_found():
    history = tuple(a_loss(number) for number in range(1, 4))
    lost = {"status": "failed", "reason": "quarantined", "error_code": "worker_lost", "attempt": 3, "history": history}

    found = rules(a_verdict(with_task("b", output=None, **lost)))

    assert ("wrong_status", "b") in found
