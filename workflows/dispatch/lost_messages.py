"""Sends queued rows again whose message the broker no longer has (rule 15 of the engine protocol)."""

from __future__ import annotations

import datetime
import logging

from psycopg.rows import dict_row, tuple_row

from maestro.core import sql
from workflows.dispatch import advance, each, holds, publish
from workflows.dispatch.broker import BrokerAway, look_at_queue
from workflows.dispatch.publish import RunRef

logger = logging.getLogger(__name__)

# A message may be this much younger than one behind it.
SLACK = datetime.timedelta(seconds=15)
# A sweep is done between two looks at the leases of workers, so it is short.
MAX_PER_SWEEP = 200

# From each queue and priority to the next in the index, however many tasks are queued.
_QUEUES = """
WITH RECURSIVE found AS (
    (SELECT queue, priority FROM task_executions WHERE status = 'queued' ORDER BY queue, priority LIMIT 1)
    UNION ALL
    SELECT following.* FROM found CROSS JOIN LATERAL (
        SELECT queue, priority FROM task_executions
        WHERE status = 'queued' AND (queue, priority) > (found.queue, found.priority)
        ORDER BY queue, priority LIMIT 1
    ) following
)
SELECT queue, priority FROM found
"""
# The id of the message that was sent for a queued row, as `workflows.compiler.canvas.make_message_id` makes it.
_MESSAGE_ID = """
    (t.run_id || '.' || t.task_key || '.' || t.generation || '.' || (extract(epoch FROM t.queued_at) * 1000000)::bigint)
"""
# Rows that somebody else has locked are being claimed, cancelled, or sent again by another beat.
_RESEND = f"""
WITH lost AS (
    SELECT t.id FROM task_executions t
    WHERE t.status = 'queued' AND t.queue = %(queue)s AND t.priority = %(priority)s AND t.hold = 0
      AND t.queued_at < coalesce(%(head)s, clock_timestamp()) - %(slack)s
      AND NOT EXISTS (
          SELECT FROM executor_workers w
          WHERE w.lost_at IS NULL AND {_MESSAGE_ID} = ANY (w.held)
      )
    ORDER BY t.queued_at LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE task_executions c SET queued_at = clock_timestamp() FROM lost WHERE c.id = lost.id
RETURNING c.id, c.run_id, c.organization_id, c.task_key, c.generation, c.priority, c.queued_at
"""


def resend_lost(connection: sql.Connection) -> int:
    """Send again what the broker lost, at most 200 rows a queue and priority. Returns how many; 0 while the broker is
    away.
    """
    with sql.cursor(connection, tuple_row) as cursor:
        queues = cursor.execute(_QUEUES).fetchall()
    try:
        return sum(_resend_of_queue(connection, queue, priority) for queue, priority in queues)
    except BrokerAway as error:
        logger.warning("Broker not available, lost messages are looked for later: %s", error)
        return 0


def _resend_of_queue(connection: sql.Connection, queue: str, priority: int) -> int:
    view = look_at_queue(queue, priority)
    if not view.is_dated:
        return 0
    parameters = {
        "queue": queue,
        "priority": priority,
        "head": view.head_queued_at,
        "slack": SLACK,
        "limit": MAX_PER_SWEEP,
    }
    with sql.cursor(connection, dict_row) as cursor:
        rows = cursor.execute(_RESEND, parameters).fetchall()
    for row in rows:
        with each.run_of(row["run_id"]):
            run = RunRef(run_id=row["run_id"], organization_id=row["organization_id"])
            # Whoever made it ready may have died before the look at pauses that comes before its message.
            if holds.is_started_paused(connection, run):
                continue
            version = advance.version_of_run(connection, run.run_id)
            publish.publish(run, version, [publish.ready_of(row)], alone=True)
    if rows:
        logger.warning("Sent %d tasks again whose messages the broker had lost", len(rows))
    return len(rows)
