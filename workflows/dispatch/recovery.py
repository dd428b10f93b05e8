"""Recovery: puts tasks and runs back on their way that a lost message or a dead process left behind (rules 14 and 17 of
the engine protocol). Per task, not per run: a run that waits for something may have another task that nobody started.
"""

from __future__ import annotations

import datetime
import logging
from itertools import groupby

from psycopg.rows import tuple_row

from maestro.core import sql
from workflows.dispatch import advance, each, finalise
from workflows.dispatch.broker import BrokerAway, look_at_queue
from workflows.dispatch.publish import RunRef
from workflows.runs import joins

logger = logging.getLogger(__name__)

# A finisher looks at what follows within milliseconds; whoever has not after this long, died.
GRACE = datetime.timedelta(seconds=5)
MAX_PER_SWEEP = 1000
# Messages inside a canvas are sent by Celery to the default queue.
CANVAS_QUEUE = "maestro"

# A pending task may have its message waiting: it was sent when the last need ended. So only what was decided well
# before the head of the queue is looked at. The first condition finds an open need in a few steps; the count visits
# them all.
_READY_TASKS = f"""
SELECT t.run_id, t.organization_id, t.task_key
FROM task_executions t CROSS JOIN LATERAL ({joins.COUNT_NEEDS}) n
WHERE t.status = 'pending' AND t.hold = 0 AND t.map_index IS NULL
  AND {joins.MAY_BE_DECIDED} AND {joins.DECISION} IS NOT NULL
  AND coalesce(n.last_finished_at, t.created_at) < coalesce(%(head)s, clock_timestamp()) - %(grace)s
ORDER BY t.run_id, t.position
LIMIT %(limit)s
"""
_ENDED_RUNS = """
SELECT r.id FROM workflow_runs r
WHERE r.status = 'running' AND r.started_at < clock_timestamp() - %(grace)s
  AND NOT EXISTS (
      SELECT FROM task_executions t
      WHERE t.run_id = r.id AND t.status IN ('pending', 'queued', 'running', 'waiting')
  )
LIMIT %(limit)s
"""


def recover_ready(connection: sql.Connection) -> int:
    """Queue or skip every pending task whose join was decided a while ago. Returns how many were found."""
    try:
        view = look_at_queue(CANVAS_QUEUE)
    except BrokerAway as error:
        logger.warning("Broker not available, ready tasks are looked for later: %s", error)
        return 0
    if not view.is_dated:
        return 0
    parameters = {"head": view.head_queued_at, "grace": GRACE, "limit": MAX_PER_SWEEP}
    with sql.cursor(connection, tuple_row) as cursor:
        rows = cursor.execute(_READY_TASKS, parameters).fetchall()
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
            if finalise.finalise_run(connection, run_id):
                ended += 1
                logger.warning("Recovered the end of run %s, in which nothing was left to do", run_id)
    return ended
