"""runs, show, cancel."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.builders import RUN_ID, run_json, task_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi, problem

RUN = f"/workflow-runs/{RUN_ID}"


def test_runs_are_listed_with_what_went_wrong(api: FakeApi, maestro: Maestro):
    api.on_list("/workflow-runs", [run_json("failed", error_message="read: exit\x07 2\nmore"), run_json("running")])

    result = maestro("runs", "--status", "failed", "--workflow", "flights", "--limit", "1")

    header, row = result.stdout.splitlines()
    assert header.split() == ["RUN", "WORKFLOW", "STATUS", "CREATED", "DURATION"]
    assert row.startswith(f"{RUN_ID}  flights v3  failed  ")
    assert row.endswith(r"12.3s     read: exit\x07 2")
    assert api.requests[0].query == {"status": "failed", "workflow": "flights", "limit": "1"}


def test_run_that_begins_later_says_when(api: FakeApi, maestro: Maestro):
    times = {"start_at": "2030-01-31T08:00:00Z", "deadline_at": "2030-01-31T09:00:00Z", "started_at": None}
    delayed = run_json("pending", reason="delayed", **times)
    api.on_list("/workflow-runs", [delayed])
    api.on("GET", RUN, delayed)
    api.on_list(f"{RUN}/task-executions", [])

    assert maestro("runs").stdout.splitlines()[1].endswith("begins 2030-01-31 08:00:00Z")
    assert maestro("show", RUN_ID).stdout == (
        "flights version 3  pending (delayed)\n"
        f"run       {RUN_ID}\n"
        "created   2026-01-02 03:04:05Z\n"
        "begins    2030-01-31 08:00:00Z\n"
        "deadline  2030-01-31 09:00:00Z\n"
        "\n\n"
    )


@pytest.mark.parametrize(
    ("priority", "shown"), [("high", ["priority  high"]), ("normal", []), ("low", ["priority  low"])]
)
def test_priority_is_shown_unless_it_is_normal(api: FakeApi, maestro: Maestro, priority: str, shown: list[str]):
    api.on("GET", RUN, run_json("running", priority=priority))
    api.on_list(f"{RUN}/task-executions", [])

    assert [line for line in maestro("show", RUN_ID).stdout.splitlines() if "priority" in line] == shown


def test_run_that_was_cancelled_says_by_whom(api: FakeApi, maestro: Maestro):
    api.on("GET", RUN, run_json("cancelled", cancelled_by="ann@example.org"))
    api.on_list(f"{RUN}/task-executions", [])

    assert "cancelled by ann@example.org\n" in maestro("show", RUN_ID).stdout


def test_runs_as_json_are_one_document(api: FakeApi, maestro: Maestro):
    api.on_list("/workflow-runs", [run_json("running")])

    assert json.loads(maestro("runs", "--json").stdout) == [run_json("running")]


def test_no_runs_are_told_apart_from_no_runs_that_match(api: FakeApi, maestro: Maestro):
    api.on_list("/workflow-runs", [])

    assert maestro("runs").stderr == "No runs yet. `maestro run NAME` starts one.\n"
    assert maestro("runs", "--status", "failed").stderr == "No such runs.\n"


def test_show_prints_the_run_its_tasks_and_its_outputs(api: FakeApi, maestro: Maestro):
    api.on("GET", RUN, run_json(inputs={"day": "2026-01-31"}, outputs={"report": "# Late\n\nAA\n"}))
    api.on_list(f"{RUN}/task-executions", [task_json("read"), task_json("report", needs=("read",))])

    result = maestro("show", RUN_ID)

    assert result.exit_code == 0
    assert result.stdout == (
        "flights version 3  succeeded\n"
        f"run       {RUN_ID}\n"
        "created   2026-01-02 03:04:05Z\n"
        "started   2026-01-02 03:04:05Z\n"
        "finished  2026-01-02 03:04:17Z\n"
        "duration  12.3s\n"
        'inputs: {"day": "2026-01-31"}\n'
        "\n"
        "TASK    STATUS     DURATION\n"
        "read    succeeded  12.3s\n"
        "report  succeeded  12.3s\n"
        "\n"
        "Run succeeded in 12.3s. 2 tasks: 2 succeeded.\n"
        "\n"
        "report:\n"
        "\n"
        "# Late\n"
        "\n"
        "AA\n"
        "\n"
    )


def test_show_names_the_task_that_started_the_run(api: FakeApi, maestro: Maestro):
    api.on("GET", RUN, run_json("running", parent={"run_id": "0197", "task_key": "clean"}))
    api.on_list(f"{RUN}/task-executions", [])

    assert "parent    task clean of run 0197\n" in maestro("show", RUN_ID).stdout


def test_show_of_a_run_whose_hooks_run_says_how_it_ends(api: FakeApi, maestro: Maestro):
    api.on("GET", RUN, run_json("running", reason="hooks", outcome="cancelled"))
    api.on_list(f"{RUN}/task-executions", [])

    assert "ends as   cancelled\n" in maestro("show", RUN_ID).stdout


def test_show_as_json_is_the_run_with_its_tasks(api: FakeApi, maestro: Maestro):
    api.on("GET", RUN, run_json("running"))
    api.on_list(f"{RUN}/task-executions", [task_json("read", "running")])

    shown = json.loads(maestro("show", RUN_ID, "--json").stdout)

    assert shown == {**run_json("running"), "task_executions": [task_json("read", "running")]}


@pytest.mark.parametrize(("status", "is_said"), [("waiting", True), ("running", False)])
def test_show_of_a_run_that_waits_points_at_why(api: FakeApi, maestro: Maestro, status: str, is_said: bool):
    api.on("GET", RUN, run_json("running"))
    api.on_list(f"{RUN}/task-executions", [task_json("read", status)])

    assert (f"What keeps it: maestro why {RUN_ID}\n" in maestro("show", RUN_ID).stdout) == is_said


def test_show_of_a_big_run_says_how_many_tasks_it_leaves_out(api: FakeApi, maestro: Maestro):
    api.on("GET", RUN, run_json("running"))
    api.on_list(f"{RUN}/task-executions", [task_json(f"t{number}", "pending") for number in range(500)])

    assert "… and 500 tasks more; --json lists all. 500 tasks: 500 pending.\n" in maestro("show", RUN_ID).stdout


def test_run_that_does_not_exist_is_told_in_the_servers_words(api: FakeApi, maestro: Maestro):
    api.on_turns("GET", RUN, problem(404, "run_not_found", "There is no such run."))

    result = maestro("show", RUN_ID)

    assert (result.exit_code, result.stderr) == (1, "Error: There is no such run.\n")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("cancelled", f"Run {RUN_ID} is cancelled.\n"),
        ("running", f"Run {RUN_ID} is being cancelled; running tasks are asked to stop.\n"),
    ],
)
def test_cancel_says_what_happens(api: FakeApi, maestro: Maestro, status: str, said: str):
    api.on("POST", f"{RUN}/cancel", run_json(status))

    assert maestro("cancel", RUN_ID).stdout == said


def test_cancel_of_a_run_whose_end_is_decided_says_how_it_ends(api: FakeApi, maestro: Maestro):
    api.on("POST", f"{RUN}/cancel", run_json("running", outcome="failed"))

    assert maestro("cancel", RUN_ID).stdout == f"Run {RUN_ID} ends as failed; what still runs is asked to stop.\n"


def test_cancel_of_a_finished_run_is_refused_in_the_servers_words(api: FakeApi, maestro: Maestro):
    api.on_turns("POST", f"{RUN}/cancel", problem(409, "run_already_finished", "The run has succeeded already."))

    result = maestro("cancel", RUN_ID)

    assert (result.exit_code, result.stderr) == (1, "Error: The run has succeeded already. (request req-1)\n")


@pytest.mark.parametrize(
    "arguments",
    [("show", "flights"), ("cancel", ""), ("runs", "--status", "done"), ("runs", "--workflow", "a/b")],
)
def test_wrong_usage_exits_with_2_and_asks_nothing(api: FakeApi, maestro: Maestro, arguments: tuple[str, ...]):
    assert maestro(*arguments).exit_code == 2
    assert api.requests == []
