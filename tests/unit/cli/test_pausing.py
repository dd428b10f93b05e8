"""pause, resume, pauses."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.builders import RUN_ID, START, run_json, task_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi, problem

PAUSE = {
    "id": "01920000-0000-7000-8000-0000000000aa",
    "scope": "run",
    "run": RUN_ID,
    "workflow": None,
    "queue": None,
    "reason": "moving house",
    "paused_by": "ann@example.org",
    "paused_at": START,
    "resumed_by": None,
    "resumed_at": None,
}
OF_WORKFLOW = PAUSE | {"scope": "workflow", "run": None, "workflow": "flights"}
OF_QUEUE = PAUSE | {"scope": "queue", "run": None, "queue": "maestro"}
OF_ALL = PAUSE | {"scope": "organization", "run": None}


@pytest.mark.parametrize(
    ("arguments", "path", "answer", "said"),
    [
        ((RUN_ID,), f"/workflow-runs/{RUN_ID}", PAUSE, f"Run {RUN_ID} is paused by ann@example.org. `maestro resume"),
        (("flights",), "/workflows/flights", OF_WORKFLOW, "Workflow flights is paused by ann@example.org. `maestro"),
        (("--queue", "maestro"), "/queues/maestro", OF_QUEUE, "Queue maestro is paused by ann@example.org. `maestro"),
        (("--all",), "/organization", OF_ALL, "Everything is paused by ann@example.org. `maestro resume --all` ends"),
    ],
)
def test_pause_pauses_what_is_named(api: FakeApi, maestro: Maestro, arguments, path, answer, said):
    api.on("POST", f"{path}/pause", answer)

    result = maestro("pause", *arguments, "--reason", "moving house")

    assert result.stdout.startswith(said)
    assert [request.document for request in api.requests] == [{"reason": "moving house"}]


def test_pause_of_somebody_else_is_told(api: FakeApi, maestro: Maestro):
    api.on_turns("POST", "/organization/pause", problem(409, "already_paused", "It is paused already by ann."))

    result = maestro("pause", "--all", "--reason", "another")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "It is paused already by ann." in result.stderr


def test_resume_lets_go_on(api: FakeApi, maestro: Maestro):
    api.on("POST", "/queues/maestro/resume", OF_QUEUE | {"resumed_at": START})

    assert maestro("resume", "--queue", "maestro").stdout == "Queue maestro goes on.\n"


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_answer_is_printed_as_json(api: FakeApi, maestro: Maestro, command):
    api.on("POST", f"/organization/{command}", OF_ALL)

    assert json.loads(maestro(command, "--all", "--json").stdout)["scope"] == "organization"


def test_pauses_lists_what_is_paused_by_whom_and_why(api: FakeApi, maestro: Maestro):
    api.on_list("/pauses", [PAUSE, OF_ALL])

    head, *rows = maestro("pauses").stdout.splitlines()

    assert head.split() == ["PAUSED", "SINCE", "BY", "REASON"]
    assert [row.split()[0] for row in rows] == ["run", "organization"]
    assert all("ann@example.org" in row and row.endswith("moving house") for row in rows)


def test_pauses_of_a_run_are_asked_for(api: FakeApi, maestro: Maestro):
    api.on_list("/pauses", [])

    assert maestro("pauses", "--run", RUN_ID).stderr == "Nothing of that run is paused.\n"
    assert maestro("pauses").stderr == "Nothing is paused.\n"
    assert [request.query.get("run") for request in api.requests] == [RUN_ID, None]


def test_run_that_is_paused_is_shown_with_who_paused_it_and_why(api: FakeApi, maestro: Maestro):
    api.on("GET", f"/workflow-runs/{RUN_ID}", run_json("running", reason="paused", is_paused=True))
    api.on_list(f"/workflow-runs/{RUN_ID}/task-executions", [task_json("read", "queued")])
    api.on_list("/pauses", [OF_ALL])

    shown = maestro("show", RUN_ID).stdout

    assert "Everything is paused by ann@example.org since 2026-01-02 03:04:05Z: moving house." in shown
