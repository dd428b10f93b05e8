"""A followed run in a pipe and for programs."""

from __future__ import annotations

import datetime
import json

import pytest

from maestro.cli.tracking import Progress
from maestro.cli.views import JsonView, PlainView
from tests.unit.cli.builders import a_run, a_task

NOW = datetime.datetime(2026, 1, 2, 3, 5, tzinfo=datetime.UTC)
STEPS = (
    Progress(run=a_run("running"), tasks=(a_task("read", "running"), a_task("load", "pending"))),
    Progress(run=a_run("running"), tasks=(a_task("read", "running"), a_task("load", "pending"))),
    Progress(
        run=a_run("failed"),
        tasks=(
            a_task("read", "failed", error_message="exit status 2 \x1b[2J\nmore"),
            a_task("load", "skipped", reason="upstream_failed"),
        ),
    ),
)


def test_pipe_gets_one_plain_line_for_each_change(capsys: pytest.CaptureFixture[str]):
    view = PlainView(lambda: NOW)

    for progress in STEPS:
        view.show(progress)
    view.notice("The server answers again.")

    assert capsys.readouterr().out.splitlines() == [
        "read: running",
        r"read: failed in 12.3s (exit status 2 \x1b[2J)",
        "load: skipped (upstream_failed)",
        "The server answers again.",
    ]


def test_pipe_is_told_once_that_the_run_begins_later_or_is_paused(capsys: pytest.CaptureFixture[str]):
    view = PlainView(lambda: NOW)
    delayed = a_run("pending", reason="delayed", start_at="2026-01-02T03:05:00Z")
    paused = a_run("running", is_paused=True)

    for run in (delayed, delayed, paused, paused, a_run("running"), paused):
        view.show(Progress(run=run, tasks=()))

    is_paused = f"The run is paused: maestro pauses --run {paused.id}"
    assert capsys.readouterr().out.splitlines() == ["The run begins 2026-01-02 03:05:00Z.", is_paused, is_paused]


def test_program_gets_one_document_for_each_change(capsys: pytest.CaptureFixture[str]):
    view = JsonView()

    for progress in STEPS:
        view.show(progress)
    view.notice("The server answers again.")

    printed = capsys.readouterr()
    documents = [json.loads(line) for line in printed.out.splitlines()]
    assert [next(iter(document)) for document in documents] == [
        "task_execution", "run", "task_execution", "task_execution", "run",
    ]  # fmt: skip
    assert documents[2]["task_execution"]["status"] == "failed"
    assert documents[-1]["run"]["status"] == "failed"
    assert printed.err == "The server answers again.\n"
