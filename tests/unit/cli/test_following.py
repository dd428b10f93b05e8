"""`--follow` from end to end: results, exit codes, interruption, a server that goes away."""

from __future__ import annotations

import json

import pytest

from maestro.cli import following
from maestro.cli.polling import ServerLost
from tests.unit.cli.builders import RUN_ID, run_json, task_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi

RUN = f"/workflow-runs/{RUN_ID}"


def test_failed_run_shows_its_root_cause_its_last_lines_and_where_to_look(api: FakeApi, maestro: Maestro):
    failed = task_json("load", "failed", error_message="exit status 2\nTraceback \x1b[2J")
    api.on("GET", RUN, run_json("failed", error_message="Task load failed: exit status 2"))
    api.on_list(f"{RUN}/task-executions", [task_json("read"), failed, task_json("report", "skipped")])
    api.on_list(f"{RUN}/logs", [{"id": number, "message": f"line {number}"} for number in range(450)])

    result = maestro("show", RUN_ID, "--follow")

    assert result.exit_code == 1
    assert result.stdout.partition("report: skipped\n")[2] == (
        "Run failed in 12.3s. 3 tasks: 1 succeeded, 1 failed, 1 skipped.\n"
        "\n"
        "Task load failed:\n"
        "  exit status 2\n"
        "  Traceback \\x1b[2J\n"
        "\n"
        "Its last log lines:\n" + "".join(f"  line {number}\n" for number in range(440, 450)) + "\n"
        f"More: maestro logs {RUN_ID} load\n"
        f"      maestro show {RUN_ID}\n"
    )
    assert api.asked(f"{RUN}/logs")[0].query["task_key"] == "load"


def test_task_that_is_quarantined_is_said_to_be(api: FakeApi, maestro: Maestro):
    poison = task_json("load", "failed", reason="quarantined", error_message="Its process was killed.")
    api.on("GET", RUN, run_json("failed", error_message="Task load failed: Its process was killed."))
    api.on_list(f"{RUN}/task-executions", [poison])
    api.on_list(f"{RUN}/logs", [])

    result = maestro("show", RUN_ID)

    assert "Task load failed (quarantined):\n  Its process was killed.\n" in result.stdout


def test_run_that_failed_without_a_failed_task_shows_its_own_error(api: FakeApi, maestro: Maestro):
    api.on("GET", RUN, run_json("failed", error_message="outputs.worst: no such key"))
    api.on_list(f"{RUN}/task-executions", [task_json("read")])

    result = maestro("show", RUN_ID, "--follow")

    assert result.exit_code == 1
    assert result.stdout.endswith(f"\n\noutputs.worst: no such key\n\nMore: maestro show {RUN_ID}\n")


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 130)])
def test_exit_code_says_how_the_run_ended(api: FakeApi, maestro: Maestro, status: str, code: int):
    api.on("GET", RUN, run_json(status))
    api.on_list(f"{RUN}/task-executions", [])

    assert maestro("show", RUN_ID, "--follow").exit_code == code
    assert maestro("show", RUN_ID, "--follow", "--json").exit_code == code


def test_json_lines_end_with_the_finished_run(api: FakeApi, maestro: Maestro):
    api.on("GET", RUN, run_json("succeeded", outputs={"worst": "AA"}))
    api.on_list(f"{RUN}/task-executions", [task_json("read")])

    lines = [json.loads(line) for line in maestro("show", RUN_ID, "--follow", "--json").stdout.splitlines()]

    assert lines == [{"task_execution": task_json("read")}, {"run": run_json("succeeded", outputs={"worst": "AA"})}]


def test_interruption_says_that_the_run_goes_on_and_how_to_cancel_it(
    api: FakeApi, maestro: Maestro, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    api.on("GET", RUN, run_json("running"))
    monkeypatch.setattr(following, "follow_run", interrupted)

    result = maestro("show", RUN_ID, "--follow")

    assert result.exit_code == 130
    assert result.stderr == (
        "\nNo longer following; the run goes on. To watch it again, or to cancel it:\n"
        f"  maestro show {RUN_ID} --follow\n"
        f"  maestro cancel {RUN_ID}\n"
    )


def test_lost_server_is_explained(api: FakeApi, maestro: Maestro, monkeypatch: pytest.MonkeyPatch):
    def lost(*_: object, **__: object) -> None:
        raise ServerLost("The server has not answered for 1m 00s.")

    api.on("GET", RUN, run_json("running"))
    monkeypatch.setattr(following, "follow_run", lost)

    result = maestro("show", RUN_ID, "--follow")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: The server has not answered for 1m 00s. The run goes on as soon as Maestro does; "
        f"see how it went with `maestro show {RUN_ID}`.\n"
    )


def test_log_too_long_to_read_through_is_left_out(api: FakeApi, maestro: Maestro, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "MOST_LOG_LINES_READ", 100)
    api.on("GET", RUN, run_json("failed"))
    api.on_list(f"{RUN}/task-executions", [task_json("load", "failed", error_message="no")])
    api.on_list(f"{RUN}/logs", [{"id": number, "message": "line"} for number in range(1000)])

    result = maestro("show", RUN_ID, "--follow")

    assert "Its last log lines" not in result.stdout
    assert f"More: maestro logs {RUN_ID} load" in result.stdout
    assert len(api.asked(f"{RUN}/logs")) == 1


@pytest.mark.parametrize("command", ["show", "logs"])
def test_server_that_is_not_up_is_told_at_once(maestro: Maestro, monkeypatch: pytest.MonkeyPatch, command: str):
    monkeypatch.setenv("MAESTRO_API_KEY", "key")
    monkeypatch.setattr("maestro.cli.polling.AWAY_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("maestro.cli.polling.PATIENCE_SECONDS", 0.0)
    monkeypatch.setenv("MAESTRO_URL", "http://127.0.0.1:9")

    result = maestro(command, RUN_ID, "--follow")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: No answer from Maestro at http://127.0.0.1:9 (from MAESTRO_URL)")
