"""Asking after a run until it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from maestro.cli.polling import PATIENCE_SECONDS, ServerLost, follow_run, polling_interval
from maestro.cli.tracking import Progress
from maestro.client import ApiError, Client
from tests.unit.cli.builders import RUN_ID, run_json, task_json
from tests.unit.cli.fakes import Clock, RememberingView
from tests.unit.client.fake_api import KEY, FakeApi, Reply, problem

RUN = f"/workflow-runs/{RUN_ID}"
AWAY = problem(503, "unavailable", "Not now.")


@pytest.fixture
def client(api: FakeApi) -> Iterator[Client]:
    with Client(api.url, KEY, timeout=60) as opened:
        yield opened


def follow(client: Client, view: RememberingView, clock: Clock) -> Progress:
    return follow_run(client.runs, RUN_ID, view, sleep=clock.sleep, monotonic=clock.monotonic)


def test_run_is_shown_until_it_is_finished(api: FakeApi, client: Client):
    api.on_turns(
        "GET",
        RUN,
        Reply(body=run_json("pending")),
        Reply(body=run_json("running")),
        Reply(body=run_json("succeeded")),
    )
    api.on_turns(
        "GET",
        f"{RUN}/task-executions",
        Reply(body={"results": [task_json("a", "pending")], "next": None}),
        Reply(body={"results": [task_json("a", "running")], "next": None}),
        Reply(body={"results": [task_json("a", "succeeded")], "next": None}),
    )
    view, clock = RememberingView(), Clock()

    end = follow(client, view, clock)

    assert end == view.shown[-1]
    assert [(progress.run.status, progress.tasks[0].status) for progress in view.shown] == [
        ("pending", "pending"),
        ("running", "running"),
        ("succeeded", "succeeded"),
    ]
    assert clock.slept == [0.25, 0.25]


def test_server_that_comes_back_is_waited_for(api: FakeApi, client: Client):
    api.on_turns("GET", RUN, AWAY, AWAY, Reply(body=run_json("succeeded")))
    api.on_list(f"{RUN}/task-executions", [])
    view, clock = RememberingView(), Clock()

    end = follow(client, view, clock)

    assert end.run.status == "succeeded"
    assert view.notices == ["The server does not answer; trying again…", "The server answers again."]


def test_server_that_stays_away_is_given_up_after_a_minute(api: FakeApi, client: Client):
    api.on_turns("GET", RUN, AWAY)
    view, clock = RememberingView(), Clock()

    with pytest.raises(ServerLost, match=r"The server has not answered for 1m 00s\."):
        follow(client, view, clock)

    assert sum(clock.slept) == PATIENCE_SECONDS
    assert len(view.notices) == 1


def test_refusal_is_not_waited_out(api: FakeApi, client: Client):
    api.on_turns("GET", RUN, problem(404, "run_not_found", "There is no such run."))
    clock = Clock()

    with pytest.raises(ApiError, match="run_not_found"):
        follow(client, RememberingView(), clock)

    assert clock.slept == []


@pytest.mark.parametrize(("elapsed", "interval"), [(0, 0.25), (5, 0.25), (10, 0.5), (30, 1.5), (40, 2), (9999, 2)])
def test_interval_grows_with_the_run_up_to_two_seconds(elapsed: float, interval: float):
    assert polling_interval(elapsed) == interval
