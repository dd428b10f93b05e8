"""Connections: the engine's own makes its plans anew while the tables grow, a request's gives up on a silent server."""

import os

import psycopg
import pytest

from maestro.core import bounded_connection, sql
from maestro.core.bounded_connection import BoundedConnection
from maestro.core.sql import PLANS_DISCARDED_AT_USES

pytestmark = pytest.mark.usefixtures("database")


def test_plans_made_while_a_table_was_nearly_empty_are_not_kept():
    sql.drop_engine_connection()
    connection = sql.engine_connection()
    connection.execute("CREATE TEMP TABLE planned (id int PRIMARY KEY, filler text)")
    connection.execute("INSERT INTO planned SELECT 1, 'x'")
    connection.execute("ANALYZE planned")
    find = "SELECT filler FROM planned WHERE id = %s"
    for _ in range(12):  # prepared by psycopg after 5, planned for good by the server after 5 more
        connection.execute(find, (1,))
    connection.execute("INSERT INTO planned SELECT n, repeat('x', 500) FROM generate_series(2, 20000) n")

    for _ in range(min(PLANS_DISCARDED_AT_USES)):
        connection = sql.engine_connection()

    before = index_scans(connection)
    connection.execute(find, (1,))
    assert index_scans(connection) == before + 1
    sql.drop_engine_connection()


def index_scans(connection):
    connection.execute("SELECT pg_stat_force_next_flush()")
    return connection.execute("SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'planned'").fetchone()[0]


def test_connection_of_a_request_gives_up_on_a_server_that_does_not_answer_and_is_not_used_again(monkeypatch):
    monkeypatch.setattr(bounded_connection, "STATEMENT_SECONDS", 0.2)
    connection = BoundedConnection.connect(os.environ["DATABASE_URL"], autocommit=True)

    with pytest.raises(psycopg.OperationalError, match="did not answer"):
        connection.execute("SELECT pg_sleep(60)")

    assert connection.closed
