"""Signals: what was sent to a run ends the waits of its tasks, each signal one, each wait by one (rule 10c of the
engine protocol). Who may send what is decided in `workflows.parking.services`.
"""

from __future__ import annotations

import datetime
import logging
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row, scalar_row

from executors.base import TaskResult
from maestro.core import sql
from maestro.core.clock import say_time
from workflows.catalog import cache
from workflows.dispatch import each, waits
from workflows.dispatch.rounds import HIGHEST_ID, LOWEST_ID, Rounds
from workflows.dispatch.waits import Waiting

logger = logging.getLogger(__name__)

# Whoever sends a signal, or parks a task, looks within milliseconds; whoever has not after this long, died.
GRACE = datetime.timedelta(seconds=2)
MAX_PER_SWEEP = 200

_LOCK_RUN = "SELECT FROM workflow_runs WHERE id = %(run_id)s FOR NO KEY UPDATE"
# What sends and what takes lock the run, so the oldest signal that is not taken now, and the first task that waits now,
# stay that until the commit, but for the task's time: the fence of its end says whether that was over first.
_MATCH = f"""
SELECT s.id AS signal_id, s.name, s.payload, s.received_at, (SELECT email FROM users WHERE id = s.user_id) AS sent_by,
       {waits.COLUMNS}
FROM run_signals s
     JOIN task_executions t ON t.run_id = s.run_id AND t.status = 'waiting' AND t.reason = 'signal' AND t.hold = 0
                           AND t.waits_for ->> 'name' = s.name
     JOIN workflow_runs r ON r.id = s.run_id
WHERE s.run_id = %(run_id)s AND s.taken_at IS NULL
ORDER BY s.id, t.position, t.map_index LIMIT 1
"""
_MARK_TAKEN = """
UPDATE run_signals SET task_execution_id = %(task_id)s, taken_at = clock_timestamp() WHERE id = %(signal_id)s
"""
# Signal by signal, whatever the planner expects: a million tasks may wait. And a part of the signals at a time: of runs
# that have ended, any number may be left that nobody took.
_FORGOTTEN = """
SELECT DISTINCT s.run_id FROM run_signals s
WHERE s.taken_at IS NULL AND s.received_at < clock_timestamp() - %(grace)s
  AND s.run_id > %(after)s AND s.run_id <= %(to)s
  AND EXISTS (
      SELECT FROM task_executions t
      WHERE t.run_id = s.run_id AND t.status = 'waiting' AND t.reason = 'signal' AND t.hold = 0
        AND t.waits_for ->> 'name' = s.name
      OFFSET 0
  )
LIMIT %(limit)s
"""
_untaken = Rounds("run_signals WHERE taken_at IS NULL", key="run_id", lowest=LOWEST_ID, highest=HIGHEST_ID)


def take(connection: sql.Connection, run_id: UUID) -> int:
    """End every wait of a run for which there is a signal, and look at what follows. Returns how many.

    To be called after the commit of whatever may have made a pair of them: a signal that was sent, a task that was
    parked, a pause that is over.
    """
    taken = 0
    # The look before the lock only saves the lock.
    while _find_match(connection, run_id) is not None:
        taken += _take_one(connection, run_id)
    return taken


def take_forgotten(connection: sql.Connection) -> int:
    """Take every signal that whoever should have looked did not live to take. Returns how many."""
    run_ids: list[UUID] = _untaken.look(connection, _FORGOTTEN, scalar_row, limit=MAX_PER_SWEEP, grace=GRACE)
    taken = 0
    for run_id in run_ids:
        with each.run_of(run_id):
            found = take(connection, run_id)
            if found:
                logger.warning("Recovered %d signals of run %s that nobody had taken", found, run_id)
            taken += found
    return taken


def _take_one(connection: sql.Connection, run_id: UUID) -> bool:
    with connection.transaction():
        connection.execute(_LOCK_RUN, {"run_id": run_id})
        match = _find_match(connection, run_id)
        if match is None:
            return False
        signal_id, payload, note = match.pop("signal_id"), match.pop("payload"), _note_of(match)
        waiting = Waiting(**match)
        version = cache.get_version(connection, waiting.workflow_version_id)
        finished = waits.write_end(connection, waiting, version, TaskResult(output=payload), note)
        if finished is None:
            return False
        connection.execute(_MARK_TAKEN, {"signal_id": signal_id, "task_id": waiting.id})
    waits.follow(connection, waiting, version)
    return True


def _note_of(match: dict[str, Any]) -> str:
    """Take from a match what is said of it in the log of the task. Its payload may be large: it is the output."""
    name, sent_by, received_at = (match.pop(column) for column in ("name", "sent_by", "received_at"))
    sender = f" by {sent_by}" if sent_by else ""
    return f"Took the signal {name}, sent{sender} at {say_time(received_at)}."


def _find_match(connection: sql.Connection, run_id: UUID) -> dict[str, Any] | None:
    with sql.cursor(connection, dict_row) as cursor:
        found: dict[str, Any] | None = cursor.execute(_MATCH, {"run_id": run_id}).fetchone()
    return found
