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
) -> None:
    """Append lines to the log of an attempt, in their order."""
    connection.execute(
        _INSERT_LINES,
        {
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
        },
    )
