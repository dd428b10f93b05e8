"""The lease of a worker: one row it renews, with the messages it holds. SQL only; the thread that calls it is
`bootsteps`.
"""

from __future__ import annotations

import datetime
import logging
import math
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from psycopg.rows import scalar_row, tuple_row

from maestro.core import sql
from maestro.core.ids import new_id

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
# A worker whose heartbeat is older is given up.
LEASE = datetime.timedelta(seconds=15)
# A worker that was given up wrongly lists what it holds under its new incarnation within two heartbeats.
RELIST = datetime.timedelta(seconds=3 * HEARTBEAT_SECONDS)
# A look at the leases this long after the one before begins a new watch: workers may have been kept from renewing.
GAP_SECONDS = LEASE.total_seconds() / 2
# How long a watch must last before it gives anybody up: workers renew within two heartbeats.
WATCH_SECONDS = 3 * HEARTBEAT_SECONDS

_REGISTER = """
INSERT INTO executor_workers (id, name, pid, concurrency, queues, held)
VALUES (%(id)s, %(name)s, %(pid)s, %(concurrency)s, %(queues)s, '{}')
"""
# A worker that was given up does not come back to life: it learns of it and takes a new incarnation.
_RENEW = """
UPDATE executor_workers SET heartbeat_at = clock_timestamp(), held = %(held)s, held_at = %(held_at)s,
    concurrency = %(concurrency)s
WHERE id = %(id)s AND lost_at IS NULL
"""
_END = """
UPDATE executor_workers SET lost_at = clock_timestamp(), has_stopped = true, held = '{}'
WHERE id = %(id)s AND lost_at IS NULL
"""
# A heartbeat in the future is of before the clock was set back.
_FIND_SILENT = """
SELECT clock.now, w.id, w.heartbeat_at
FROM (SELECT clock_timestamp() AS now) clock LEFT JOIN executor_workers w
     ON w.lost_at IS NULL AND w.heartbeat_at NOT BETWEEN clock.now - %(lease)s AND clock.now + %(lease)s
"""
_GIVE_UP = """
UPDATE executor_workers w SET lost_at = clock_timestamp()
FROM unnest(%(ids)s::uuid[], %(heartbeats)s::timestamptz[]) AS silent (id, heartbeat_at)
WHERE w.id = silent.id AND w.heartbeat_at = silent.heartbeat_at AND w.lost_at IS NULL
RETURNING w.name
"""


def register_worker(
    connection: sql.Connection, *, name: str, pid: int, concurrency: int, queues: Sequence[str]
) -> UUID:
    """Start a lease; return the new incarnation."""
    worker_id = new_id()
    parameters = {"id": worker_id, "name": name, "pid": pid, "concurrency": concurrency, "queues": list(queues)}
    connection.execute(_REGISTER, parameters)
    return worker_id


def renew_lease(
    connection: sql.Connection, *, worker_id: UUID, concurrency: int, list_held: Callable[[], Sequence[str]]
) -> bool:
    """Renew the lease; report what is held, and how much can run at once. False when the worker has been given up.

    The time is read before the list: a claim made after it may be missing from the list, one made before it never is.
    """
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    parameters = {"id": worker_id, "held_at": row[0], "held": list(list_held()), "concurrency": concurrency}
    return connection.execute(_RENEW, parameters).rowcount == 1


def end_lease(connection: sql.Connection, *, worker_id: UUID) -> None:
    """End the lease of a worker that stops, so that what it could not finish is taken over at once."""
    connection.execute(_END, {"id": worker_id})


class LeaseWatch:
    """Gives up silent workers, once it has itself been watching for a while.

    Nobody can renew a lease while the database is away or stands still, or while the whole machine sleeps. So whoever
    looks right after that, or after the database's clock was set, sees old heartbeats of workers that are well; it
    gives them the time to renew before it judges.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = self._looked_at = -math.inf
        self._database_looked_at: datetime.datetime | None = None

    def give_up_silent_workers(self, connection: sql.Connection) -> list[str]:
        """Mark the workers lost whose heartbeat is too old; return their names."""
        asked_at = self._clock()
        with sql.cursor(connection, tuple_row) as cursor:
            rows = cursor.execute(_FIND_SILENT, {"lease": LEASE}).fetchall()
        answered_at = self._clock()
        database_at = rows[0][0]
        silent = [row[1:] for row in rows if row[1] is not None]
        passed = answered_at - self._looked_at
        passed_there = (database_at - (self._database_looked_at or database_at)).total_seconds()
        if max(asked_at - self._looked_at, answered_at - asked_at, abs(passed_there - passed)) > GAP_SECONDS:
            self._since = answered_at
        self._looked_at, self._database_looked_at = answered_at, database_at
        if not silent or answered_at - self._since < WATCH_SECONDS:
            return []
        ids, heartbeats = zip(*silent, strict=True)
        with sql.cursor(connection, scalar_row) as cursor:
            names = cursor.execute(_GIVE_UP, {"ids": list(ids), "heartbeats": list(heartbeats)}).fetchall()
        for name in names:
            logger.warning("Worker %s has been silent for %s and is given up", name, LEASE)
        return names
