"""Recovery: finds what lost messages and dead processes left behind, and puts it back on its way (rules 14 and 17 of
the engine protocol).
"""

from __future__ import annotations

import datetime
import logging
from uuid import UUID

from psycopg.rows import tuple_row

from maestro.core import sql
from workflows.dispatch import advance, finalise
from workflows.dispatch.publish import RunRef
from workflows.runs import joins

logger = logging.getLogger(__name__)

# A finisher looks at what follows within milliseconds; whoever has not after this long, died.
GRACE = datetime.timedelta(seconds=5)
RUNS_PER_SWEEP = 1000

# The finishes of one grace period, seen in three sweeps, so that a slow sweep misses none.
_RUNS_WITH_RECENT_ENDS = """
SELECT DISTINCT r.id, r.organization_id
FROM task_executions t JOIN workflow_runs r ON r.id = t.run_id
WHERE t.finished_at BETWEEN clock_timestamp() - 3 * %(grace)s AND clock_timestamp() - %(grace)s AND r.status = 'running'
LIMIT %(limit)s
"""
_OPEN_RUNS = """
SELECT r.id, r.organization_id FROM workflow_runs r
WHERE r.status = 'running' AND r.created_at < clock_timestamp() - %(grace)s AND r.id > %(after)s
ORDER BY r.id LIMIT %(limit)s
"""
_READY_TASKS = f"""
SELECT t.task_key
FROM task_executions t CROSS JOIN LATERAL ({joins.COUNT_NEEDS}) n
WHERE t.run_id = %(run_id)s AND t.status = 'pending' AND t.hold = 0 AND t.map_index IS NULL
  AND {joins.DECISION} IS NOT NULL
ORDER BY t.position
"""

_NO_RUN = UUID(int=0)


def recover_recent(connection: sql.Connection) -> int:
    """Look at the runs whose tasks ended a few grace periods ago. Returns how many tasks and runs were put back on
    their way.
    """
    return sum(
        recover_run(connection, run)
        for run in _runs(connection, _RUNS_WITH_RECENT_ENDS, {"grace": GRACE, "limit": RUNS_PER_SWEEP})
    )


def recover_all(connection: sql.Connection) -> int:
    """Look at every open run, in batches. Returns how many tasks and runs were put back on their way."""
    recovered, after = 0, _NO_RUN
    while runs := _runs(connection, _OPEN_RUNS, {"grace": GRACE, "limit": RUNS_PER_SWEEP, "after": after}):
        recovered += sum(recover_run(connection, run) for run in runs)
        after = runs[-1].run_id
    return recovered


def recover_run(connection: sql.Connection, run: RunRef) -> int:
    """Queue or skip every pending task whose join is decided, and end the run if nothing is left in it."""
    with sql.cursor(connection, tuple_row) as cursor:
        rows = cursor.execute(_READY_TASKS, {"run_id": run.run_id}).fetchall()
    ready = [str(row[0]) for row in rows]
    if ready:
        version = advance.version_of_run(connection, run.run_id)
        for task_key in ready:
            advance.advance_task(connection, run, version, task_key)
        logger.warning("Recovered %d tasks of run %s that were ready but not queued", len(ready), run.run_id)
        return len(ready)
    ended = finalise.finalise_run(connection, run.run_id)
    if ended:
        logger.warning("Recovered the end of run %s, in which nothing was left to do", run.run_id)
    return int(ended)


def _runs(connection: sql.Connection, statement: str, parameters: dict[str, object]) -> list[RunRef]:
    with sql.cursor(connection, tuple_row) as cursor:
        rows = cursor.execute(statement, parameters).fetchall()
    return [RunRef(run_id=row[0], organization_id=row[1]) for row in rows]
