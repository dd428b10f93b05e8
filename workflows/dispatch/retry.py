"""Retry: a failed attempt that is followed by another parks its task until then (rules 4, 4b and 10 of the engine
protocol).
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from random import SystemRandom
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row, scalar_row

from executors.base import TaskError
from maestro.core import sql
from workflows.catalog import cache
from workflows.catalog.cache import CompiledVersion
from workflows.dispatch import each, publish
from workflows.dispatch.publish import RunRef

logger = logging.getLogger(__name__)

MAX_PER_LOOK = 1000
_random = SystemRandom()

# Guard, re-checked under the row lock: the caller's fence; nobody has cancelled; tries are left, also after a rerun
# gave them back; and the time for all attempts is not over. The error stays on the row while it waits.
_RETRY = """
WITH retried AS (
    UPDATE task_executions t
    SET status = 'waiting',
        reason = 'retry_backoff',
        tries = t.tries + 1,
        output = NULL,
        error_code = %(error_code)s,
        error_message = %(error_message)s,
        wake_at = clock_timestamp() + %(after)s,
        expires_at = NULL
    WHERE {fence} AND t.hold < 2 AND t.tries + 1 < %(max_attempts)s
      AND (%(within)s::interval IS NULL OR clock_timestamp() + %(after)s <= t.first_started_at + %(within)s::interval)
      AND (t.total_limit IS NULL OR clock_timestamp() + %(after)s < t.first_started_at + t.total_limit)
    RETURNING t.id, t.organization_id, t.attempt, t.worker, t.started_at, t.hold
), history AS (
    INSERT INTO task_attempts (
        organization_id, task_execution_id, attempt, status, error_code, error_message, worker, started_at, claim_token
    )
    SELECT organization_id, id, attempt, 'failed', %(error_code)s, %(error_message)s, worker, started_at,
           %(ended_token)s::uuid
    FROM retried
    ON CONFLICT DO NOTHING
)
SELECT hold FROM retried
"""
# Rows that somebody else has locked are being cancelled, paused, or woken by another beat. The clock is read by a query
# of its own, so that the index on `wake_at` finds what is due without a look at all that waits.
_WAKE = """
WITH due AS (
    SELECT id FROM task_executions
    WHERE status = 'waiting' AND reason IN ('retry_backoff', 'poll') AND hold = 0
      AND wake_at <= (SELECT clock_timestamp())
    ORDER BY wake_at LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE task_executions c SET status = 'queued', wake_at = NULL, queued_at = clock_timestamp()
FROM due WHERE c.id = due.id
RETURNING c.run_id, c.organization_id, c.id, c.task_key, c.generation, c.priority, c.queued_at,
          (SELECT workflow_version_id FROM workflow_runs WHERE id = c.run_id)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Another attempt, should the row still allow one when the failure is written."""

    after: datetime.timedelta
    """Time until it begins."""
    max_attempts: int
    """How often the task is tried in all."""
    within: datetime.timedelta | None
    """No attempt begins later than this after the first one began."""


def retry_after(version: CompiledVersion, task_key: str, tries: int, error: TaskError) -> Retry | None:
    """Return the attempt that is to follow a failure, after `tries` failures before it; None when none is."""
    rule = version.retry(task_key)
    if rule is None or not error.is_retryable or not rule.tries_again_on(error.code) or tries + 1 >= rule.max_attempts:
        return None
    seconds = rule.delay_seconds(tries + 1, _random, at_least=error.retry_after)
    return Retry(
        after=datetime.timedelta(seconds=seconds),
        max_attempts=rule.max_attempts,
        within=None if rule.within is None else datetime.timedelta(seconds=rule.within),
    )


def statement(fence: str) -> str:
    """Return the statement that parks a failed task, given the guard that says whose failure may be written."""
    return _RETRY.format(fence=fence)


def park(
    connection: sql.Connection,
    statement: str,
    parameters: Mapping[str, Any],
    retry: Retry,
    *,
    ended_token: UUID | None = None,
) -> int | None:
    """Park the failed task until its next attempt; return its `hold`. None when a guard refuses: then it has failed.

    `ended_token` is the claim of an attempt that somebody else ends: by it a result of its own is known to be late.
    """
    given = {
        **parameters,
        "after": retry.after,
        "max_attempts": retry.max_attempts,
        "within": retry.within,
        "ended_token": ended_token,
    }
    with sql.cursor(connection, scalar_row) as cursor:
        hold: int | None = cursor.execute(statement, given).fetchone()
    return hold


def wake_due(connection: sql.Connection) -> int:
    """Queue every task whose next attempt is due, or that asks again. Returns how many."""
    with sql.cursor(connection, dict_row) as cursor:
        rows = cursor.execute(_WAKE, {"limit": MAX_PER_LOOK}).fetchall()
    rows.sort(key=lambda row: str(row["run_id"]))
    of_run = itemgetter("run_id", "organization_id", "workflow_version_id")
    for (run_id, organization_id, version_id), woken in groupby(rows, key=of_run):
        ready = [publish.ready_of(row) for row in woken]
        with each.run_of(run_id):
            version = cache.get_version(connection, version_id)
            publish.publish(RunRef(run_id=run_id, organization_id=organization_id), version, ready, alone=True)
    return len(rows)
