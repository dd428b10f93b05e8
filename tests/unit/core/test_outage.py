"""An outage is told of when it begins, once a minute, and when it is over."""

import logging

import pytest

from maestro.core.outage import Outage


@pytest.fixture
def told(caplog):
    """What is told of tries at the given seconds, of which those that are negative failed."""
    caplog.set_level(logging.INFO)

    def tell(tries):
        now = [0.0]
        outage = Outage(logging.getLogger("test"), "nothing is done", clock=lambda: now[0])
        for moment in tries:
            now[0] = abs(moment)
            if moment < 0:
                outage.note_failure(OSError())
            else:
                outage.note_success()
        return [record.getMessage() for record in caplog.records]

    return tell


AWAY = "Database not available, nothing is done: OSError"


def test_nothing_is_told_while_everything_works(told):
    assert told(range(1, 100)) == []


def test_outage_is_told_once_a_minute_and_its_end_once(told):
    lines = told([1, *range(-2, -132, -1), *range(132, 200)])

    assert lines == [AWAY, AWAY, AWAY, "Database available again; it was not for 129 s"]


def test_outage_in_which_some_tries_work_is_one(told):
    assert told([-1, 1.5, -2, 2.5, -3, 3.5]) == [AWAY]


def test_second_outage_is_told_though_the_first_was_a_moment_ago(told):
    assert told([-1, 12, -13]) == [AWAY, "Database available again; it was not for 0 s", AWAY]
