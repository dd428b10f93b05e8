"""The duty that prunes history: small batches, in turn, for a small part of the time. What a batch is, is decided in
`workflows.runs.retention`.
"""

from __future__ import annotations

import datetime
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID

import psycopg

from accounts.audit.retention import prune_api_requests
from accounts.idempotency.keys import prune_idempotency_keys
from maestro.core import sql
from workflows.dispatch.run_requests import prune_run_requests
from workflows.runs import retention
from workflows.runs.retention import Batch, OldRuns

logger = logging.getLogger(__name__)

# Of each second, this much at most: recovery, which the same process does, must not wait behind it.
BUDGET_SECONDS = 0.25
# Rows of one transaction.
MOST_ROWS = 1000
# Nothing becomes old so suddenly that it must be looked for more often.
LOOK_SECONDS = 60.0
ORGANIZATIONS_PER_LOOK = 1000
WORKERS_KEPT = datetime.timedelta(days=7)

# A worker's row is what tells that an attempt is lost which it was given, or a call that it held.
_DELETE_GONE_WORKERS = """
DELETE FROM executor_workers WHERE id = ANY (ARRAY(
    SELECT w.id FROM executor_workers w
    WHERE w.lost_at < now() - %(kept)s
      AND NOT EXISTS (SELECT FROM task_executions t WHERE t.status = 'running' AND t.claim_worker_id = w.id)
      AND (
          w.held = '{}'
          OR NOT EXISTS (
              SELECT FROM task_executions t
              WHERE t.status = 'waiting' AND t.reason = 'celery' AND t.started_at < w.lost_at
          )
      )
    LIMIT %(rows)s
    FOR UPDATE SKIP LOCKED
))
"""
_FIRST_ID = UUID(int=0)

Prune = Callable[[sql.Connection, int], Batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """Something to prune, a batch at a time."""

    name: Hashable
    """Two turns of one name would do the same."""
    prune: Prune
    """Does a batch of at most so many rows."""
    rows: int = MOST_ROWS
    """Rows of a batch; fewer once one took too long."""


class Pruning:
    """Prunes what is old, batch by batch, every organization in its turn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns: deque[_Turn] = deque()
        self._look_due_at = -math.inf
        self._looked_up_to = _FIRST_ID
        self._deleted = 0

    def prune(self, connection: sql.Connection) -> int:
        """Prune until nothing is old or the budget is used up. Returns how many rows."""
        started_at = self._clock()
        if started_at >= self._look_due_at:
            self._look(connection)
        deleted = 0
        while self._turns and self._clock() - started_at < BUDGET_SECONDS:
            deleted += self._take_turn(connection, self._turns.popleft())
        self._deleted += deleted
        if self._deleted and not self._turns:
            logger.info("Pruned %d rows of what is no longer kept", self._deleted)
            self._deleted = 0
        return deleted

    def _look(self, connection: sql.Connection) -> None:
        """Find out whose turn it is; an organization that has one already keeps its place."""
        found = retention.find_old_history(connection, after=self._looked_up_to, limit=ORGANIZATIONS_PER_LOOK)
        is_last = len(found) < ORGANIZATIONS_PER_LOOK
        self._looked_up_to = _FIRST_ID if is_last else found[-1].organization_id
        if is_last:
            self._look_due_at = self._clock() + LOOK_SECONDS
        waiting = {turn.name for turn in self._turns}
        turns = [*(turn for history in found for turn in _turns_of(history)), *(_TURNS_OF_PLATFORM if is_last else ())]
        self._turns.extend(turn for turn in turns if turn.name not in waiting)

    def _take_turn(self, connection: sql.Connection, turn: _Turn) -> int:
        try:
            batch = turn.prune(connection, turn.rows)
        except psycopg.errors.LockNotAvailable:
            logger.info("Somebody holds what is to be pruned (%s): left for later", turn.name)
            return 0
        except psycopg.errors.QueryCanceled:
            if turn.rows > 1:
                self._turns.append(replace(turn, rows=turn.rows // 2))
            else:
                logger.warning("Pruning one row took too long (%s): left for later", turn.name)
            return 0
        if batch.has_more:
            self._turns.append(turn)
        return batch.deleted


def prune_gone_workers(connection: sql.Connection, rows: int) -> int:
    """Delete at most so many workers that stopped or were lost long ago and that nothing depends on; return how
    many.
    """
    return connection.execute(_DELETE_GONE_WORKERS, {"kept": WORKERS_KEPT, "rows": rows}).rowcount


def _turns_of(history: retention.OldHistory) -> Iterator[_Turn]:
    of = history.organization_id
    if history.has_runs:
        yield _Turn(name=("runs", of), prune=OldRuns(of).prune)
    if history.has_attempts:
        yield _Turn(
            name=("attempts", of), prune=lambda connection, rows: retention.prune_attempts(connection, of, rows)
        )
    if history.has_lines:
        yield _Turn(name=("log lines", of), prune=lambda connection, rows: retention.prune_lines(connection, of, rows))


def _counted(delete: Callable[[sql.Connection, int], int]) -> Prune:
    """Turn a function that counts what it deleted into one that does a batch."""

    def prune(connection: sql.Connection, rows: int) -> Batch:
        with retention.bounded_transaction(connection):
            deleted = delete(connection, rows)
        return Batch(deleted=deleted, has_more=deleted == rows)

    return prune


_TURNS_OF_PLATFORM = (
    _Turn(name="hidden runs", prune=retention.prune_hidden_run),
    _Turn(name="API requests", prune=_counted(prune_api_requests)),
    _Turn(name="idempotency keys", prune=_counted(prune_idempotency_keys)),
    _Turn(name="run requests", prune=_counted(prune_run_requests)),
    _Turn(name="workers", prune=_counted(prune_gone_workers)),
)
