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
