"""Every example runs as a newcomer would run it."""

import json
import time
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parents[2] / "examples"
EXAMPLES = [*sorted(DIRECTORY.glob("*.yaml")), DIRECTORY / "flow.py"]


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.stem for example in EXAMPLES])
def test_example_runs_to_success_within_half_a_minute(stack, example):
    started = time.monotonic()

    finished = stack.run("run", f"examples/{example.name}", "--follow")

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "succeeded" in finished.stdout
    assert time.monotonic() - started < 30


def test_flight_report_reads_like_a_report(stack):
    finished = stack.run("run", "examples/flight-delays.yaml", "--follow")

    lines = finished.stdout.splitlines()
    assert "FLIGHTS FROM NEW YORK, Wed 6 Feb to Sun 10 Feb 2013" in lines
    assert "4,276 scheduled: 3,364 arrived, 903 cancelled, 9 diverted. 0 rows could not be read." in lines
    assert "\033" not in finished.stdout


def test_api_report_asks_the_platform_it_runs_on(stack):
    finished = stack.run("run", "examples/api-report.yaml", "--follow")

    assert f"Maestro Conductor 1 is up at {stack.url}: ok." in finished.stdout
    assert "Strangers are turned away: Authentication credentials were not provided." in finished.stdout
    assert "  /api/v1/workflows\n" in finished.stdout


def test_workflow_in_python_takes_dates_and_skips_by_its_condition(stack):
    run = json.loads(stack.run("run", "examples/flow.py", "--input", "day=2013-02-06", "--json").stdout)

    shown = json.loads(stack.run("show", run["id"], "--follow", "--json").stdout.splitlines()[-1])["run"]

    assert shown["outputs"]["airports"].splitlines()[0].startswith("2 % cancelled at EWR")
    assert shown["outputs"]["headline"] is None
    lines = stack.run("logs", run["id"], "count_departures").stdout
    assert "progress 100%: 901 flights on Wednesday 06 February" in lines


def test_existing_celery_tasks_leave_their_worker_while_they_wait(stack):
    finished = stack.run("run", "examples/existing-celery-tasks.yaml", "--follow", "--input", "day=9")
    canvas = stack.run("canvas", "existing-celery-tasks")

    assert "comparison: LGA cancelled 66 % of its 179 flights, JFK 52 % of 274." in finished.stdout
    assert "advance after newark: waits outside a worker" in canvas.stdout


@pytest.mark.parametrize(
    ("given", "announcement", "skipped"),
    [
        ("alarm_above=25", "Alarm! 2 days with more than 25 % cancelled, the first on 2013-02-08.", "all_clear"),
        ("alarm_above=99", "All clear, no day with more than 99 % cancelled.", "alarm"),
    ],
)
def test_condition_chooses_which_branch_runs(stack, given, announcement, skipped):
    finished = stack.run("run", "examples/joins-and-conditions.yaml", "--follow", "--input", given)

    assert f"announcement: {announcement}" in finished.stdout
    assert f"{skipped}: skipped" in finished.stdout
    lines = finished.stdout.splitlines()
    ended = {line.split(":")[0]: position for position, line in enumerate(lines) if "succeeded in" in line}
    assert ended["announce"] < ended["slow_connection"] < ended["tidy_up"]


def test_failure_of_one_copy_is_reported_and_the_other_one_used(stack):
    finished = stack.run("run", "examples/joins-and-conditions.yaml", "--follow", "--input", "first_copy=gone.csv")

    assert finished.returncode == 1
    for task in ("report_failure", "second_copy", "announce", "tidy_up"):
        assert f"{task}: succeeded" in finished.stdout
