"""Writing what attempts leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from executors import selectors
from executors.base import LogLine
from maestro.core import sql

# The lock comes before the ids: see `selectors.get_settled_line_id`.
_INSERT_LINES = """
WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(%(lock)s))
INSERT INTO task_log_lines (organization_id, run_id, task_key, map_index, attempt, stream, level, message, created_at)
SELECT %(organization_id)s, %(run_id)s, %(task_key)s, %(map_index)s, %(attempt)s,
       line.stream, line.level, line.message, line.created_at
FROM lock, unnest(%(streams)s::text[], %(levels)s::text[], %(messages)s::text[], %(times)s::timestamptz[])
     AS line (stream, level, message, created_at)
WHERE line.created_at > coalesce(%(after)s::timestamptz, '-infinity')
"""

_STORED_UNTIL = """
SELECT max(created_at) FROM task_log_lines
WHERE run_id = %(run_id)s AND task_key = %(task_key)s AND attempt = %(attempt)s
  AND map_index IS NOT DISTINCT FROM %(map_index)s
"""


def store_log_lines(
    connection: sql.Connection,
    *,
    organization_id: UUID,
    run_id: UUID,
    task_key: str,
    map_index: int | None,
    attempt: int,
    lines: Sequence[LogLine],
    is_repeat: bool = False,
) -> None:
    """Append lines to the log of an attempt, in their order; each is later than the one before.

    `is_repeat` says that an earlier try to store some of them ended in an error: they may be stored all the same, and
    are not stored twice.
    """
    parameters = {
        "lock": selectors.log_lock(run_id),
        "organization_id": organization_id,
        "run_id": run_id,
        "task_key": task_key,
        "map_index": map_index,
        "attempt": attempt,
        "streams": [line.stream for line in lines],
        "levels": [line.level for line in lines],
        "messages": [line.message for line in lines],
        "times": [line.created_at for line in lines],
        "after": None,
    }
    if not is_repeat:
        connection.execute(_INSERT_LINES, parameters)
        return
    with connection.transaction():
        # The earlier try may still go on at the server: it has ended once the lock is ours.
        connection.execute("SELECT pg_advisory_xact_lock(%(lock)s)", parameters)
        row = connection.execute(_STORED_UNTIL, parameters).fetchone()
        connection.execute(_INSERT_LINES, parameters | {"after": row[0] if row else None})
