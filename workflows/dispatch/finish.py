"""Finish: the one statement by which an attempt ends (rule 4 of the engine protocol)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from executors.base import JsonValue
from maestro.core import sql
from workflows.dispatch.claim import Claim
from workflows.runs.statuses import TaskStatus

# Guard, re-checked under the row lock: the claim token, random for each claim, so neither a lost commit nor a rerun can
# re-use it. A failure under `hold = 2` is the cancellation somebody asked for. The commit is synchronous: what is
# finished stays finished.
_FINISH = """
UPDATE task_executions AS t
SET status = CASE WHEN t.hold = 2 AND %(status)s = 'failed' THEN 'cancelled' ELSE %(status)s END,
    reason = %(reason)s,
    tries = t.tries + CASE WHEN %(status)s = 'failed' THEN 1 ELSE 0 END,
    output = %(output)s,
    error_code = %(error_code)s,
    error_message = %(error_message)s,
    finished_at = clock_timestamp()
WHERE t.id = %(id)s AND t.status = 'running' AND t.claim_token = %(token)s
RETURNING t.status, t.hold, t.finished_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt came to."""

    status: TaskStatus
    """`succeeded`, `failed`, `skipped` or `cancelled`."""
    reason: str = ""
    """Detail of the status."""
    output: JsonValue = None
    """The task's output."""
    error_code: str = ""
    """Stable code of a failure."""
    error_message: str = ""
    """What a person reads about a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How the row stands after its finish."""

    status: TaskStatus
    """Its final status."""
    hold: int
    """Its hold; not 0 means that somebody paused or cancelled meanwhile."""
    finished_at: datetime.datetime
    """When, by the database's clock."""


def finish(connection: sql.Connection, claim: Claim, outcome: Outcome) -> Finished | None:
    """End the attempt that holds the claim. None when the claim is no longer the row's: the write is dropped."""
    parameters = {
        "id": claim.id,
        "token": claim.claim_token,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "output": None if outcome.output is None else Jsonb(outcome.output),
        "error_code": outcome.error_code,
        "error_message": outcome.error_message,
    }
    with sql.cursor(connection, tuple_row) as cursor:
        row = cursor.execute(_FINISH, parameters).fetchone()
    return None if row is None else Finished(status=TaskStatus(row[0]), hold=row[1], finished_at=row[2])
