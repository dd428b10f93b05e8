"""When a run begins and must be over, by what was asked for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from workflows.errors import StartTimesRefused
from workflows.runs.start_times import StartTimes, start_times

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("asked", "times"),
    [
        ({}, StartTimes()),
        ({"start_at": HOUR}, StartTimes(start_at=NOW + HOUR)),
        ({"start_at": NOW + DAY}, StartTimes(start_at=NOW + DAY)),
        ({"start_at": NOW - DAY}, StartTimes()),
        ({"start_at": timedelta(0)}, StartTimes()),
        ({"deadline": HOUR}, StartTimes(deadline_at=NOW + HOUR)),
        ({"deadline": NOW + HOUR}, StartTimes(deadline_at=NOW + HOUR)),
        ({"start_at": DAY, "deadline": HOUR}, StartTimes(start_at=NOW + DAY, deadline_at=NOW + DAY + HOUR)),
        ({"start_at": NOW - DAY, "deadline": HOUR}, StartTimes(deadline_at=NOW + HOUR)),
        (
            {"start_at": 366 * DAY, "deadline": 366 * DAY},
            StartTimes(start_at=NOW + 366 * DAY, deadline_at=NOW + 732 * DAY),
        ),
    ],
)
def test_times_are_what_was_asked_for(asked, times):
    assert start_times(NOW, **{"start_at": None, "deadline": None} | asked) == times


@pytest.mark.parametrize(
    ("asked", "problems"),
    [
        ({"start_at": NOW + 367 * DAY}, ["start_at: must be within 366 days from now"]),
        (
            {"start_at": datetime.max.replace(tzinfo=timezone(-23 * HOUR))},
            ["start_at: must be within 366 days from now"],
        ),
        ({"deadline": NOW - HOUR}, ["deadline: is past: give a time that is still to come"]),
        ({"deadline": NOW}, ["deadline: is past: give a time that is still to come"]),
        ({"deadline": timedelta(0)}, ["deadline: is past: give a time that is still to come"]),
        ({"start_at": DAY, "deadline": NOW + HOUR}, ["deadline: must be later than the start of the run"]),
        ({"deadline": NOW + 367 * DAY}, ["deadline: must be within 366 days of the start of the run"]),
        (
            {"start_at": 367 * DAY, "deadline": NOW - HOUR},
            ["start_at: must be within 366 days from now", "deadline: is past: give a time that is still to come"],
        ),
    ],
)
def test_what_cannot_be_is_refused_with_every_problem(asked, problems):
    with pytest.raises(StartTimesRefused) as caught:
        start_times(NOW, **{"start_at": None, "deadline": None} | asked)

    assert caught.value.message == "; ".join(problems)
