"""why."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.builders import END, RUN_ID
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi

CHILD_ID = "01920000-0000-7000-8000-0000000000cc"
RETRY = {"code": "retry", "message": "Attempt 1 failed (no luck).", "holder": None, "until": END}


def cause(code, message):
    return {"code": code, "message": message, "holder": "somebody", "until": None}


def task(key, status, *causes, reason=None, child=None):
    return {
        "task_key": key,
        "map_index": None,
        "status": status,
        "reason": reason,
        "causes": list(causes),
        "child": child,
    }


def explanation(*tasks, run=RUN_ID, workflow="flights", causes=(), waiting_count=0):
    return {
        "run": run,
        "workflow": workflow,
        "status": "running",
        "causes": list(causes),
        "tasks": list(tasks),
        "waiting_count": waiting_count,
    }


PAUSE = cause("paused", "Everything is paused by ann.")
CHILD = explanation(
    task("x", "waiting", PAUSE, RETRY, reason="retry_backoff"), run=CHILD_ID, workflow="child", causes=[PAUSE]
)
EXPLAINED = explanation(
    task("read", "queued", PAUSE, cause("no_worker", "No worker.")),
    task("call", "waiting", PAUSE, cause("child_run", "It waits for a run."), reason="child_run", child=CHILD),
    causes=[PAUSE],
    waiting_count=3,
)


def test_every_cause_is_told_with_the_run_below(api: FakeApi, maestro: Maestro):
    api.on("GET", f"/workflow-runs/{RUN_ID}/explanation", EXPLAINED)

    assert maestro("why", RUN_ID).stdout.splitlines() == [
        f"Run {RUN_ID} of flights is running.",
        "Everything is paused by ann. It holds read and call.",
        "read  queued",
        "  No worker.",
        "call  waiting (child_run)",
        "  It waits for a run.",
        f"    Run {CHILD_ID} of child is running.",
        "    x  waiting (retry_backoff)",
        "      Attempt 1 failed (no luck).",
        "3 more tasks only wait for these.",
    ]


def test_pause_of_a_queue_is_told_once_and_names_the_first_tasks_it_holds(api: FakeApi, maestro: Maestro):
    held = [task(f"t{number}", "queued", cause("paused", "Queue q is paused.")) for number in range(7)]
    api.on("GET", f"/workflow-runs/{RUN_ID}/explanation", explanation(*held))

    lines = maestro("why", RUN_ID).stdout.splitlines()

    assert lines[1] == "Queue q is paused. It holds t0, t1, t2, t3, t4 and 2 more."
    assert [line for line in lines if "paused" in line] == lines[1:2]


def test_pause_of_a_run_that_has_no_tasks_yet_names_none(api: FakeApi, maestro: Maestro):
    api.on("GET", f"/workflow-runs/{RUN_ID}/explanation", explanation(causes=[PAUSE, cause("delayed", "Later.")]))

    assert maestro("why", RUN_ID).stdout.splitlines()[1:] == ["Everything is paused by ann.", "Later."]


def test_pause_that_only_the_run_below_is_under_is_told_there(api: FakeApi, maestro: Maestro):
    call = task("call", "waiting", cause("child_run", "It waits for a run."), reason="child_run", child=CHILD)
    api.on("GET", f"/workflow-runs/{RUN_ID}/explanation", explanation(call))

    assert maestro("why", RUN_ID).stdout.splitlines()[2:5] == [
        "  It waits for a run.",
        f"    Run {CHILD_ID} of child is running.",
        "    Everything is paused by ann. It holds x.",
    ]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("pending", "is pending"),
        ("succeeded", "has succeeded"),
        ("failed", "has failed"),
        ("cancelled", "was cancelled"),
    ],
)
def test_run_is_told_as_it_stands(api: FakeApi, maestro: Maestro, status, said):
    api.on("GET", f"/workflow-runs/{RUN_ID}/explanation", explanation() | {"status": status})

    assert maestro("why", RUN_ID).stdout == f"Run {RUN_ID} of flights {said}.\n"


def test_task_is_asked_for(api: FakeApi, maestro: Maestro):
    api.on("GET", f"/workflow-runs/{RUN_ID}/explanation", EXPLAINED | {"waiting_count": 1})

    shown = maestro("why", RUN_ID, "read")

    assert shown.stdout.endswith("1 more task only waits for these.\n")
    assert [request.query for request in api.requests] == [{"task_key": "read"}]


def test_explanation_is_printed_as_json(api: FakeApi, maestro: Maestro):
    api.on("GET", f"/workflow-runs/{RUN_ID}/explanation", EXPLAINED)

    assert json.loads(maestro("why", RUN_ID, "--json").stdout) == EXPLAINED
