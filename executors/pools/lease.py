"""The lease of a worker: one row it renews, with the messages it holds. SQL only; the thread that calls it is
`bootsteps`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from uuid import UUID

from maestro.core import sql
from maestro.core.ids import new_id

HEARTBEAT_SECONDS = 2.0
# A worker whose heartbeat is older is given up.
LEASE = datetime.timedelta(seconds=15)

_REGISTER = """
INSERT INTO executor_workers (id, name, pid, concurrency, queues, held)
VALUES (%(id)s, %(name)s, %(pid)s, %(concurrency)s, %(queues)s, '{}')
"""
# A worker that was given up does not come back to life: it learns of it and takes a new incarnation.
_RENEW = """
UPDATE executor_workers SET heartbeat_at = clock_timestamp(), held = %(held)s, held_at = %(held_at)s
WHERE id = %(id)s AND lost_at IS NULL
"""
_END = "UPDATE executor_workers SET lost_at = clock_timestamp(), held = '{}' WHERE id = %(id)s AND lost_at IS NULL"
# Not right after the server has started: nobody could renew a lease while it was down.
_GIVE_UP = """
UPDATE executor_workers SET lost_at = clock_timestamp()
WHERE lost_at IS NULL AND heartbeat_at < clock_timestamp() - %(lease)s
  AND pg_postmaster_start_time() < clock_timestamp() - %(lease)s
RETURNING name
"""


def register_worker(
    connection: sql.Connection, *, name: str, pid: int, concurrency: int, queues: Sequence[str]
) -> UUID:
    """Start a lease; return the new incarnation."""
    worker_id = new_id()
    parameters = {"id": worker_id, "name": name, "pid": pid, "concurrency": concurrency, "queues": list(queues)}
    connection.execute(_REGISTER, parameters)
    return worker_id


def renew_lease(connection: sql.Connection, *, worker_id: UUID, list_held: Callable[[], Sequence[str]]) -> bool:
    """Renew the lease and report what is held. False when the worker has been given up meanwhile.

    The time is read before the list: a claim made after it may be missing from the list, one made before it never is.
    """
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    parameters = {"id": worker_id, "held_at": row[0], "held": list(list_held())}
    return connection.execute(_RENEW, parameters).rowcount == 1


def end_lease(connection: sql.Connection, *, worker_id: UUID) -> None:
    """End the lease of a worker that stops, so that what it could not finish is taken over at once."""
    connection.execute(_END, {"id": worker_id})


def give_up_silent_workers(connection: sql.Connection) -> list[str]:
    """Mark the workers lost whose heartbeat is too old; return their names."""
    return [str(row[0]) for row in connection.execute(_GIVE_UP, {"lease": LEASE}).fetchall()]
