"""The run routes: what is sent, and what comes back as values."""

from __future__ import annotations

import datetime

import pytest

from maestro.client import Client
from maestro.client.pauses import PauseTarget
from tests.unit.client.fake_api import KEY, FakeApi, Reply, problem

RUN = {"id": "r1", "workflow": "flights", "version": 1, "status": "failed", "error_message": "no"}
TASK = {"id": 1, "run": "r1", "task_key": "read", "status": "running", "needs": None, "attempt": 2}


def test_runs_are_filtered_by_the_server(api: FakeApi, client: Client):
    api.on_list("/workflow-runs", [RUN])
    moment = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)

    runs = list(client.runs.iterate(status="failed", workflow="flights", created_after=moment, page_size=7))

    assert [run.id for run in runs] == ["r1"]
    assert api.requests[0].query == {
        "status": "failed",
        "workflow": "flights",
        "created_after": "2026-01-02T00:00:00+00:00",
        "limit": "7",
    }


def test_task_executions_say_whether_they_are_finished_or_active(api: FakeApi, client: Client):
    api.on_list("/workflow-runs/r1/task-executions", [TASK, {**TASK, "task_key": "clean", "status": "skipped"}])

    running, skipped = client.runs.iterate_task_executions("r1")

    assert (running.is_active, running.is_finished, running.needs) == (True, False, ())
    assert (skipped.is_active, skipped.is_finished) == (False, True)


def test_logs_are_asked_for_one_task(api: FakeApi, client: Client):
    line = {"id": 8, "task_key": "read", "message": "hello", "stream": "stderr"}
    api.on_list("/workflow-runs/r1/logs", [line])

    lines = list(client.runs.iterate_logs("r1", task_key="read"))

    assert [(each.message, each.stream) for each in lines] == [("hello", "stderr")]
    assert api.requests[0].query == {"task_key": "read", "limit": "200"}


def test_log_is_read_on_after_a_line(api: FakeApi, client: Client):
    answer = {"results": [{"id": 8, "message": "hello"}], "next": None, "previous": None, "last_id": 9}
    api.on("GET", "/workflow-runs/r1/logs", answer)

    extract = client.runs.read_log("r1", after=7, attempt=2, level="error")

    assert [line.message for line in extract.results] == ["hello"]
    assert (extract.last_id, extract.has_more) == (9, False)
    assert api.requests[0].query == {"after": "7", "attempt": "2", "level": "error", "limit": "200"}


def test_cancel_posts_nothing_and_returns_the_run(api: FakeApi, client: Client):
    api.on("POST", "/workflow-runs/r1/cancel", RUN)

    run = client.runs.cancel("r1")

    assert api.requests[0].body == b""
    assert run.is_finished


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/workflow-runs/r1/cancel", lambda client: client.runs.cancel("r1")),
        ("/workflow-runs/r1/task-executions/a/approve", lambda client: client.runs.approve("r1", "a")),
        ("/workflow-runs/r1/task-executions/a/reject", lambda client: client.runs.reject("r1", "a")),
        ("/organization/pause", lambda client: client.pauses.pause(PauseTarget())),
        ("/organization/resume", lambda client: client.pauses.resume(PauseTarget())),
    ],
)
def test_what_changes_something_is_sent_again_under_its_key_when_no_answer_comes(api: FakeApi, path, call, monkeypatch):
    monkeypatch.setattr("maestro.client.transport.RETRY_DELAYS_SECONDS", (0,))
    busy = problem(503, "database_unavailable", "Wait.")
    answer = Reply(body=RUN | {"run": "r1", "task_key": "a", "outcome": "approved", "scope": "organization"})
    api.on_turns("POST", path, busy, answer)
    with Client(api.url, KEY) as client:
        call(client)

    first, second = (request.idempotency_key for request in api.requests)
    assert first == second != ""
