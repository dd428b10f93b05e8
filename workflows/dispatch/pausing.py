"""Pausing: nothing begins while a pause covers it, and everything goes on after it (rules 9b and 9c of the engine
protocol).

A pause is a row of `pauses`. What it covers is held: `hold = 1` on every open row, which claim, advance and wake-ups
obey. Whoever pauses, resumes or starts a run commits first and then looks: one of any two looks second.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import scalar_row, tuple_row

from maestro.core import sql
from workflows.dispatch import advance, each
from workflows.dispatch.publish import RunRef
from workflows.runs.statuses import PauseScope

logger = logging.getLogger(__name__)

# Runs that are held, or let go, in one transaction.
SLICE = 200

# Of a run `r`. A child that its parent waits for is paused with it.
_IS_COVERED = """
EXISTS (
    WITH RECURSIVE line (run_id, workflow_id, parent_task_id) AS (
        SELECT r.id, r.workflow_id, r.parent_task_id
        UNION ALL
        SELECT above.id, above.workflow_id, above.parent_task_id
        FROM line JOIN task_executions t ON t.id = line.parent_task_id JOIN workflow_runs above ON above.id = t.run_id
    )
    SELECT FROM pauses p
    WHERE p.organization_id = r.organization_id AND p.resumed_at IS NULL
      AND (p.scope = 'organization' OR EXISTS (
          SELECT FROM line WHERE line.run_id = p.run_id OR line.workflow_id = p.workflow_id
      ))
)
"""
# Of a task `t`.
_IS_QUEUE_PAUSED = """
EXISTS (
    SELECT FROM pauses p
    WHERE p.organization_id = t.organization_id AND p.resumed_at IS NULL AND p.scope = 'queue' AND p.queue = t.queue
)
"""
_IS_OPEN = "status IN ('pending', 'queued', 'running', 'waiting')"
_MAY_BE_PAUSED = "SELECT EXISTS (SELECT FROM pauses WHERE resumed_at IS NULL AND organization_id = %(organization_id)s)"
_LOCK_RUNS = """
SELECT id FROM workflow_runs WHERE id = ANY (%(run_ids)s) AND status IN ('pending', 'running') AND hold < 2
ORDER BY id FOR NO KEY UPDATE
"""
# The rows are locked, so what is read of pauses here is at least as new as any operation that came before.
_SETTLE_RUNS = f"""
UPDATE workflow_runs AS c
SET hold = j.hold,
    reason = CASE WHEN j.hold = 1 AND c.reason = '' THEN 'paused'
                  WHEN j.hold = 0 AND c.reason = 'paused' THEN ''
                  ELSE c.reason END
FROM (SELECT r.id, {_IS_COVERED}::int AS hold FROM workflow_runs r WHERE r.id = ANY (%(run_ids)s)) j
WHERE c.id = j.id AND c.hold <> j.hold
RETURNING c.id, c.hold
"""
_SETTLE_TASKS = f"""
WITH locked AS (
    SELECT t.id, j.hold
    FROM task_executions t JOIN workflow_runs r ON r.id = t.run_id
         CROSS JOIN LATERAL (SELECT greatest(r.hold, {_IS_QUEUE_PAUSED}::int) AS hold) j
    WHERE t.run_id = ANY (%(run_ids)s) AND t.{_IS_OPEN} AND t.hold < 2 AND t.hold <> j.hold
    ORDER BY t.run_id, t.position, t.map_index
    FOR NO KEY UPDATE OF t
)
UPDATE task_executions AS c SET hold = locked.hold
FROM locked WHERE c.id = locked.id AND c.{_IS_OPEN} AND c.hold < 2
RETURNING c.run_id, c.hold
"""
_RUNS_OF_ORGANIZATION = """
SELECT r.id FROM workflow_runs r JOIN pauses p ON p.organization_id = r.organization_id
WHERE p.id = %(pause_id)s AND r.status IN ('pending', 'running') AND r.hold < 2 AND r.id > %(after)s
ORDER BY r.id LIMIT %(limit)s
"""
_RUNS_WITH_CHILDREN = """
WITH RECURSIVE line (run_id) AS (
    SELECT r.id FROM workflow_runs r JOIN pauses p ON p.run_id = r.id OR p.workflow_id = r.workflow_id
    WHERE p.id = %(pause_id)s AND r.status IN ('pending', 'running')
    UNION
    SELECT child.id
    FROM line JOIN task_executions t ON t.run_id = line.run_id AND t.status = 'waiting'
         JOIN workflow_runs child ON child.id = t.child_run_id AND child.status IN ('pending', 'running')
)
SELECT run_id FROM line WHERE run_id > %(after)s ORDER BY run_id LIMIT %(limit)s
"""
# Who began to pause or resume has died, or a start did between its commit and its look.
_UNSETTLED_PAUSES = """
SELECT id FROM pauses WHERE settled_at IS NULL AND coalesce(resumed_at, paused_at) < clock_timestamp() - %(grace)s
"""
_UNSETTLED_STARTS = f"""
SELECT r.id FROM workflow_runs r
WHERE r.organization_id IN (SELECT DISTINCT organization_id FROM pauses WHERE resumed_at IS NULL AND scope <> 'queue')
  AND r.created_at > clock_timestamp() - %(since)s AND r.created_at < clock_timestamp() - %(grace)s
  AND r.status IN ('pending', 'running') AND r.hold = 0 AND {_IS_COVERED}
LIMIT %(limit)s
"""
_SCOPE = "SELECT scope, resumed_at FROM pauses WHERE id = %(pause_id)s"
_NOTE_SETTLED = """
UPDATE pauses SET settled_at = clock_timestamp()
WHERE id = %(pause_id)s AND resumed_at IS NOT DISTINCT FROM %(resumed_at)s
"""
GRACE = datetime.timedelta(seconds=5)
# A start that died is found within seconds; who looks again after an outage of everything looks so far back.
STARTED_SINCE = datetime.timedelta(hours=1)
_FIRST = UUID(int=0)


def settle_pause(connection: sql.Connection, pause_id: UUID) -> None:
    """Hold what a pause covers; after its end, let go what no other pause covers."""
    given: dict[str, Any] = {"pause_id": pause_id, "after": _FIRST, "limit": SLICE}
    with sql.cursor(connection, tuple_row) as cursor:
        pause = cursor.execute(_SCOPE, given).fetchone()
    if pause is None:
        return  # its run, or its workflow, is gone
    has_parents = pause[0] in (PauseScope.RUN, PauseScope.WORKFLOW)
    statement = _RUNS_WITH_CHILDREN if has_parents else _RUNS_OF_ORGANIZATION
    while True:
        with sql.cursor(connection, scalar_row) as cursor:
            run_ids = cursor.execute(statement, given).fetchall()
        if not run_ids:
            break
        settle_runs(connection, run_ids)
        given["after"] = run_ids[-1]
    connection.execute(_NOTE_SETTLED, {"pause_id": pause_id, "resumed_at": pause[1]})


def is_started_paused(connection: sql.Connection, run: RunRef) -> bool:
    """Hold a run that was just started, if a pause covers all of it; tell whether one does.

    Its start may not have seen the pause, and whoever paused may not have seen the run.
    """
    with sql.cursor(connection, scalar_row) as cursor:
        if not cursor.execute(_MAY_BE_PAUSED, {"organization_id": run.organization_id}).fetchone():
            return False
    settle_runs(connection, [run.run_id])
    with sql.cursor(connection, scalar_row) as cursor:
        hold = cursor.execute("SELECT hold FROM workflow_runs WHERE id = %s", (run.run_id,)).fetchone()
    return hold != 0


def settle_runs(connection: sql.Connection, run_ids: Sequence[UUID]) -> None:
    """Hold the runs and tasks that a pause covers, and let go those that none does; then start what is ready of these.

    Running tasks are held too: they go on, and what follows them waits.
    """
    for run_id in sql.repeat_if_victim(lambda: _settle(connection, run_ids)):
        with each.run_of(run_id):
            advance.kick(connection, run_id)


def settle_left_over(connection: sql.Connection) -> int:
    """Do what somebody who died had begun to pause, resume or start. Returns how many pauses and runs."""
    given = {"grace": GRACE, "since": STARTED_SINCE, "limit": SLICE}
    with sql.cursor(connection, scalar_row) as cursor:
        pause_ids = cursor.execute(_UNSETTLED_PAUSES, given).fetchall()
        for pause_id in pause_ids:
            settle_pause(connection, pause_id)
            logger.warning("Settled pause %s, which somebody had begun", pause_id)
        run_ids = cursor.execute(_UNSETTLED_STARTS, given).fetchall()
    if run_ids:
        settle_runs(connection, sorted(run_ids))
        logger.warning("Held %d runs that were started while they were paused", len(run_ids))
    return len(pause_ids) + len(run_ids)


def _settle(connection: sql.Connection, run_ids: Sequence[UUID]) -> list[UUID]:
    """Set what is held, in one transaction; return the runs of which something goes on."""
    with connection.transaction():
        with sql.cursor(connection, scalar_row) as cursor:
            open_ids = cursor.execute(_LOCK_RUNS, {"run_ids": list(run_ids)}).fetchall()
        with sql.cursor(connection, tuple_row) as cursor:
            changed = cursor.execute(_SETTLE_RUNS, {"run_ids": open_ids}).fetchall()
            changed += cursor.execute(_SETTLE_TASKS, {"run_ids": open_ids}).fetchall()
    return sorted({run_id for run_id, hold in changed if hold == 0})
