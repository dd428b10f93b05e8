"""Finds queued rows whose message the broker no longer has, and sends them again (rule 15 of the engine protocol).

Comparing every waiting message would cost the broker seconds at a long backlog. Instead every message carries its rows'
`queued_at`, and a queue is first in, first out: a row that was queued well before the message that is taken next, and
that no worker holds, is lost. A long backlog is never sent again, because its head is old. An error costs one message,
which finds nothing to do.
"""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from celery import current_app
from kombu.exceptions import OperationalError
from psycopg.rows import dict_row

from maestro.core import sql
from workflows.compiler.canvas import run_and_position
from workflows.dispatch import advance, publish
from workflows.dispatch.publish import Ready, RunRef

logger = logging.getLogger(__name__)

# A message may be this much younger than one behind it: producers that stall before their push, restored deliveries.
SLACK = datetime.timedelta(seconds=60)
MAX_PER_SWEEP = 1000
# Messages at the head looked at for one that carries `queued_at`; those that Celery sent on inside a canvas do not.
HEAD_LENGTH = 20

_QUEUES = "SELECT DISTINCT queue FROM task_executions WHERE status = 'queued'"
_RESEND = """
WITH lost AS (
    SELECT t.id, t.organization_id FROM task_executions t
    WHERE t.status = 'queued' AND t.queue = %(queue)s AND t.hold = 0
      AND t.queued_at < coalesce(%(head)s, clock_timestamp()) - %(slack)s
      AND NOT EXISTS (
          SELECT FROM unnest(%(held_runs)s::uuid[], %(held_positions)s::int[]) AS held (run_id, position)
          WHERE held.run_id = t.run_id AND held.position = t.position
      )
    ORDER BY t.queued_at LIMIT %(limit)s
)
UPDATE task_executions c SET queued_at = clock_timestamp()
FROM lost WHERE c.id = lost.id AND c.status = 'queued'
RETURNING c.id, c.run_id, c.organization_id, c.task_key, c.generation, c.queued_at
"""


def resend_lost(connection: sql.Connection) -> int:
    """Send again what the broker lost, at most 1,000 rows a queue. Returns how many; 0 while the broker is away."""
    try:
        return sum(_resend_of_queue(connection, str(row[0])) for row in connection.execute(_QUEUES).fetchall())
    except OperationalError as error:
        logger.warning("Broker not available, lost messages are looked for later: %s", type(error).__name__)
        return 0


def _resend_of_queue(connection: sql.Connection, queue: str) -> int:
    head, held = _look_at_broker(queue)
    if head is _UNDATED:
        return 0
    parameters = {
        "queue": queue,
        "head": head,
        "slack": SLACK,
        "held_runs": [run_id for run_id, _ in held],
        "held_positions": [position for _, position in held],
        "limit": MAX_PER_SWEEP,
    }
    with sql.cursor(connection, dict_row) as cursor:
        rows = cursor.execute(_RESEND, parameters).fetchall()
    for row in rows:
        run = RunRef(run_id=row["run_id"], organization_id=row["organization_id"])
        ready = Ready(id=row["id"], task_key=row["task_key"], generation=row["generation"], queued_at=row["queued_at"])
        publish.publish(run, advance.version_of_run(connection, run.run_id), [ready], None, alone=True)
    if rows:
        logger.warning("Sent %d tasks again whose messages the broker had lost", len(rows))
    return len(rows)


# The queue has messages, but none at its head says when its row was queued: nothing can be concluded.
_UNDATED = datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _look_at_broker(queue: str) -> tuple[datetime.datetime | None, list[tuple[UUID, int]]]:
    """Return when the message next to be taken was queued (None: the queue is empty), and what workers hold."""
    with current_app.connection_for_read() as broker, broker.default_channel.conn_or_acquire() as client:
        waiting = client.lrange(queue, -HEAD_LENGTH, -1)
        held = client.hvals("unacked")
    return _queued_at_of_head(waiting), list(_held(held))


def _queued_at_of_head(waiting: list[bytes]) -> datetime.datetime | None:
    """Return the `queued_at` of the first message that has one; messages are taken from the right."""
    if not waiting:
        return None
    for message in reversed(waiting):
        queued_at = _headers(json.loads(message)).get("queued_at")
        if isinstance(queued_at, str):
            return datetime.datetime.fromisoformat(queued_at)
    return _UNDATED


def _held(unacknowledged: list[bytes]) -> Iterator[tuple[UUID, int]]:
    for delivery in unacknowledged:
        message, *_ = json.loads(delivery)
        names = run_and_position(str(_headers(message).get("id", "")))
        if names is not None:
            yield names


def _headers(message: Mapping[str, Any]) -> Mapping[str, Any]:
    headers: Mapping[str, Any] = message.get("headers") or {}
    return headers
