"""The tick: duties that fail, and duties the server ends for another's sake."""

import psycopg
import pytest

from workflows.dispatch import tick
from workflows.dispatch.tick import VICTIM_TRIES, Duty

pytestmark = pytest.mark.usefixtures("database")


def duty(*errors):
    """A duty that fails so often, and what it was called with."""
    calls = []

    def work(connection):
        calls.append(connection)
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]

    return Duty(work=work, every_seconds=1), calls


def test_victim_of_a_deadlock_is_done_again_at_once():
    victim, calls = duty(psycopg.errors.DeadlockDetected())

    tick._do(victim)

    assert len(calls) == 2


def test_victim_is_not_done_again_for_ever():
    victim, calls = duty(*[psycopg.errors.DeadlockDetected()] * 99)

    tick._do(victim)

    assert len(calls) == VICTIM_TRIES


def test_database_that_is_away_is_asked_on_a_new_connection_next_time():
    failing, calls = duty(psycopg.OperationalError("away"))

    tick._do(failing)
    tick._do(failing)

    assert calls[0] is not calls[1]


def test_duty_that_fails_otherwise_keeps_its_connection():
    failing, calls = duty(ValueError("a defect"))

    tick._do(failing)
    tick._do(failing)

    assert calls[0] is calls[1]
