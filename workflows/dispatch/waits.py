"""Waits: tasks that wait for something without a worker, and what ends them when their time is over (rule 10b of the
engine protocol).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from executors.base import JsonValue, TaskResult
from maestro.core import sql
from workflows.catalog import cache
from workflows.dispatch import advance, each, finish
from workflows.dispatch.publish import RunRef
from workflows.runs.statuses import Reason

MAX_PER_LOOK = 200

# What a wait comes to when nothing else has ended it in time.
_WHEN_DUE: Mapping[str, Callable[[Mapping[str, JsonValue]], TaskResult]] = {
    Reason.SLEEP: lambda details: TaskResult(),
}

_COLUMNS = """
    t.id, t.run_id, t.organization_id, t.task_key, t.tries, t.claim_token, t.reason, t.waits_for AS details,
    r.workflow_version_id
"""
# The clock is read by a query of its own, so that the index on `wake_at` finds what is due without a look at all that
# waits.
_DUE = f"""
SELECT {_COLUMNS} FROM task_executions t JOIN workflow_runs r ON r.id = t.run_id
WHERE t.status = 'waiting' AND t.reason = ANY (%(reasons)s) AND t.hold = 0
  AND t.wake_at <= (SELECT clock_timestamp())
ORDER BY t.wake_at LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A task execution that waits, as it was when it was read."""

    id: int
    """The row."""
    run_id: UUID
    """Its run."""
    organization_id: UUID
    """Its tenant."""
    task_key: str
    """The task's name inside its definition."""
    tries: int
    """User failures before this attempt."""
    claim_token: UUID
    """Token of the attempt that parked it: another wait of the task has another one."""
    reason: str
    """What it waits for."""
    details: dict[str, Any] | None
    """What is known of that."""
    workflow_version_id: UUID
    """The version its run stays on."""


def end_due(connection: sql.Connection) -> int:
    """End every wait whose time is over. Returns how many."""
    parameters = {"reasons": list(_WHEN_DUE), "limit": MAX_PER_LOOK}
    with sql.cursor(connection, class_row(Waiting)) as cursor:
        rows = cursor.execute(_DUE, parameters).fetchall()
    ended = 0
    for row in rows:
        with each.run_of(row.run_id):
            ended += end(connection, row, _WHEN_DUE[row.reason](row.details or {}))
    return ended


def end(connection: sql.Connection, waiting: Waiting, result: TaskResult) -> bool:
    """End a wait with what it came to, and look at what follows; tell whether it was this that did.

    It looks also when nothing changed: a first try may have been written and not answered.
    """
    version = cache.get_version(connection, waiting.workflow_version_id)
    outcome = finish.outcome_of(result, version, waiting.task_key, waiting.tries)
    finished = finish.end_wait(connection, waiting.id, waiting.claim_token, outcome)
    if finished is None or finished.finished_at is not None:
        run = RunRef(run_id=waiting.run_id, organization_id=waiting.organization_id)
        advance.advance_from(connection, run, version, [waiting.task_key])
    return finished is not None
