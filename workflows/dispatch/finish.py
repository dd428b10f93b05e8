"""Finish: the one statement by which an attempt ends or parks (rule 4 of the engine protocol)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from executors.base import JsonValue, RunStop, TaskError, TaskResult
from executors.runtime.attempt import check_result
from maestro.core import sql
from workflows.catalog.cache import CompiledVersion
from workflows.definition.contracts import OUTPUT_REFUSED, find_breach
from workflows.dispatch import retry
from workflows.dispatch.claim import Claim
from workflows.dispatch.retry import Retry
from workflows.runs.statuses import Reason, TaskStatus

# Guard, re-checked under the row lock: the claim token, random for each claim, so neither a lost commit nor a rerun can
# re-use it. A failure under `hold = 2` is the cancellation somebody asked for, and what would park then is cancelled; a
# call that it has just made may go on. The commit is synchronous: what is finished stays finished.
_RUNS = "t.id = %(id)s AND t.status = 'running' AND t.claim_token = %(token)s"
# What waits keeps the token of the attempt that parked it: another wait has another one. A wait that has failed and is
# tried again keeps it too, until the next attempt. What is paused waits on.
_WAITS = """
    t.id = %(id)s AND t.status = 'waiting' AND t.reason <> 'retry_backoff' AND t.claim_token = %(token)s AND t.hold = 0
"""
_FINISH = """
UPDATE task_executions AS t
SET status = CASE WHEN t.hold = 2 AND %(status)s IN ('failed', 'waiting') THEN 'cancelled' ELSE %(status)s END,
    reason = CASE WHEN t.hold = 2 AND %(status)s = 'waiting' THEN
                      CASE %(reason)s WHEN 'celery' THEN 'unconfirmed' ELSE '' END
                  WHEN t.hold = 2 AND %(status)s = 'failed' THEN %(cancelled_how)s
                  ELSE %(reason)s END,
    tries = t.tries + CASE WHEN %(status)s = 'failed' THEN 1 ELSE 0 END,
    output = %(output)s,
    error_code = %(error_code)s,
    error_message = %(error_message)s,
    wake_at = CASE WHEN %(status)s = 'waiting' AND t.hold <> 2
                   THEN coalesce(%(wake_at)s, clock_timestamp() + %(wake_after)s) END,
    waits_for = CASE WHEN %(status)s = 'waiting' THEN %(waits_for)s ELSE t.waits_for END,
    finished_at = CASE WHEN %(status)s = 'waiting' AND t.hold <> 2 THEN NULL ELSE clock_timestamp() END
WHERE {fence}
RETURNING t.status, t.hold, t.finished_at
"""


@dataclass(frozen=True, slots=True)
class _Statements:
    """How an attempt, or a wait, ends."""

    finish: str
    park_for_retry: str


def _statements(fence: str) -> _Statements:
    return _Statements(_FINISH.format(fence=fence), retry.statement(fence))


_OF_ATTEMPT = _statements(_RUNS)
_OF_WAIT = _statements(_WAITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt came to."""

    status: TaskStatus
    """`succeeded`, `failed`, `skipped` or `cancelled`; `waiting` when it parks."""
    reason: str = ""
    """Detail of the status."""
    output: JsonValue = None
    """The task's output."""
    error_code: str = ""
    """Stable code of a failure."""
    error_message: str = ""
    """What a person reads about a failure."""
    wake_after: datetime.timedelta | None = None
    """When somebody looks at a task that parks; None with `wake_at`, or when nobody needs to."""
    wake_at: datetime.datetime | None = None
    """The same as a time of the database's clock."""
    waits_for: Mapping[str, JsonValue] | None = None
    """What whoever ends the wait of a task that parks needs to know."""
    retry: Retry | None = None
    """The attempt that follows a failure."""
    stops: RunStop | None = None
    """How the run is to end by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How the row stands after its finish."""

    status: TaskStatus
    """Its final status, or `waiting`."""
    hold: int
    """Its hold; not 0 means that somebody paused or cancelled meanwhile."""
    finished_at: datetime.datetime | None
    """When, by the database's clock; None while it waits."""


def outcome_of(result: TaskResult, version: CompiledVersion, task_key: str, tries: int) -> Outcome:
    """Translate the result of an attempt or a call that has ended, after so many failures before it."""
    error = result.error or _refusal(result.output, version, task_key)
    if error is None:
        return Outcome(status=TaskStatus.SUCCEEDED, output=result.output, stops=result.stops)
    return Outcome(
        status=TaskStatus.FAILED,
        error_code=error.code,
        error_message=error.message,
        retry=retry.retry_after(version, task_key, tries, error),
    )


def finish(connection: sql.Connection, claim: Claim, outcome: Outcome) -> Finished | None:
    """End or park the attempt that holds the claim; a failure parks that is tried again.

    None when the claim is no longer the row's: nothing is written.
    """
    return _finish(connection, claim.id, claim.claim_token, outcome, _OF_ATTEMPT)


def end_claim(connection: sql.Connection, row_id: int, token: UUID, outcome: Outcome) -> Finished | None:
    """Do the same for an attempt that does not end by itself."""
    return _finish(connection, row_id, token, outcome, _OF_ATTEMPT, ended_token=token)


def end_wait(connection: sql.Connection, row_id: int, token: UUID, outcome: Outcome) -> Finished | None:
    """Do the same for what an attempt has parked; None also when it is paused."""
    return _finish(connection, row_id, token, outcome, _OF_WAIT)


def _refusal(output: JsonValue, version: CompiledVersion, task_key: str) -> TaskError | None:
    """Return the error of an attempt whose output breaks the task's contract."""
    breach = find_breach(version.task(task_key).output, output)
    if breach is None:
        return None
    return check_result(TaskResult(error=TaskError(code=OUTPUT_REFUSED, message=breach))).error


def _finish(
    connection: sql.Connection,
    row_id: int,
    token: UUID,
    outcome: Outcome,
    statements: _Statements,
    *,
    ended_token: UUID | None = None,
) -> Finished | None:
    parameters = {
        "id": row_id,
        "token": token,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "output": None if outcome.output is None else Jsonb(outcome.output),
        "error_code": outcome.error_code,
        "error_message": outcome.error_message,
        "wake_after": outcome.wake_after,
        "wake_at": outcome.wake_at,
        "waits_for": None if outcome.waits_for is None else Jsonb(dict(outcome.waits_for)),
        # An attempt that ends by itself has stopped; of another one nothing is proven yet.
        "cancelled_how": Reason.STOPPED if ended_token is None else Reason.UNCONFIRMED,
    }
    if outcome.retry is not None:
        hold = retry.park(connection, statements.park_for_retry, parameters, outcome.retry, ended_token=ended_token)
        if hold is not None:
            return Finished(status=TaskStatus.WAITING, hold=hold, finished_at=None)
    with sql.cursor(connection, tuple_row) as cursor:
        row = cursor.execute(statements.finish, parameters).fetchone()
    return None if row is None else Finished(status=TaskStatus(row[0]), hold=row[1], finished_at=row[2])
