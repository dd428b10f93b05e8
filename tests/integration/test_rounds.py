"""Rounds: a part of the rows at each look, all of them in a round."""

import pytest
from psycopg.rows import scalar_row

from workflows.dispatch.rounds import Rounds

_FIND = "SELECT key FROM numbers WHERE key > %(after)s AND key <= %(to)s AND is_wanted ORDER BY key LIMIT %(limit)s"


@pytest.fixture
def numbers(connection):
    """A table of the numbers up to 25, of which every fourth is wanted, with rounds of 10 rows at a look."""
    connection.execute("CREATE TEMP TABLE numbers (key int, is_wanted bool)")
    connection.execute("INSERT INTO numbers SELECT n, n % 4 = 0 FROM generate_series(1, 25) n")
    return Rounds("numbers WHERE true", key="key", lowest=0, highest=1000, rows_per_look=10)


def look(connection, rounds, limit=100):
    return rounds.look(connection, _FIND, scalar_row, limit=limit)


def test_each_look_finds_what_is_in_the_next_part_and_a_round_is_followed_by_another(connection, numbers):
    found = [(numbers.is_new, look(connection, numbers)) for _ in range(4)]

    first, second, third = [4, 8], [12, 16, 20], [24]
    assert found == [(True, first), (False, second), (False, third), (True, first)]


def test_part_in_which_more_is_wanted_than_a_look_takes_is_looked_at_again(connection, numbers):
    assert look(connection, numbers, limit=2) == [4, 8]
    connection.execute("UPDATE numbers SET is_wanted = false WHERE key = 4")

    assert look(connection, numbers, limit=2) == [8]
    assert look(connection, numbers, limit=4) == [12, 16, 20]


def test_rows_of_one_key_are_never_parted(connection, numbers):
    connection.execute("INSERT INTO numbers SELECT 8, true FROM generate_series(1, 20)")

    found = [look(connection, numbers) for _ in range(2)]

    assert found == [[4] + [8] * 21, [12, 16]]
