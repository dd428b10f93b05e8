"""Reading what attempts leave behind. Who may read it is decided by the callers, who know the run."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from executors.models import TaskLogLine
from maestro.core import sql

# The first part is of a snapshot older than the lock; so every line up to it had its id before the lock was asked for.
_SETTLED_ID = """
SELECT (SELECT max(id) FROM task_log_lines WHERE run_id = %(run_id)s), pg_advisory_xact_lock(%(lock)s)
"""


def get_settled_line_id(*, run_id: UUID) -> int:
    """Return the id of a run's last line up to which no line is still to come; 0 when there is none.

    Ids are given before a commit, so a line can appear behind one that is already read. Whoever writes lines holds the
    run's log lock, shared, from before they have ids until they are committed: having had the lock for a moment means
    that all lines with an id from before are there. Lines read by a later statement up to that id are complete.
    """
    if not TaskLogLine.objects.filter(run_id=run_id).exists():
        return 0
    row = sql.request_connection().execute(_SETTLED_ID, {"run_id": run_id, "lock": log_lock(run_id)}).fetchone()
    return cast("int", row[0] if row else None) or 0


def log_lock(run_id: UUID) -> int:
    """Return the key of the advisory lock of a run's log; two runs that share one only wait for each other."""
    return int.from_bytes(run_id.bytes[8:], signed=True)
