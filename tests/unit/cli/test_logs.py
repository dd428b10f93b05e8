"""logs: what tasks wrote, so far or as it comes."""

from __future__ import annotations

import json

import pytest

from maestro.cli.logs import format_line
from maestro.client import LogLine
from tests.unit.cli.builders import RUN_ID, START, run_json, task_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi, Reply, problem

RUN = f"/workflow-runs/{RUN_ID}"
LINES = [
    {"id": 1, "task_key": "read", "message": "hello\x1b[2J"},
    {"id": 2, "task_key": "each", "map_index": 4, "message": "two\nlines", "stream": "stderr"},
]


def test_logs_of_a_run_name_the_task_of_each_line(api: FakeApi, maestro: Maestro):
    api.on_list(f"{RUN}/logs", LINES)

    assert maestro("logs", RUN_ID).stdout == "read | hello\\x1b[2J\neach[4] | two\\x0alines\n"


def test_lines_of_later_attempts_are_marked(api: FakeApi, maestro: Maestro):
    lines = [{"id": number, "task_key": "read", "attempt": number, "message": "hello"} for number in (1, 2)]
    api.on_list(f"{RUN}/logs", lines)

    assert maestro("logs", RUN_ID).stdout == "read | hello\nread attempt 2 | hello\n"
    assert maestro("logs", RUN_ID, "read").stdout == "hello\nattempt 2 | hello\n"


def test_logs_of_a_task_are_its_lines_alone(api: FakeApi, maestro: Maestro):
    api.on_list(f"{RUN}/logs", LINES[:1])

    assert maestro("logs", RUN_ID, "read").stdout == "hello\\x1b[2J\n"
    assert api.requests[0].query["task_key"] == "read"


def test_logs_as_json_are_a_document_a_line(api: FakeApi, maestro: Maestro):
    api.on_list(f"{RUN}/logs", LINES)

    assert [json.loads(line) for line in maestro("logs", RUN_ID, "--json").stdout.splitlines()] == LINES


def test_silent_task_is_told_from_one_that_does_not_exist(api: FakeApi, maestro: Maestro):
    api.on_list(f"{RUN}/task-executions", [task_json("read")])
    api.on_turns("GET", f"{RUN}/logs", page(last_id=0))

    silent = maestro("logs", RUN_ID, "read")
    api.on_turns("GET", f"{RUN}/logs", problem(404, "task_not_found", "The run has no task 'raed'."))
    unknown = maestro("logs", RUN_ID, "raed")

    assert (silent.exit_code, silent.stdout, silent.stderr) == (0, "", "read has written nothing.\n")
    assert unknown.exit_code == 1
    assert unknown.stderr == (
        f"Error: The run has no task 'raed'. Did you mean read? `maestro show {RUN_ID}` lists them.\n"
    )


def page(*messages: str, last_id: int, has_more: bool = False, is_pruned: bool = False) -> Reply:
    lines = [{"id": number, "task_key": "read", "message": each} for number, each in enumerate(messages, last_id)]
    link = "http://x/?cursor=y" if has_more else None
    return Reply(body={"results": lines, "next": link, "last_id": last_id, "is_pruned": is_pruned})


def test_log_that_is_not_kept_is_told_from_one_that_is_empty(api: FakeApi, maestro: Maestro):
    api.on_turns("GET", f"{RUN}/logs", page(last_id=0, is_pruned=True))

    result = maestro("logs", RUN_ID)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "The run ended so long ago that its log is not kept.\n"


def test_followed_lines_are_printed_once_until_the_run_ends(
    api: FakeApi, maestro: Maestro, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("maestro.cli.tailing.LINES_INTERVAL_SECONDS", 0)
    monkeypatch.setattr("maestro.cli.tailing.RUN_INTERVAL_SECONDS", 0)
    running, failed = Reply(body=run_json("running")), Reply(body=run_json("failed"))
    api.on_turns("GET", RUN, running, running, failed)
    first, second = page("one", last_id=4, has_more=True), page("two", last_id=9)
    api.on_turns("GET", f"{RUN}/logs", first, second, page("three", last_id=12))

    result = maestro("logs", RUN_ID, "read", "--follow")

    assert (result.exit_code, result.stdout) == (1, "one\ntwo\nthree\n")
    assert result.stderr == f"Run failed. More: maestro show {RUN_ID}\n"
    assert [request.query["after"] for request in api.asked(f"{RUN}/logs")] == ["0", "4", "9"]


def test_lines_are_narrowed_by_level_and_attempt(api: FakeApi, maestro: Maestro):
    api.on_turns("GET", f"{RUN}/logs", page(last_id=0))

    result = maestro("logs", RUN_ID, "--level", "warning", "--attempt", "2")

    assert result.stderr == "The run has written nothing of that kind.\n"
    assert api.requests[0].query == {"level": "warning", "attempt": "2", "limit": "200"}


def test_timestamps_are_of_milliseconds_in_utc(api: FakeApi, maestro: Maestro):
    api.on_list(f"{RUN}/logs", [LINES[0] | {"created_at": START}])

    assert maestro("logs", RUN_ID, "read", "-t").stdout == "2026-01-02 03:04:05.000Z hello\\x1b[2J\n"


@pytest.mark.parametrize(
    ("level", "stream", "colour"),
    [
        ("debug", "log", "\x1b[90m"),
        ("info", "stdout", ""),
        ("warning", "log", "\x1b[33m"),
        ("error", "log", "\x1b[31m"),
        ("info", "stderr", "\x1b[31m"),
    ],
)
def test_level_is_seen_by_its_colour(level: str, stream: str, colour: str):
    line = LogLine(task_key="read", level=level, stream=stream, message="x")

    shown = format_line(line, is_task_named=True, has_time=False)

    assert shown == (f"{colour}x\x1b[0m" if colour else "x")


@pytest.mark.parametrize("arguments", [(), ("x",), (RUN_ID, "--level", "loud"), (RUN_ID, "--attempt", "0")])
def test_wrong_usage_exits_with_2_and_asks_nothing(api: FakeApi, maestro: Maestro, arguments: tuple[str, ...]):
    assert maestro("logs", *arguments).exit_code == 2
    assert api.requests == []
