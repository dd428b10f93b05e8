"""Looks after tasks that wait for a call: an end that nobody told, or a call that the broker or its worker lost (rules
4b and 9 of the engine protocol).
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from typing import Any

from psycopg.rows import dict_row, scalar_row

from executors.base import TaskResult
from executors.pools.lease import RELIST
from maestro.core import sql
from workflows.dispatch import broker, celery_calls, each, leases, settle
from workflows.dispatch.broker import BrokerAway
from workflows.dispatch.messages import CallRef, TaskRef
from workflows.dispatch.missing_calls import MissingCalls, OpenCall

logger = logging.getLogger(__name__)

# The end of a call is told within milliseconds. Looks are for what was lost, and become rarer: after half as long again
# as the call has taken so far.
FIRST_LOOK = datetime.timedelta(seconds=5)
LONGEST_LOOK = datetime.timedelta(minutes=5)
MAX_PER_LOOK = 200

# Rows that somebody else has locked are being settled, cancelled, or looked at by another beat. The next look is set
# before this one, so that no two beats ask the same. The clock is read by a query of its own, so that the index on
# `wake_at` finds what is due without a look at all that waits.
_DUE = """
WITH due AS (
    SELECT id FROM task_executions
    WHERE status = 'waiting' AND reason = 'celery' AND wake_at <= (SELECT clock_timestamp())
    ORDER BY wake_at LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE task_executions c
SET wake_at = clock_timestamp() + least(greatest((clock_timestamp() - c.started_at) / 2, %(first)s), %(longest)s)
FROM due WHERE c.id = due.id
RETURNING c.id, c.run_id, c.organization_id, c.task_key, c.map_index, c.generation, c.tries, c.attempt, c.started_at
"""
# Of these calls, those that a worker of Maestro's held when it was given up, after the call was made, and none holds
# now. One that was given up but lives has had the time to say so.
_ABANDONED = """
SELECT call.id FROM unnest(%(ids)s::text[], %(since)s::timestamptz[]) AS call (id, since)
WHERE EXISTS (
      SELECT FROM executor_workers w
      WHERE w.lost_at > call.since AND w.lost_at < clock_timestamp() - %(grace)s AND call.id = ANY (w.held)
  )
  AND NOT EXISTS (SELECT FROM executor_workers o WHERE o.lost_at IS NULL AND call.id = ANY (o.held))
"""


class CallWatch:
    """Looks at calls, and remembers which of them it missed."""

    def __init__(self) -> None:
        self._missing = MissingCalls()

    def look_at_calls(self, connection: sql.Connection) -> int:
        """Ask how the calls stand that are due for a look. Returns how many tasks that changed."""
        if broker.is_away():
            return 0
        parameters = {"limit": MAX_PER_LOOK, "first": FIRST_LOOK, "longest": LONGEST_LOOK}
        with sql.cursor(connection, dict_row) as cursor:
            rows = cursor.execute(_DUE, parameters).fetchall()
        calls = {_call_of(row): row for row in rows}
        abandoned = _find_abandoned(connection, calls)
        changed = 0
        open_calls = []
        try:
            for ref, row in calls.items():
                state = celery_calls.read_state(ref)
                changed += _follow(connection, ref, row, state, is_abandoned=ref.celery_id in abandoned)
                if state is not None and ref.celery_id not in abandoned:
                    open_calls.append(
                        OpenCall(celery_id=ref.celery_id, task_id=row["id"], since=row["started_at"], state=state)
                    )
            missing = self._missing.find(connection, open_calls)
            for ref, row in calls.items():
                if ref.celery_id in missing:
                    # Read again: it may have ended before nobody held it.
                    changed += _follow(connection, ref, row, celery_calls.read_state(ref), is_abandoned=True)
        except BrokerAway as error:
            logger.warning("Broker not available, calls are looked at later: %s", error)
        return changed


def _follow(
    connection: sql.Connection,
    ref: CallRef,
    row: Mapping[str, Any],
    state: Mapping[str, Any] | None,
    *,
    is_abandoned: bool,
) -> bool:
    """Do what follows from the record of a call; tell whether that changed its task."""
    ended = None if state is None else celery_calls.result_of(state)
    if state is not None and ended is None and is_abandoned:
        celery_calls.forget(ref)
        state = None
    with each.run_of(row["run_id"]):
        if state is None:
            return leases.take_back_call(
                connection, task_id=row["id"], generation=row["generation"], attempt=row["attempt"]
            )
        if ended is not None:
            return _settle(connection, ref, ended)
    return False


def _find_abandoned(connection: sql.Connection, calls: Mapping[CallRef, Mapping[str, Any]]) -> set[str]:
    """Return the ids of the calls whose worker has died."""
    if not calls:
        return set()
    parameters = {
        "ids": [ref.celery_id for ref in calls],
        "since": [row["started_at"] for row in calls.values()],
        "grace": RELIST,
    }
    with sql.cursor(connection, scalar_row) as cursor:
        return set(cursor.execute(_ABANDONED, parameters).fetchall())


def _call_of(row: Mapping[str, Any]) -> CallRef:
    task = TaskRef(**{name: row[name] for name in ("run_id", "organization_id", "task_key", "map_index", "generation")})
    return CallRef(task=task, tries=row["tries"])


def _settle(connection: sql.Connection, ref: CallRef, ended: TaskResult) -> bool:
    """End a task whose call has ended, and nobody told."""
    if not settle.settle(connection, ref, ended):
        return False
    logger.warning("Found the end of the call of task %s of run %s", ref.task.task_key, ref.task.run_id)
    return True
