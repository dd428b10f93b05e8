"""attempts."""

from __future__ import annotations

import json

from tests.unit.cli.builders import END, RUN_ID, START, run_json, task_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi

RUN = f"/workflow-runs/{RUN_ID}"
LOST = {
    "id": 1,
    "task_key": "clean",
    "map_index": None,
    "attempt": 1,
    "status": "lost",
    "error_code": "worker_lost",
    "error_message": "The worker was lost.\nmore",
    "worker": "w",
    "started_at": START,
    "finished_at": END,
}


def test_attempts_are_listed_task_by_task_with_the_one_that_ended_it(api: FakeApi, maestro: Maestro):
    tasks = [task_json("read"), task_json("clean", attempt=2), task_json("report", "pending")]
    api.on_list(f"{RUN}/task-executions", tasks)
    api.on_list(f"{RUN}/past-attempts", [LOST])

    result = maestro("attempts", RUN_ID)

    assert [line.split() for line in result.stdout.splitlines()] == [
        ["TASK", "ATTEMPT", "STATUS", "STARTED", "DURATION", "ERROR"],
        ["read", "1", "succeeded", "2026-01-02", "03:04:05Z", "12.3s"],
        ["clean", "1", "lost", "2026-01-02", "03:04:05Z", "12.3s", "The", "worker", "was", "lost."],
        ["clean", "2", "succeeded", "2026-01-02", "03:04:05Z", "12.3s"],
    ]


def test_attempt_of_a_task_that_waits_for_the_next_is_listed_once(api: FakeApi, maestro: Maestro):
    api.on_list(f"{RUN}/task-executions", [task_json("clean", "waiting", attempt=1, reason="retry_backoff")])
    api.on_list(f"{RUN}/past-attempts", [LOST | {"status": "failed"}])

    shown = json.loads(maestro("attempts", RUN_ID, "clean", "--json").stdout)

    assert [(attempt["attempt"], attempt["status"]) for attempt in shown] == [(1, "failed")]
    assert [request.query.get("task_key") for request in api.requests] == ["clean", "clean"]


def test_run_without_attempts_says_so(api: FakeApi, maestro: Maestro):
    api.on("GET", RUN, run_json("running"))
    api.on_list(f"{RUN}/task-executions", [task_json("read", "pending")])
    api.on_list(f"{RUN}/past-attempts", [])

    assert maestro("attempts", RUN_ID).stderr == "No attempts yet.\n"
