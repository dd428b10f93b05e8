"""What is known of a run, with how many requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from maestro.cli.tracking import PAGES_PER_REFRESH, RunTracker
from maestro.client import Client
from tests.unit.cli.builders import RUN_ID, run_json, task_json
from tests.unit.client.fake_api import KEY, FakeApi, Reply

TASKS = f"/workflow-runs/{RUN_ID}/task-executions"
PAGE = 200


@pytest.fixture
def client(api: FakeApi) -> Iterator[Client]:
    with Client(api.url, KEY, timeout=60) as opened:
        yield opened


class ChangingRun:
    """A run whose tasks a test changes while it is tracked."""

    def __init__(self, api: FakeApi, statuses: list[str]) -> None:
        self.api = api
        self.run = run_json("running")
        self.tasks: list[dict[str, Any]] = [
            task_json(f"t{number:05}", status) for number, status in enumerate(statuses)
        ]
        api.on_call("GET", f"/workflow-runs/{RUN_ID}", lambda request: Reply(body=self.run))
        api.on_call("GET", TASKS, lambda request: api.page(request, self.tasks))

    def pages_asked(self) -> list[int]:
        asked = [int(request.query.get("cursor", "0")) // PAGE for request in self.api.asked(TASKS)]
        self.api.requests.clear()
        return asked


def test_finished_pages_are_not_read_again(api: FakeApi, client: Client):
    changing = ChangingRun(api, ["succeeded"] * PAGE * 2 + ["running"] * 3)
    tracker = RunTracker(client.runs, RUN_ID)

    first = tracker.refresh()
    asked_first = changing.pages_asked()
    changing.tasks[-1]["status"] = "failed"
    second = tracker.refresh()

    assert asked_first == [0, 1, 2]
    assert changing.pages_asked() == [2]
    assert first.finished_count == 2 * PAGE
    assert second.status_counts == {"succeeded": 2 * PAGE, "running": 2, "failed": 1}


def test_few_pages_are_read_at_a_time_busy_ones_first(api: FakeApi, client: Client):
    statuses = ["pending"] * PAGE * 10
    statuses[PAGE * 7] = "running"
    changing = ChangingRun(api, statuses)
    tracker = RunTracker(client.runs, RUN_ID)
    tracker.refresh()
    changing.pages_asked()

    asked = []
    for _ in range(9):
        tracker.refresh()
        asked.append(changing.pages_asked())

    assert all(pages[0] == 7 and len(pages) <= PAGES_PER_REFRESH for pages in asked)
    assert {page for pages in asked for page in pages} == set(range(10))


def test_end_of_the_run_reads_everything_that_was_open(api: FakeApi, client: Client):
    changing = ChangingRun(api, ["pending"] * PAGE * 10)
    tracker = RunTracker(client.runs, RUN_ID)
    tracker.refresh()
    for task in changing.tasks:
        task["status"] = "succeeded"
    changing.run = run_json("succeeded")

    progress = tracker.refresh()

    assert progress.finished_count == len(progress.tasks) == PAGE * 10


def test_tasks_that_appear_later_are_found(api: FakeApi, client: Client):
    changing = ChangingRun(api, ["pending"])
    tracker = RunTracker(client.runs, RUN_ID)
    before = tracker.refresh()
    changing.tasks = [task_json(f"t{number:05}", "pending") for number in range(PAGE + 1)]

    after = tracker.refresh()

    assert (len(before.tasks), len(after.tasks)) == (1, PAGE + 1)


def test_tasks_come_in_topological_order_whatever_the_server_sends(api: FakeApi, client: Client):
    changing = ChangingRun(api, [])
    changing.tasks = [task_json("b", "pending", needs=("a",)), task_json("a", "running")]

    progress = RunTracker(client.runs, RUN_ID).refresh()

    assert [task.task_key for task in progress.tasks] == ["a", "b"]
