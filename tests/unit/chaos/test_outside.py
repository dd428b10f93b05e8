import json
import urllib.request
from dataclasses import replace

import pytest

from maestro.chaos.graphs import Kind, Task
from maestro.chaos.outside import Outside
from maestro.chaos.rows import Ask
from tests.unit.chaos.builders import RUN_ID, START, a_failure, a_loss, a_run, a_task, a_verdict, at

ASKS = Task(kind=Kind.HTTP, number=4, seconds=0.5)
READY = {"status": 200, "headers": {}, "body": {"state": "ready", "value": 4}}


@pytest.fixture
def outside():
    outside = Outside()
    yield outside
    outside.close()


def ask(outside, path):
    with urllib.request.urlopen(f"http://{outside.address}{path}") as answer:
        return json.load(answer)


def test_the_outside_is_ready_so_long_after_it_was_asked_first(outside):
    at_once, later = "/run/a?seconds=0&state=ready&value=4", "/run/b?seconds=60&state=gone&value=5"

    assert ask(outside, at_once) == {"state": "ready", "value": 4}
    assert ask(outside, later) == {"state": "open", "value": 5}
    assert ask(outside, "/run/b?seconds=0&state=gone&value=5") == {"state": "gone", "value": 5}
    assert [(each.run_id, each.task_key) for each in outside.asks] == [("run", "a"), ("run", "b"), ("run", "b")]


def judged(asked=(1.1,), *, task=ASKS, **changes):
    row = {"output": READY, "finished_at": at(3)} | changes
    run = a_run(tasks=(a_task("a", **row),), outputs={"a": 4})
    asks = [Ask(run_id=RUN_ID, task_key="a", at=START.timestamp() + seconds) for seconds in asked]
    return [(found.rule, found.task_key) for found in a_verdict(run, graph={"a": task}, effects=(), asks=asks).breaks]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((1.1, 2.1), []),
        ((1.1, 1.9), [("asked_early", "a")]),
        ((1.1, 2.1, 3.2), [("asked_after_end", "a")]),
    ],
)
def test_a_question_that_should_not_be_asked_is_found(asked, found):
    assert judged(asked) == found


def test_questions_of_a_lost_attempt_may_be_asked_again():
    assert judged((1.1, 1.9), attempt=2, history=(a_loss(1, started_at=at(1)),), started_at=at(1.8)) == []


def test_an_answer_that_is_not_the_right_one_is_found():
    assert judged(output=READY | {"body": {"state": "open", "value": 4}}) == [("wrong_output", "a")]
    assert judged(finished_at=at(1.4)) == [("waited_too_little", "a")]


def test_waiting_that_is_no_use_fails_once():
    task = replace(ASKS, fails=True, tries=3)
    row = {"status": "failed", "output": None, "error_code": "poll_failed", "tries": 1}

    def failed(**more):
        run = a_run(status="failed", outputs=None, tasks=(a_task("a", **row | more, finished_at=at(3)),))
        return [found.rule for found in a_verdict(run, graph={"a": task}, effects=()).breaks]

    assert failed() == []
    again = a_failure(1, error_code="poll_failed")
    assert "wrong_failures" in failed(tries=2, attempt=2, history=(again,), started_at=at(1.8))


def test_a_task_that_is_skipped_asks_nothing():
    graph = {"b": Task(kind=Kind.PYTHON, number=1, fails=True), "a": replace(ASKS, needs=("b",))}
    rows = (
        a_task("b", status="failed", error_code="planned_failure", tries=1),
        a_task("a", status="skipped", reason="upstream_failed", attempt=0, started_at=None),
    )
    asks = [Ask(run_id=RUN_ID, task_key="a", at=START.timestamp() + 1)]

    verdict = a_verdict(a_run(status="failed", outputs=None, tasks=rows), graph=graph, effects=(), asks=asks)

    assert ("asked_by_skipped", "a") in [(found.rule, found.task_key) for found in verdict.breaks]
