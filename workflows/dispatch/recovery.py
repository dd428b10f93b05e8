"""Recovery: puts tasks and runs back on their way that a lost message or a dead process left behind (rules 14 and 17 of
the engine protocol). Per task, not per run: a run that waits for something may have another task that nobody started.
"""

from __future__ import annotations

import datetime
import logging
import math
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from psycopg.rows import scalar_row, tuple_row

from maestro.core import sql
from workflows.definition.priority import Priority
from workflows.dispatch import advance, cancellation, children, each
from workflows.dispatch.broker import BrokerAway, look_at_queue
from workflows.dispatch.publish import RunRef
from workflows.dispatch.rounds import BEGINNING, END, HIGHEST_ID, LOWEST_ID, Rounds
from workflows.runs import joins

logger = logging.getLogger(__name__)

# A finisher looks at what follows within milliseconds; whoever has not after this long, died.
GRACE = datetime.timedelta(seconds=5)
# A sweep is done between two looks at the leases of workers, so it is short.
MAX_PER_SWEEP = 200
# Messages inside a canvas are sent by Celery to the default queue.
CANVAS_QUEUE = "maestro"

# A round through all runs begins this often, if it takes no longer; in between, those in which a task ended lately.
ROUND_SECONDS = 60.0
# Rows of a part of it: for each, its needs are looked up.
ROWS_PER_LOOK = 5_000
# How far back those are looked for that ended lately, after nobody could look for long: a round finds the rest.
LATE = datetime.timedelta(seconds=ROUND_SECONDS)

# A pending task may have its message waiting: it was sent when the last need ended. So only what was decided well
# before the head of the queue is looked at, among the messages of its priority, and that no worker holds. The first
# condition on needs finds an open one in a few steps; the count visits them all.
_READY_TASKS = """
SELECT t.run_id, t.organization_id, t.task_key
FROM {candidates} CROSS JOIN LATERAL ({count_needs}) n
WHERE t.status = 'pending' AND t.hold = 0 AND t.map_index IS NULL
  AND t.priority = head.priority AND {may_be_decided} AND {decision} IS NOT NULL
  AND coalesce(n.last_finished_at, t.created_at) < head.until
  AND NOT EXISTS (
      SELECT FROM executor_workers w CROSS JOIN unnest(w.held) AS message
      WHERE w.lost_at IS NULL AND starts_with(message, t.run_id || '.' || t.task_key || '.' || t.generation || '.')
  )
ORDER BY t.run_id, t.position
LIMIT %(limit)s
"""
_HEADS = """
unnest(%(priorities)s::smallint[], %(since)s::timestamptz[], %(until)s::timestamptz[]) AS head (priority, since, until)
"""
_OPEN_TASKS = "task_executions WHERE status IN ('pending', 'queued', 'running', 'waiting')"
# By the index on the runs of open tasks, whatever the planner expects.
_IN_PART = f"""
(SELECT * FROM {_OPEN_TASKS} AND run_id > %(after)s AND run_id <= %(to)s OFFSET 0) t
JOIN {_HEADS} ON head.priority = t.priority
"""
# Run by run, whatever the planner expects: the pending rows of all other runs may be a million.
_OF_LATE = f"""
{_HEADS}
CROSS JOIN LATERAL (
    SELECT DISTINCT run_id FROM task_executions
    WHERE finished_at >= head.since AND finished_at < head.until AND priority = head.priority
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


_READY_IN_PART = _ready_tasks(_IN_PART)
_READY_OF_LATE = _ready_tasks(_OF_LATE)
# Run by run, whatever the planner expects: the open tasks of all other runs may be a million.
_ENDED_RUNS = """
SELECT r.id
FROM (
    SELECT id, started_at FROM workflow_runs
    WHERE status = 'running' AND created_at > %(after)s AND created_at <= %(to)s OFFSET 0
) r
WHERE r.started_at < clock_timestamp() - %(grace)s
  AND NOT EXISTS (
      SELECT FROM task_executions t
      WHERE t.run_id = r.id AND t.status IN ('pending', 'queued', 'running', 'waiting') OFFSET 0
  )
LIMIT %(limit)s
"""
_running_runs = Rounds("workflow_runs WHERE status = 'running'", key="created_at", lowest=BEGINNING, highest=END)


class ReadySweep:
    """Queues or skips every pending task whose join was decided a while ago."""

    def __init__(self) -> None:
        self._round = Rounds(
            _OPEN_TASKS, key="run_id", lowest=LOWEST_ID, highest=HIGHEST_ID, rows_per_look=ROWS_PER_LOOK
        )
        self._round_due_at = -math.inf
        self._since: dict[int, datetime.datetime] = {}

    def recover(self, connection: sql.Connection) -> int:
        """Look at the runs in which a task ended since the last look, and at a part of all. Returns how many tasks."""
        try:
            views = {priority.step: look_at_queue(CANVAS_QUEUE, priority.step) for priority in Priority}
        except BrokerAway as error:
            logger.warning("Broker not available, ready tasks are looked for later: %s", error)
            return 0
        with sql.cursor(connection, scalar_row) as cursor:
            now: datetime.datetime | None = cursor.execute("SELECT clock_timestamp()").fetchone()
        assert now is not None
        # Among the tasks of each priority, as far as the head of their messages allows.
        until = {step: (view.head_queued_at or now) - GRACE for step, view in views.items() if view.is_dated}
        return self._recover_of_late(connection, until) + self._recover_in_part(connection, until)

    def _recover_of_late(self, connection: sql.Connection, until: Mapping[int, datetime.datetime]) -> int:
        since = {step: max(self._since.get(step, end), end - LATE) for step, end in until.items()}
        with sql.cursor(connection, tuple_row) as cursor:
            rows = cursor.execute(_READY_OF_LATE, _heads(until, since) | {"limit": MAX_PER_SWEEP}).fetchall()
        _recover(connection, rows)
        if len(rows) < MAX_PER_SWEEP:
            # Overlapping: what could not be done this time is met once more.
            self._since |= {step: end - GRACE for step, end in until.items()}
        return len(rows)

    def _recover_in_part(self, connection: sql.Connection, until: Mapping[int, datetime.datetime]) -> int:
        if self._round.is_new:
            if time.monotonic() < self._round_due_at:
                return 0
            self._round_due_at = time.monotonic() + ROUND_SECONDS
        rows = self._round.look(connection, _READY_IN_PART, tuple_row, limit=MAX_PER_SWEEP, **_heads(until, until))
        _recover(connection, rows)
        return len(rows)


def _heads(until: Mapping[int, datetime.datetime], since: Mapping[int, datetime.datetime]) -> dict[str, Any]:
    return {"priorities": list(until), "since": list(since.values()), "until": list(until.values())}


def _recover(connection: sql.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    for (run_id, organization_id), found in groupby(rows, key=lambda row: row[:2]):
        run, keys = RunRef(run_id=run_id, organization_id=organization_id), [task_key for _, _, task_key in found]
        with each.run_of(run_id):
            version = advance.version_of_run(connection, run_id)
            for task_key in keys:
                advance.advance_task(connection, run, version, task_key)
            logger.warning("Recovered %d tasks of run %s that were ready but not queued", len(keys), run_id)


def recover_ended(connection: sql.Connection) -> int:
    """End every run in which nothing is left to do. Returns how many."""
    run_ids: list[UUID] = _running_runs.look(connection, _ENDED_RUNS, scalar_row, limit=MAX_PER_SWEEP, grace=GRACE)
    ended = 0
    for run_id in run_ids:
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
