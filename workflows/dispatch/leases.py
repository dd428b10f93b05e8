"""Takes back what lost workers held (rule 16 of the engine protocol)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from maestro.core import sql
from workflows.dispatch import advance, each, publish
from workflows.dispatch.publish import Ready, RunRef
from workflows.runs.statuses import Reason, TaskStatus

logger = logging.getLogger(__name__)

MAX_PER_SWEEP = 1000
# Attempts of one task that may be lost: a task that takes its worker down every time must not do so for ever.
PLATFORM_BUDGET = 3

# Guard, re-checked under the row lock: still running under the claim that was judged. Lost is a claim whose worker was
# given up, or has looked up what it holds after the claim and does not hold its message any more: its child died, or
# could never write its end. What a worker ran that was told to stop goes back too, but that is nobody's failure.
_LOST_WITH_WORKER = """
    SELECT t.id, t.claim_token, coalesce(w.has_stopped, false) AS has_stopped
    FROM task_executions t LEFT JOIN executor_workers w ON w.id = t.claim_worker_id
    WHERE t.status = 'running' AND t.claim_worker_id IS NOT NULL
      AND (w.id IS NULL OR w.lost_at IS NOT NULL
           OR (w.held_at > t.started_at AND NOT t.claim_message = ANY (w.held)))
    LIMIT %(limit)s
"""
_LOST_WITH_PROCESS = """
    SELECT t.id, t.claim_token, false AS has_stopped
    FROM task_executions t
    WHERE t.run_id = %(run_id)s AND t.status || '' = 'running'
      AND t.claim_worker_id = %(worker_id)s AND t.claim_message = %(message_id)s
"""
_TAKE_BACK = """
WITH lost AS MATERIALIZED ({lost}), judged AS (
    SELECT t.id, lost.claim_token,
           CASE WHEN lost.has_stopped THEN 0 ELSE 1 END AS losses,
           CASE WHEN lost.has_stopped THEN 'worker_stopped' ELSE %(code)s END AS code,
           CASE WHEN lost.has_stopped THEN 'The worker was stopped' ELSE %(cause)s END AS cause,
           CASE WHEN t.hold = 2 THEN 'cancelled'
                WHEN NOT lost.has_stopped AND t.platform_failures + 1 >= %(budget)s THEN 'failed'
                ELSE 'queued' END AS status
    FROM lost JOIN task_executions t ON t.id = lost.id
    ORDER BY t.run_id, t.position
    FOR NO KEY UPDATE OF t
), taken AS (
    UPDATE task_executions c
    SET status = j.status,
        reason = CASE j.status WHEN 'cancelled' THEN '' ELSE j.code END,
        platform_failures = c.platform_failures + j.losses,
        claim_token = NULL,
        claim_worker_id = NULL,
        queued_at = CASE j.status WHEN 'queued' THEN clock_timestamp() ELSE c.queued_at END,
        finished_at = CASE j.status WHEN 'queued' THEN NULL ELSE clock_timestamp() END,
        error_code = CASE j.status WHEN 'failed' THEN j.code ELSE '' END,
        error_message = CASE j.status
            WHEN 'failed' THEN
                j.cause || ' while it ran this task, which was lost ' || c.platform_failures + 1 ||
                ' times now and is not tried again.'
            ELSE '' END
    FROM judged j
    WHERE c.id = j.id AND c.status = 'running' AND c.claim_token = j.claim_token
    RETURNING c.id, c.organization_id, c.run_id, c.task_key, c.status, c.generation, c.queued_at, c.attempt, c.worker,
              c.started_at, c.hold, j.code, j.cause
), history AS (
    INSERT INTO task_attempts (
        organization_id, task_execution_id, attempt, status, error_code, error_message, worker, started_at
    )
    SELECT organization_id, id, attempt, 'lost', code, cause || ' while it ran this attempt.', worker, started_at
    FROM taken
    ON CONFLICT DO NOTHING
)
SELECT id, organization_id, run_id, task_key, status, generation, queued_at, hold FROM taken
"""
_TAKE_BACK_OF_WORKERS = _TAKE_BACK.format(lost=_LOST_WITH_WORKER)
_TAKE_BACK_OF_PROCESS = _TAKE_BACK.format(lost=_LOST_WITH_PROCESS)


def take_back_of_process(
    connection: sql.Connection, *, run_id: UUID, worker_id: UUID, message_id: str, cause: str
) -> int:
    """Take back the attempt that a dead process ran for a message. Returns how many attempts: none or one.

    `cause` completes "Its process …". Nothing is sent: the worker puts the message back, which starts the next attempt
    and keeps its place in the canvas.
    """
    parameters = {
        "run_id": run_id,
        "worker_id": worker_id,
        "message_id": message_id,
        "code": Reason.PROCESS_LOST,
        "cause": f"Its process {cause}",
        "budget": PLATFORM_BUDGET,
    }
    with sql.cursor(connection, dict_row) as cursor:
        rows = cursor.execute(_TAKE_BACK_OF_PROCESS, parameters).fetchall()
    for row in rows:
        logger.warning("Took back task %s of run %s: its process %s", row["task_key"], row["run_id"], cause)
    return len(rows)


def take_back_lost(connection: sql.Connection) -> int:
    """Requeue what lost workers and dead children held. Returns how many attempts."""
    parameters = {
        "limit": MAX_PER_SWEEP,
        "budget": PLATFORM_BUDGET,
        "code": Reason.WORKER_LOST,
        "cause": "The worker was lost",
    }
    with sql.cursor(connection, dict_row) as cursor:
        rows = cursor.execute(_TAKE_BACK_OF_WORKERS, parameters).fetchall()
    for row in rows:
        logger.warning("Took back task %s of run %s, whose worker is gone", row["task_key"], row["run_id"])
        with each.run_of(row["run_id"]):
            go_on(connection, row)
    return len(rows)


def go_on(connection: sql.Connection, row: Mapping[str, Any]) -> None:
    """Do what follows from a row that was taken back: send it, alone, or look at its successors if it has ended."""
    run = RunRef(run_id=row["run_id"], organization_id=row["organization_id"])
    version = advance.version_of_run(connection, run.run_id)
    if row["status"] != TaskStatus.QUEUED:
        advance.advance_from(connection, run, version, [row["task_key"]])
    elif row["hold"] == 0:
        ready = Ready(**{name: row[name] for name in ("id", "task_key", "generation", "queued_at")})
        publish.publish(run, version, [ready], alone=True)
