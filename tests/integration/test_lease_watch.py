"""When a silent worker is given up: only by somebody who has watched it all the while."""

import pytest

from executors.pools import lease
from executors.pools.lease import GAP_SECONDS, WATCH_SECONDS, LeaseWatch
from tests.integration.schedules import held_open

pytestmark = pytest.mark.alone


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def jump(connection):
    """Sets the clock of the server, as this connection reads it."""
    for statement in (
        "CREATE SCHEMA jumped",
        "SET search_path = jumped, pg_catalog, public",
        "SET jumped.by = '0'",
        """
        CREATE FUNCTION jumped.clock_timestamp() RETURNS timestamptz LANGUAGE sql
        AS $$ SELECT pg_catalog.clock_timestamp() + current_setting('jumped.by')::interval $$
        """,
    ):
        connection.execute(statement)
    yield lambda by: connection.execute("SELECT set_config('jumped.by', %s, false)", (by,))
    connection.execute("DROP SCHEMA jumped CASCADE")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    return LeaseWatch(clock)


@pytest.fixture
def silent(connection, worker_row):
    """A worker whose last heartbeat is an hour old."""
    connection.execute("UPDATE executor_workers SET name = 'silent' WHERE id = %s", (worker_row,))
    fall_silent(connection, worker_row)
    return worker_row


def fall_silent(connection, worker_id):
    connection.execute(
        "UPDATE executor_workers SET heartbeat_at = clock_timestamp() - interval '1 hour' WHERE id = %s", (worker_id,)
    )


def look_for(watch, clock, connection, seconds, step=2.0):
    """Look again and again; return who was given up."""
    names = []
    for _ in range(int(seconds / step)):
        names += watch.give_up_silent_workers(connection)
        clock.now += step
    return names


def test_watched_worker_is_given_up_once(watch, clock, connection, silent):
    assert look_for(watch, clock, connection, WATCH_SECONDS + 6) == ["silent"]


def test_worker_is_not_given_up_at_first_sight(watch, connection, silent):
    assert watch.give_up_silent_workers(connection) == []


def test_worker_is_not_given_up_right_after_nobody_looked_for_a_while(watch, clock, connection, worker_row, jump):
    look_for(watch, clock, connection, 60)
    clock.now += GAP_SECONDS + 1
    jump(f"{GAP_SECONDS + 1} seconds")
    fall_silent(connection, worker_row)

    assert watch.give_up_silent_workers(connection) == []


def test_worker_is_not_given_up_when_the_database_stood_still(watch, clock, connection, silent, jump, monkeypatch):
    look_for(watch, clock, connection, WATCH_SECONDS)
    cursor = lease.sql.cursor

    def stand_still(*arguments):
        clock.now += GAP_SECONDS + 1
        jump(f"{GAP_SECONDS + 1} seconds")
        return cursor(*arguments)

    monkeypatch.setattr(lease.sql, "cursor", stand_still)

    assert watch.give_up_silent_workers(connection) == []


@pytest.mark.parametrize("by", ["3 hours", "-3 hours"])
def test_worker_is_not_given_up_when_the_databases_clock_has_jumped(watch, clock, connection, worker_row, jump, by):
    """Or when the whole machine has slept, of which no monotonic clock tells."""
    look_for(watch, clock, connection, 60)

    jump(by)

    assert watch.give_up_silent_workers(connection) == []


def test_worker_that_does_not_renew_after_the_databases_clock_went_back_is_given_up(watch, clock, connection, silent):
    ahead = "UPDATE executor_workers SET heartbeat_at = clock_timestamp() + interval '3 hours' WHERE id = %s"
    connection.execute(ahead, (silent,))

    assert look_for(watch, clock, connection, WATCH_SECONDS + 6) == ["silent"]


@pytest.mark.parametrize("column", ["heartbeat_at", "lost_at"])
def test_worker_that_renews_or_that_another_gives_up_meanwhile_is_not_given_up(
    watch, clock, connection, other, silent, column
):
    """What it begins after another gave it up is of its new lease."""
    look_for(watch, clock, connection, WATCH_SECONDS)
    meanwhile_set = (f"UPDATE executor_workers SET {column} = clock_timestamp() WHERE id = %s", (silent,))

    with held_open(other, meanwhile_set) as meanwhile:
        giving_up = meanwhile(lambda: watch.give_up_silent_workers(connection))

    assert giving_up.result() == []
