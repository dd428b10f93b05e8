"""Deletes recorded API requests that are old."""

from __future__ import annotations

import datetime

from maestro.core import sql

# They are for whoever looks for unusual use of the last day or weeks.
KEPT = datetime.timedelta(days=30)

_DELETE_OLD = """
DELETE FROM api_requests WHERE id = ANY (ARRAY(
    SELECT id FROM api_requests WHERE created_at < now() - %(kept)s ORDER BY created_at LIMIT %(rows)s
    FOR UPDATE SKIP LOCKED
))
"""


def prune_api_requests(connection: sql.Connection, rows: int) -> int:
    """Delete at most so many of the oldest requests that are no longer kept; return how many."""
    return connection.execute(_DELETE_OLD, {"kept": KEPT, "rows": rows}).rowcount
