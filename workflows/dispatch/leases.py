"""Takes back attempts that were lost: with their worker, its process, or their call (rules 9 and 16 of the engine
protocol).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from psycopg.rows import dict_row

from executors.pools.lease import RELIST
from maestro.core import sql
from workflows.dispatch import advance, each, publish
from workflows.dispatch.publish import RunRef
from workflows.runs.counters import Counter, adding
from workflows.runs.statuses import Reason, TaskStatus

logger = logging.getLogger(__name__)

# A sweep is done between two looks at the leases of workers, so it is short.
MAX_PER_SWEEP = 200

# Guard, re-checked under the row lock: still running under the claim that was judged. Lost is a claim whose worker was
# given up, or has looked up what it holds after the claim and does not hold its message any more: its child died, or
# could never write its end. What a worker ran that was told to stop goes back too, but that is nobody's failure. A
# worker that was given up but lives, because it or its network stood still, may claim before it learns of it: that
# claim is its own while a new incarnation lists the message. An attempt that asks again began long before its claim.
_LOST_WITH_WORKER = """
    SELECT t.id, t.claim_token, coalesce(w.has_stopped, false) AS has_stopped
    FROM task_executions t LEFT JOIN executor_workers w ON w.id = t.claim_worker_id
         CROSS JOIN LATERAL (SELECT greatest(t.started_at, t.resumed_at) AS claimed_at) c
    WHERE t.status = 'running' AND t.claim_worker_id IS NOT NULL
      AND (w.id IS NULL OR c.claimed_at <= w.lost_at
           OR (w.lost_at IS NOT NULL AND c.claimed_at < clock_timestamp() - %(relist)s AND NOT EXISTS (
               SELECT FROM executor_workers o WHERE o.lost_at IS NULL AND t.claim_message = ANY (o.held)
           ))
           OR (w.held_at > c.claimed_at AND NOT t.claim_message = ANY (w.held)))
    LIMIT %(limit)s
"""
_LOST_WITH_PROCESS = """
    SELECT t.id, t.claim_token, false AS has_stopped
    FROM task_executions t
    WHERE t.run_id = %(run_id)s AND t.status || '' = 'running'
      AND t.claim_worker_id = %(worker_id)s AND t.claim_message = %(message_id)s
"""
_RUN_BY_STOPPED = """
    SELECT t.id, t.claim_token, true AS has_stopped
    FROM task_executions t
    WHERE t.status = 'running' AND t.claim_worker_id = %(worker_id)s
"""
# Guard of a call, re-checked under the row lock: still waiting for the call that was judged, and not by now, under the
# same attempt, for the next one; a paused run's is left until it goes on.
_LOST_CALL = "SELECT t.id, t.claim_token, false AS has_stopped FROM task_executions t WHERE t.id = %(id)s"
_IS_RUNNING = "c.status = 'running'"
_IS_WAITING = """
    c.status = 'waiting' AND c.reason = 'celery' AND c.hold = 0 AND c.generation = %(generation)s
    AND c.attempt = %(attempt)s
"""
# `on_worker_lost` stands in the definition, which never changes. It is unpacked once for a version, not for each task.
_TAKE_BACK = """
WITH lost AS MATERIALIZED ({lost}), never_again AS MATERIALIZED (
    SELECT v.id AS version_id, task.key
    FROM workflow_versions v
    CROSS JOIN unnest(ARRAY['tasks', 'on_failure', 'on_success', 'finally']) section
    CROSS JOIN LATERAL jsonb_each(v.definition -> section) task
    WHERE v.id IN (
        SELECT r.workflow_version_id
        FROM lost JOIN task_executions t ON t.id = lost.id JOIN workflow_runs r ON r.id = t.run_id
    ) AND coalesce(task.value ->> 'on_worker_lost', v.definition #>> '{{defaults,on_worker_lost}}') = 'fail'
), judged AS (
    SELECT t.id, lost.claim_token,
           CASE WHEN lost.has_stopped THEN 0 ELSE 1 END AS losses,
           CASE WHEN lost.has_stopped THEN 'killed' ELSE %(ended_how)s END AS ended_how,
           CASE WHEN lost.has_stopped THEN 'worker_stopped' ELSE %(code)s END AS code,
           CASE WHEN lost.has_stopped THEN 'The worker was stopped while it ran' ELSE %(cause)s END AS cause,
           CASE WHEN t.hold = 2 THEN 'cancelled'
                WHEN lost.has_stopped THEN 'queued'
                WHEN (r.workflow_version_id, t.task_key) IN (TABLE never_again) THEN 'failed'
                WHEN t.platform_failures + 1 >= %(most)s THEN 'quarantined'
                ELSE 'queued' END AS verdict
    FROM lost
    JOIN task_executions t ON t.id = lost.id
    JOIN workflow_runs r ON r.id = t.run_id
    ORDER BY t.run_id, t.position
    FOR NO KEY UPDATE OF t
), taken AS (
    UPDATE task_executions c
    SET status = CASE j.verdict WHEN 'quarantined' THEN 'failed' ELSE j.verdict END,
        reason = CASE j.verdict WHEN 'cancelled' THEN j.ended_how WHEN 'quarantined' THEN j.verdict ELSE j.code END,
        platform_failures = c.platform_failures + j.losses,
        claim_token = NULL,
        claim_worker_id = NULL,
        wake_at = NULL,
        queued_at = CASE j.verdict WHEN 'queued' THEN clock_timestamp() ELSE c.queued_at END,
        finished_at = CASE j.verdict WHEN 'queued' THEN NULL ELSE clock_timestamp() END,
        error_code = CASE WHEN j.verdict IN ('failed', 'quarantined') THEN j.code ELSE '' END,
        error_message = CASE j.verdict
            WHEN 'failed' THEN
                j.cause || ' this task, which is not run again: its on_worker_lost is "fail".'
            WHEN 'quarantined' THEN
                j.cause || ' this task, which has lost ' || c.platform_failures + 1 ||
                CASE c.platform_failures WHEN 0 THEN ' attempt' ELSE ' attempts' END ||
                ' now and is quarantined: it is not tried again. Find out what ends it, its use of memory for example,'
                ' before you run it again; the count starts anew then.'
            ELSE '' END
    FROM judged j
    WHERE c.id = j.id AND c.claim_token = j.claim_token AND {guard}
    RETURNING c.id, c.organization_id, c.run_id, c.task_key, c.status, c.generation, c.priority, c.queued_at, c.attempt,
              c.worker, c.started_at, c.hold, c.claim_message, j.code, j.cause, j.losses, j.claim_token AS taken_token
), history AS (
    INSERT INTO task_attempts (
        organization_id, task_execution_id, attempt, status, error_code, error_message, worker, started_at, claim_token
    )
    SELECT organization_id, id, attempt, 'lost', code, cause || ' this attempt.', worker, started_at, {fence}
    FROM taken
    ON CONFLICT DO NOTHING
    RETURNING id
), counted AS (
    {count}
)
SELECT id, organization_id, run_id, task_key, status, generation, priority, queued_at, hold, claim_message
FROM taken
"""
# The history is written first: whoever notes a late result locks it, then the counters, too.
_COUNT = adding(
    Counter.LOST_ATTEMPTS, amount="sum(losses)", source="taken CROSS JOIN (SELECT count(*) FROM history) written"
)


def _statement(*, lost: str, guard: str, fence: str = "taken_token") -> str:
    return _TAKE_BACK.format(lost=lost, guard=guard, fence=fence, count=_COUNT)


_TAKE_BACK_OF_WORKERS = _statement(lost=_LOST_WITH_WORKER, guard=_IS_RUNNING)
_TAKE_BACK_OF_PROCESS = _statement(lost=_LOST_WITH_PROCESS, guard=_IS_RUNNING)
# An attempt that called has parked, so no result of its own can be late.
_TAKE_BACK_CALL = _statement(lost=_LOST_CALL, guard=_IS_WAITING, fence="NULL")
_GIVE_BACK = _statement(lost=_RUN_BY_STOPPED, guard=_IS_RUNNING)


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
        "cause": f"Its process {cause} while it ran",
        "ended_how": Reason.KILLED,
    }
    rows = _take_back(connection, _TAKE_BACK_OF_PROCESS, parameters)
    for row in rows:
        logger.warning("Took back task %s of run %s: its process %s", row["task_key"], row["run_id"], cause)
    return len(rows)


def give_back(connection: sql.Connection, *, worker_id: UUID, restored: Collection[str]) -> int:
    """Requeue what a worker ran whose processes were stopped. Returns how many attempts.

    `restored` are the messages that the broker gets back when the worker's connection ends: each of them starts the
    next attempt and keeps its place in the canvas. A row without one is sent, alone.
    """
    rows = _take_back(
        connection,
        _GIVE_BACK,
        {"worker_id": worker_id, "code": Reason.WORKER_LOST, "cause": "", "ended_how": Reason.KILLED},
    )
    for row in rows:
        logger.warning("Gave back task %s of run %s: this worker stops", row["task_key"], row["run_id"])
        if row["status"] != TaskStatus.QUEUED or row["claim_message"] not in restored:
            with each.run_of(row["run_id"]):
                _go_on(connection, row)
    return len(rows)


def take_back_lost(connection: sql.Connection) -> int:
    """Requeue what lost workers and dead children held. Returns how many attempts."""
    parameters = {
        "limit": MAX_PER_SWEEP,
        "relist": RELIST,
        "code": Reason.WORKER_LOST,
        "cause": "The worker was lost while it ran",
        "ended_how": Reason.UNCONFIRMED,
    }
    rows = _take_back(connection, _TAKE_BACK_OF_WORKERS, parameters)
    for row in rows:
        logger.warning("Took back task %s of run %s, whose worker is gone", row["task_key"], row["run_id"])
        with each.run_of(row["run_id"]):
            _go_on(connection, row)
    return len(rows)


def take_back_call(connection: sql.Connection, *, task_id: int, generation: int, attempt: int) -> bool:
    """Take back a task whose call the broker or a worker has lost (rule 9); tell whether it still waited for it."""
    parameters = {
        "id": task_id,
        "generation": generation,
        "attempt": attempt,
        "code": Reason.CALL_LOST,
        "cause": "The broker or a worker lost the call of",
        "ended_how": Reason.UNCONFIRMED,
    }
    rows = _take_back(connection, _TAKE_BACK_CALL, parameters)
    for row in rows:
        logger.warning("Lost the call of task %s of run %s", row["task_key"], row["run_id"])
        _go_on(connection, row)
    return bool(rows)


def _take_back(connection: sql.Connection, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    most = {"most": settings.MAESTRO_MAX_LOST_ATTEMPTS}
    with sql.cursor(connection, dict_row) as cursor:
        return cursor.execute(statement, {**parameters, **most}).fetchall()


def _go_on(connection: sql.Connection, row: Mapping[str, Any]) -> None:
    """Do what follows from a row that was taken back: send it, alone, or look at its successors if it has ended."""
    run = RunRef(run_id=row["run_id"], organization_id=row["organization_id"])
    version = advance.version_of_run(connection, run.run_id)
    if row["status"] != TaskStatus.QUEUED:
        advance.advance_from(connection, run, version, [row["task_key"]])
    elif row["hold"] == 0:
        publish.publish(run, version, [publish.ready_of(row)], alone=True)
