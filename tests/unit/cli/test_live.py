"""A followed run on a terminal."""

from __future__ import annotations

import datetime
import io

from rich.console import Console

from maestro.cli.live import LiveView
from maestro.cli.tracking import Progress
from tests.unit.cli.builders import RUN_ID, a_run, a_task

NOW = datetime.datetime(2026, 1, 2, 3, 4, 9, tzinfo=datetime.UTC)


def last_frame(progress: Progress, *, height: int = 30, encoding: str = "utf-8", notice: str = "") -> list[str]:
    """Draw one frame as the screen shows it, without colours."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    console = Console(file=file, width=90, height=height, force_terminal=True, color_system=None, markup=False)
    view = LiveView(console, lambda: NOW)
    view.show(progress)
    if notice:
        view.notice(notice)
    console.print(view._frame())
    file.flush()
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


def test_frame_shows_the_run_a_bar_and_every_task():
    tasks = (
        a_task("read"),
        a_task("by_carrier", "running", needs=("read",)),
        a_task("by_airport", "failed", needs=("read",), error_message="exit status 2\nmore"),
        a_task("report", "pending", needs=("by_carrier", "by_airport")),
    )

    frame = last_frame(Progress(run=a_run("running"), tasks=tasks), notice="The server does not answer")

    assert frame[0] == f"flights v3  {RUN_ID}  running  4.0s"
    assert frame[1].endswith("2/4")
    assert [line[2:] for line in frame[2:6]] == [
        "read         succeeded 12.3s",
        "  by_carrier running    4.0s",
        "  by_airport failed    12.3s exit status 2",
        "report       pending",
    ]
    assert [frame[2][0], frame[4][0], frame[5][0]] == ["✓", "✗", "·"]
    assert frame[6] == "The server does not answer"


def test_frame_of_a_big_run_fits_the_screen_and_counts_the_rest():
    tasks = (*(a_task(f"done_{number}") for number in range(500)), a_task("busy", "running"))

    frame = last_frame(Progress(run=a_run("running"), tasks=tasks), height=20)

    assert len(frame) <= 20
    assert any("busy" in line for line in frame)
    assert frame[-1] == "501 tasks: 500 succeeded, 1 running"


def test_control_characters_of_the_server_do_not_reach_the_screen():
    task = a_task("read", "failed", error_message="\x1b[2Jgone")

    frame = last_frame(Progress(run=a_run("failed", reason="\x1b[31m"), tasks=(task,)))

    assert "\x1b" not in "".join(frame)
    assert any(r"\x1b[2Jgone" in line for line in frame)


def test_markup_of_the_server_is_text():
    task = a_task("read", "failed", error_message="[red]not red[/red]")

    assert any("[red]not red[/red]" in line for line in last_frame(Progress(run=a_run("failed"), tasks=(task,))))


def test_terminal_without_unicode_gets_ascii():
    frame = last_frame(Progress(run=a_run("running"), tasks=(a_task("read"),)), encoding="ascii")

    assert frame[2] == "+ read succeeded 12.3s"
