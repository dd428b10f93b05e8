"""Which tasks are listed, and what is said of them."""

from __future__ import annotations

import datetime

from maestro.cli import lines
from maestro.cli.tracking import Progress
from tests.unit.cli.builders import a_run, a_task

NOW = datetime.datetime(2026, 1, 2, 3, 4, 6, tzinfo=datetime.UTC)


def test_small_run_lists_every_task_with_indentation_status_and_duration():
    tasks = (a_task("read"), a_task("a", "running", needs=("read",)), a_task("b", "pending", needs=("read",)))

    listed = lines.task_lines(Progress(run=a_run("running"), tasks=tasks), NOW)

    assert [(line.key, line.indentation, line.status, line.duration) for line in listed] == [
        ("read", 0, "succeeded", "12.3s"),
        ("a", 1, "running", "1.0s"),
        ("b", 1, "pending", ""),
    ]


def test_big_run_lists_what_failed_what_runs_and_what_finished_last():
    early = [a_task(f"old_{number}") for number in range(50)]
    late = a_task("latest", finished_at="2026-01-02T09:00:00Z")
    pending = [a_task(f"later_{number}", "pending") for number in range(50)]
    tasks = (*early, a_task("broken", "failed"), late, a_task("busy", "running"), *pending)

    listed = lines.task_lines(Progress(run=a_run("running"), tasks=tasks), NOW, most=4)

    assert [line.key for line in listed] == ["broken", "latest", "busy"]


def test_summary_counts_statuses_in_a_fixed_order():
    tasks = (a_task("a", "failed"), a_task("b"), a_task("c", "skipped"), a_task("d"), a_task("e", "odd"))

    assert lines.summary(Progress(run=a_run("failed"), tasks=tasks)) == (
        "5 tasks: 2 succeeded, 1 failed, 1 skipped, 1 odd"
    )


def test_root_cause_is_the_task_that_failed_first():
    late = a_task("late", "failed", finished_at="2026-01-02T09:00:00Z")
    first = a_task("first", "failed", finished_at="2026-01-02T08:00:00Z")

    assert lines.root_cause((late, a_task("fine"), first)) == first
    assert lines.root_cause((a_task("fine"),)) is None


def test_detail_of_a_failure_is_its_first_line_with_the_attempt():
    failed = a_task("a", "failed", attempt=3, error_message="exit \x1b[1mstatus 2\nmore")

    assert lines.task_detail(failed) == r"attempt 3, exit \x1b[1mstatus 2"


def test_detail_of_another_task_is_its_reason():
    assert lines.task_detail(a_task("a", "skipped", reason="upstream_failed")) == "upstream_failed"
    assert lines.task_detail(a_task("a", "succeeded", reason="fine")) == ""


def test_detail_of_a_quarantined_task_says_so_and_counts_what_was_lost():
    task = a_task("a", "failed", reason="quarantined", attempt=4, lost_attempts=3, error_message="It died.\nAgain.")

    assert lines.task_detail(task) == "attempt 4 (3 lost), quarantined: It died."


def test_detail_of_a_task_names_the_run_it_has_started_once():
    waiting = a_task("a", "waiting", reason="child_run", child_run_id="0197")
    failed = a_task("a", "failed", child_run_id="0197", error_message="Run 0197 of b failed: Task x failed: no luck")

    assert lines.task_detail(waiting) == "child_run, → run 0197"
    assert lines.task_detail(a_task("a", "succeeded", child_run_id="0197")) == "→ run 0197"
    assert lines.task_detail(failed) == "Run 0197 of b failed: Task x failed: no luck"


def test_detail_of_a_task_that_waits_says_until_when():
    wake_at = "2026-01-02T08:00:00.123456Z"

    assert lines.task_detail(a_task("a", "waiting", reason="sleep", wake_at=wake_at)) == (
        "sleep until 2026-01-02 08:00:00Z"
    )
    assert lines.task_detail(a_task("a", "waiting", reason="poll", wake_at=wake_at)) == (
        "poll again at 2026-01-02 08:00:00Z"
    )
    assert lines.task_detail(a_task("a", "waiting", reason="signal")) == "signal"
    assert lines.task_detail(a_task("a", "waiting", reason="approval", wake_at=wake_at)) == "approval"
