"""Takes back what lost workers held (rule 16 of the engine protocol)."""

from __future__ import annotations

import logging

from psycopg.rows import dict_row

from executors.pools import lease
from maestro.core import sql
from workflows.dispatch import advance, publish
from workflows.dispatch.publish import Ready, RunRef
from workflows.runs.statuses import TaskStatus

logger = logging.getLogger(__name__)

MAX_PER_SWEEP = 1000

# Guard, re-checked under the row lock: still running under the claim that was judged. Lost is a claim whose worker was
# given up, or has looked up what it holds after the claim and does not hold it any more: its child died, or could never
# write its end.
_TAKE_BACK = """
WITH lost AS MATERIALIZED (
    SELECT t.id, t.claim_token
    FROM task_executions t LEFT JOIN executor_workers w ON w.id = t.claim_worker_id
    WHERE t.status = 'running' AND t.claim_worker_id IS NOT NULL
      AND (w.id IS NULL OR w.lost_at IS NOT NULL
           OR (w.held_at > t.started_at
               AND NOT (t.run_id || '.' || t.position || '.' || t.generation) = ANY (w.held)))
    LIMIT %(limit)s
), taken AS (
    UPDATE task_executions c
    SET status = CASE WHEN c.hold = 2 THEN 'cancelled' ELSE 'queued' END,
        reason = CASE WHEN c.hold = 2 THEN '' ELSE 'worker_lost' END,
        platform_failures = c.platform_failures + 1,
        claim_token = NULL,
        claim_worker_id = NULL,
        queued_at = CASE WHEN c.hold = 2 THEN c.queued_at ELSE clock_timestamp() END,
        finished_at = CASE WHEN c.hold = 2 THEN clock_timestamp() END
    FROM lost
    WHERE c.id = lost.id AND c.status = 'running' AND c.claim_token = lost.claim_token
    RETURNING c.id, c.organization_id, c.run_id, c.task_key, c.status, c.generation, c.queued_at, c.attempt, c.worker,
              c.started_at, c.hold
), history AS (
    INSERT INTO task_attempts (
        organization_id, task_execution_id, attempt, status, error_code, error_message, worker, started_at
    )
    SELECT organization_id, id, attempt, 'lost', 'worker_lost', 'The worker was lost while it ran this attempt.',
           worker, started_at
    FROM taken
    ON CONFLICT DO NOTHING
)
SELECT id, organization_id, run_id, task_key, status, generation, queued_at, hold FROM taken
"""


def take_back_lost(connection: sql.Connection) -> int:
    """Give up silent workers and requeue what they and dead children held. Returns how many attempts."""
    for name in lease.give_up_silent_workers(connection):
        logger.warning("Worker %s has been silent for %s and is given up", name, lease.LEASE)
    with sql.cursor(connection, dict_row) as cursor:
        rows = cursor.execute(_TAKE_BACK, {"limit": MAX_PER_SWEEP}).fetchall()
    for row in rows:
        run = RunRef(run_id=row["run_id"], organization_id=row["organization_id"])
        version = advance.version_of_run(connection, run.run_id)
        if row["status"] == TaskStatus.CANCELLED:
            advance.advance_from(connection, run, version, [row["task_key"]])
        elif row["hold"] == 0:
            ready = Ready(
                id=row["id"], task_key=row["task_key"], generation=row["generation"], queued_at=row["queued_at"]
            )
            publish.publish(run, version, [ready], None, alone=True)
        logger.warning("Took back task %s of run %s: its worker was lost", row["task_key"], run.run_id)
    return len(rows)
