"""Recovery: puts tasks and runs back on their way that a lost message or a dead process left behind (rules 14 and 17 of
the engine protocol). Per task, not per run: a run that waits for something may have another task that nobody started.
"""

from __future__ import annotations

import datetime
import logging
import math
import time
from itertools import groupby

from psycopg.rows import scalar_row, tuple_row

from maestro.core import sql
from workflows.definition.priority import Priority
from workflows.dispatch import advance, cancellation, children, each
from workflows.dispatch.broker import BrokerAway, QueueView, look_at_queue
from workflows.dispatch.publish import RunRef
from workflows.runs import joins

logger = logging.getLogger(__name__)

# A finisher looks at what follows within milliseconds; whoever has not after this long, died.
GRACE = datetime.timedelta(seconds=5)
# A sweep is done between two looks at the leases of workers, so it is short.
MAX_PER_SWEEP = 200
# Messages inside a canvas are sent by Celery to the default queue.
CANVAS_QUEUE = "maestro"

# Every run is looked at this often; in between, those in which a task ended lately.
WHOLE_SECONDS = 60.0

_UNTIL = "SELECT coalesce(%(head)s, clock_timestamp()) - %(grace)s"
# A pending task may have its message waiting: it was sent when the last need ended. So only what was decided well
# before the head of the queue is looked at, among the messages of its priority, and that no worker holds. The first
# condition on needs finds an open one in a few steps; the count visits them all.
_READY_TASKS = """
SELECT t.run_id, t.organization_id, t.task_key
FROM {candidates} CROSS JOIN LATERAL ({count_needs}) n
WHERE t.status = 'pending' AND t.hold = 0 AND t.map_index IS NULL
  AND t.priority = %(priority)s AND {may_be_decided} AND {decision} IS NOT NULL
  AND coalesce(n.last_finished_at, t.created_at) < %(until)s
  AND NOT EXISTS (
      SELECT FROM executor_workers w CROSS JOIN unnest(w.held) AS message
      WHERE w.lost_at IS NULL AND starts_with(message, t.run_id || '.' || t.task_key || '.' || t.generation || '.')
  )
ORDER BY t.run_id, t.position
LIMIT %(limit)s
"""
# Run by run, whatever the planner expects: the pending rows of all other runs may be a million.
_OF_LATE = """
(
    SELECT DISTINCT run_id FROM task_executions
    WHERE finished_at >= %(since)s AND finished_at < %(until)s AND priority = %(priority)s
) ended
CROSS JOIN LATERAL (SELECT * FROM task_executions WHERE run_id = ended.run_id AND status = 'pending' OFFSET 0) t
"""


def _ready_tasks(candidates: str) -> str:
    return _READY_TASKS.format(
        candidates=candidates,
        count_needs=joins.COUNT_NEEDS,
        may_be_decided=joins.MAY_BE_DECIDED,
        decision=joins.DECISION,
    )


_READY_ANYWHERE = _ready_tasks("task_executions t")
_READY_OF_LATE = _ready_tasks(_OF_LATE)
_ENDED_RUNS = """
SELECT r.id FROM workflow_runs r
WHERE r.status = 'running' AND r.started_at < clock_timestamp() - %(grace)s
  AND NOT EXISTS (
      SELECT FROM task_executions t
      WHERE t.run_id = r.id AND t.status IN ('pending', 'queued', 'running', 'waiting')
  )
LIMIT %(limit)s
"""


class ReadySweep:
    """Queues or skips every pending task whose join was decided a while ago."""

    def __init__(self) -> None:
        self._whole_due_at = -math.inf
        self._since: dict[int, datetime.datetime] = {}

    def recover(self, connection: sql.Connection) -> int:
        """Look at the runs in which a task ended since the last look, now and then at all. Returns how many tasks."""
        try:
            views = {priority.step: look_at_queue(CANVAS_QUEUE, priority.step) for priority in Priority}
        except BrokerAway as error:
            logger.warning("Broker not available, ready tasks are looked for later: %s", error)
            return 0
        is_whole = time.monotonic() >= self._whole_due_at
        found = sum(self._recover(connection, step, view, is_whole) for step, view in views.items() if view.is_dated)
        if is_whole:
            self._whole_due_at = time.monotonic() + WHOLE_SECONDS
        return found

    def _recover(self, connection: sql.Connection, priority: int, view: QueueView, is_whole: bool) -> int:
        """Look among the tasks of one priority, as far as the head of their messages allows."""
        with sql.cursor(connection, scalar_row) as cursor:
            until = cursor.execute(_UNTIL, {"head": view.head_queued_at, "grace": GRACE}).fetchone()
        assert until is not None
        since = None if is_whole else self._since.get(priority)
        found = _recover_between(connection, priority, since, until)
        if found < MAX_PER_SWEEP:
            # Overlapping: what could not be done this time is met once more.
            self._since[priority] = until - GRACE
        return found


def _recover_between(
    connection: sql.Connection, priority: int, since: datetime.datetime | None, until: datetime.datetime
) -> int:
    parameters = {"priority": priority, "since": since, "until": until, "limit": MAX_PER_SWEEP}
    with sql.cursor(connection, tuple_row) as cursor:
        rows = cursor.execute(_READY_ANYWHERE if since is None else _READY_OF_LATE, parameters).fetchall()
    for (run_id, organization_id), found in groupby(rows, key=lambda row: row[:2]):
        run, keys = RunRef(run_id=run_id, organization_id=organization_id), [task_key for _, _, task_key in found]
        with each.run_of(run_id):
            version = advance.version_of_run(connection, run_id)
            for task_key in keys:
                advance.advance_task(connection, run, version, task_key)
            logger.warning("Recovered %d tasks of run %s that were ready but not queued", len(keys), run_id)
    return len(rows)


def recover_ended(connection: sql.Connection) -> int:
    """End every run in which nothing is left to do. Returns how many."""
    with sql.cursor(connection, tuple_row) as cursor:
        rows = cursor.execute(_ENDED_RUNS, {"grace": GRACE, "limit": MAX_PER_SWEEP}).fetchall()
    ended = 0
    for (run_id,) in rows:
        with each.run_of(run_id):
            if advance.end_run(connection, run_id):
                ended += 1
                logger.warning("Recovered the end of run %s, in which nothing was left to do", run_id)
    return ended


def recover_parents(connection: sql.Connection) -> int:
    """End every task that waits for a run which has ended. Returns how many."""
    told = 0
    for run_id in children.find_untold(connection, limit=MAX_PER_SWEEP):
        with each.run_of(run_id):
            if advance.follow_end(connection, run_id):
                told += 1
                logger.warning("Recovered the task that waited for run %s, which has ended", run_id)
    return told


def recover_children(connection: sql.Connection) -> int:
    """Stop every run whose end a task waited for and does not any more. Returns how many."""
    left_alone = children.find_left_alone(connection, limit=MAX_PER_SWEEP)
    for run_id in left_alone:
        with each.run_of(run_id):
            cancellation.stop_left_alone(connection, run_id)
            logger.warning("Cancelled run %s: the task that started it does not wait for it any more", run_id)
    return len(left_alone)
