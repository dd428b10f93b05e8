"""Holds: which runs and tasks the pauses there are cover, and setting `hold` by that (rules 9b and 9c of the engine
protocol).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import scalar_row, tuple_row

from maestro.core import sql
from workflows.dispatch.publish import RunRef

# Of a run `r`. A child is paused with its parent while that waits for it.
IS_COVERED = """
EXISTS (
    WITH RECURSIVE line (run_id, workflow_id, parent_task_id, is_awaited) AS (
        SELECT r.id, r.workflow_id, r.parent_task_id, r.is_awaited
        UNION ALL
        SELECT above.id, above.workflow_id, above.parent_task_id, above.is_awaited
        FROM line JOIN task_executions t ON t.id = line.parent_task_id JOIN workflow_runs above ON above.id = t.run_id
        WHERE line.is_awaited AND t.status = 'waiting' AND t.reason = 'child_run' AND t.child_run_id = line.run_id
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
# A child may have been started with the hold of a run that has been resumed meanwhile.
_MAY_BE_PAUSED = """
SELECT r.hold <> 0 OR EXISTS (
    SELECT FROM pauses p WHERE p.resumed_at IS NULL AND p.organization_id = r.organization_id
)
FROM workflow_runs r WHERE r.id = %(run_id)s
"""
_LOCK_RUNS = """
SELECT id FROM workflow_runs WHERE id = ANY (%(run_ids)s) AND status IN ('pending', 'running') AND hold < 2
ORDER BY id FOR NO KEY UPDATE
"""
# The rows are locked, so what is read of pauses here is at least as new as any operation that came before.
_SETTLE_RUNS = f"""
UPDATE workflow_runs AS c
SET hold = j.hold,
    reason = CASE WHEN j.hold = 1 AND c.reason IN ('', 'hooks') THEN 'paused'
                  WHEN j.hold = 0 AND c.reason = 'paused' AND c.section <> 'tasks' THEN 'hooks'
                  WHEN j.hold = 0 AND c.reason = 'paused' THEN ''
                  ELSE c.reason END
FROM (SELECT r.id, {IS_COVERED}::int AS hold FROM workflow_runs r WHERE r.id = ANY (%(run_ids)s)) j
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


def is_started_paused(connection: sql.Connection, run: RunRef) -> bool:
    """Hold a run that was just started, if a pause covers all of it; tell whether one does.

    Its start may not have seen the pause, and whoever paused may not have seen the run.
    """
    with sql.cursor(connection, scalar_row) as cursor:
        if not cursor.execute(_MAY_BE_PAUSED, {"run_id": run.run_id}).fetchone():
            return False
    sql.repeat_if_victim(lambda: settle(connection, [run.run_id]))
    with sql.cursor(connection, scalar_row) as cursor:
        hold = cursor.execute("SELECT hold FROM workflow_runs WHERE id = %s", (run.run_id,)).fetchone()
    return hold != 0


def settle(connection: sql.Connection, run_ids: Sequence[UUID]) -> list[UUID]:
    """Set what is held, in one transaction; return the runs of which something goes on."""
    with connection.transaction():
        with sql.cursor(connection, scalar_row) as cursor:
            open_ids = cursor.execute(_LOCK_RUNS, {"run_ids": list(run_ids)}).fetchall()
        with sql.cursor(connection, tuple_row) as cursor:
            changed = cursor.execute(_SETTLE_RUNS, {"run_ids": open_ids}).fetchall()
            changed += cursor.execute(_SETTLE_TASKS, {"run_ids": open_ids}).fetchall()
    return sorted({run_id for run_id, hold in changed if hold == 0})
