"""The workflow of `examples/flow.py`, run in process on the real data."""

import csv
from pathlib import Path

import pytest

from examples.flow import storm_day
from maestro.sdk import InputsInvalid, run_locally

DATA = Path(__file__).parents[3] / "examples/data"
REPLACED = {"rank": lambda command, env: {"stdout": env["TABLE"]}}


def cancelled_of(day):
    with (DATA / "flights.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["day"]) == day]
    return sum(row["dep_time"] == "NA" for row in rows), len(rows)


def test_day_of_the_storm_makes_a_headline():
    run = run_locally(storm_day, outputs=REPLACED)

    cancelled, scheduled = cancelled_of(8)
    assert run.outputs["headline"] == f"Friday: {cancelled} of {scheduled} flights cancelled"
    assert run.outputs["cancelled_percent"] == round(100 * cancelled / scheduled, 1)
    assert run.outputs["airports"].splitlines()[1] == (
        "48 % cancelled at LGA: wind up to 29 mph, visibility down to 0.5 miles"
    )


def test_quiet_day_makes_none():
    run = run_locally(storm_day, {"day": "2013-02-06"}, REPLACED)

    assert (run.status, run.outputs["headline"]) == ("succeeded", None)
    assert run.tasks["write_headline"].reason == "condition"


def test_day_without_data_fails_with_the_days_there_are():
    run = run_locally(storm_day, {"day": "2013-03-01"}, REPLACED)

    assert run.error_message == (
        "Task compare failed: ValueError: There are no flights on this day: the data has 6 to 10 February 2013."
    )


def test_share_beyond_a_hundred_is_refused():
    with pytest.raises(InputsInvalid, match="cancelled_above"):
        run_locally(storm_day, {"cancelled_above": 101}, REPLACED)
