"""Connections for hand-written SQL: psycopg itself, with server-side parameters and prepared statements.

Requests share Django's connection, so that their statements join its transaction. Workers and beat have a connection of
their own, which user code that runs in the same process cannot leave in a transaction, and which Celery's Django fix-up
does not close after every task.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from django import db
from django.conf import settings
from django.db import connection as django_connection
from psycopg.rows import BaseRowFactory
from psycopg.types.json import JsonbLoader

logger = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[object, ...]]
Row = TypeVar("Row")
Result = TypeVar("Result")

# What the database says while it is away, or read-only during a fail-over: the same work may be done later.
UNAVAILABLE = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)

# A connection keeps its plans. Those it makes while the tables are nearly empty read whole tables, and it would read
# them whole until the server has analysed them, which takes it a minute or more.
PLANS_DISCARDED_AT_USES = frozenset({100, 1_000, 10_000})
_uses = 0

# By process id, so that a forked child does not touch its parent's socket.
_own: dict[int, Connection] = {}
_lock = threading.Lock()
# A fork while another thread holds the lock would leave it locked in the child for ever.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

# How often a transaction is done that the server ends for another's sake.
VICTIM_TRIES = 5

# Waits between tries while the database is away: about five minutes in all.
RETRY_DELAYS_SECONDS = (0.05, 0.2, 0.5, 1, 2, *([5] * 60))


def request_connection() -> Connection:
    """Return the psycopg connection behind Django's, inside Django's transaction if there is one."""
    django_connection.ensure_connection()
    connection: Connection = django_connection.connection
    return connection


def engine_connection() -> Connection:
    """Return this process's own connection, in autocommit; opens one where there is none, or it broke, or the process
    forked.

    The threads of one attempt share it: psycopg lets one statement at a time through. A worker process runs one attempt
    at a time (prefork or solo).
    """
    global _uses  # noqa: PLW0603 - of the one connection this process has
    with _lock:
        connection = _own.get(os.getpid())
        _uses += 1
    # Outside the lock, which a fork waits for.
    if connection is not None and not connection.closed and not connection.broken:
        if _uses in PLANS_DISCARDED_AT_USES:
            connection.execute("DISCARD PLANS")
        return connection
    connection = _connect()
    with _lock:
        _own.clear()
        _own[os.getpid()] = connection
        _uses = 0
    return connection


def cursor(connection: Connection, row_factory: BaseRowFactory[Row]) -> psycopg.Cursor[Row]:
    """Open a cursor whose rows come as the factory makes them, JSON decoded whichever connection it is on."""
    opened = psycopg.Cursor(connection, row_factory=row_factory)
    if connection is not _own.get(os.getpid()):
        # Django decodes JSON in its fields, and tells its connections not to.
        opened.adapters.register_loader("jsonb", JsonbLoader)
    return opened


def drop_engine_connection() -> None:
    """Close this process's own connection, whatever its state."""
    with _lock:
        connection = _own.pop(os.getpid(), None)
    if connection is not None:
        connection.close()


def with_engine_connection(work: Callable[[Connection], Result]) -> Result:
    """Do a piece of work that may safely be done twice; repeat it on a new connection while the database is away.

    Deadlock victims and serialization failures repeat at once. Raises the last `psycopg.OperationalError` when the
    delays are used up.
    """
    for delay in (*RETRY_DELAYS_SECONDS, None):
        try:
            return work(engine_connection())
        except UNAVAILABLE as error:
            if delay is None:
                raise
            if is_victim(error):
                continue
            drop_engine_connection()
            logger.warning("Database not available, trying again in %s s: %s", delay, type(error).__name__)
            time.sleep(delay)
    raise AssertionError("unreachable")


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the database, or a connection to it, cannot be had at the moment: the same work may be done later.

    Knows psycopg's own errors, its pool's, and Django's around them.
    """
    own = error.__cause__ if isinstance(error, db.Error) else error
    return isinstance(error, db.OperationalError | db.InterfaceError) or isinstance(own, UNAVAILABLE)


def is_victim(error: BaseException) -> bool:
    """Tell whether the server ended a transaction for another's sake (class 40: deadlock, serialization).

    Knows psycopg's own error and Django's around it.
    """
    own = error if isinstance(error, psycopg.Error) else error.__cause__
    return isinstance(own, psycopg.Error) and (own.sqlstate or "").startswith("40")


def repeat_if_victim(work: Callable[[], Result]) -> Result:
    """Do a transaction, and again at once when the server ends it for another's sake: five times at most."""
    for tries_left in reversed(range(VICTIM_TRIES)):
        try:
            return work()
        except psycopg.OperationalError as error:
            if not is_victim(error) or not tries_left:
                raise
    raise AssertionError("unreachable")


def _connect() -> Connection:
    given = settings.DATABASES["default"]
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    parameters: dict[str, Any] = {names[key]: given[key] for key in names if given.get(key)}
    options = {key: value for key, value in given["OPTIONS"].items() if key != "pool"}
    return psycopg.connect(**(options | parameters), autocommit=True)
