"""Waits: tasks that wait for something without a worker, and what ends them when their time is over (rule 10b of the
engine protocol).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row, scalar_row
from psycopg.types.json import Jsonb

from executors import services as executor_services
from executors.base import JsonValue, LogLine, TaskResult
from executors.runtime.lines import escape_unprintable, split_lines
from maestro.core import sql
from workflows.catalog import cache
from workflows.catalog.cache import CompiledVersion
from workflows.definition.secrets import Secrets, marks_secret
from workflows.dispatch import advance, each, finish
from workflows.dispatch.finish import Finished
from workflows.dispatch.publish import RunRef
from workflows.parking import approval, signal
from workflows.parking.waiting import GoesOn
from workflows.runs.statuses import Reason, TaskStatus

MAX_PER_LOOK = 200

_Details = Mapping[str, JsonValue]
# What a wait comes to when nothing else has ended it in time, by what is known of it, the task's options as they are
# written, and the time.
_WHEN_DUE: Mapping[str, Callable[[_Details, _Details, datetime.datetime], TaskResult | GoesOn]] = {
    Reason.SLEEP: lambda details, options, now: TaskResult(),
    Reason.SIGNAL: signal.when_due,
    Reason.APPROVAL: approval.when_due,
}

# What the log of a task says when its time has ended the wait; how it ended, the task itself does.
_WHEN_OVER: Mapping[str, str] = {
    Reason.SIGNAL: "No signal came in time.",
    Reason.APPROVAL: "Nobody decided until the deadline.",
}

COLUMNS = """
    t.id, t.run_id, t.organization_id, t.task_key, t.map_index, t.attempt, t.tries, t.claim_token, t.reason,
    t.waits_for AS details, t.wake_at, r.workflow_version_id, clock_timestamp() AS read_at
"""
"""Of a task execution `t` and its run `r`: what a `Waiting` is made of."""
# The clock is read by a query of its own, so that the index on `wake_at` finds what is due without a look at all that
# waits.
_DUE = f"""
SELECT {COLUMNS} FROM task_executions t JOIN workflow_runs r ON r.id = t.run_id
WHERE t.status = 'waiting' AND t.reason = ANY (%(reasons)s) AND t.hold = 0
  AND t.wake_at <= (SELECT clock_timestamp())
ORDER BY t.wake_at LIMIT %(limit)s
"""
_FIND = f"""
SELECT t.status, t.hold, {COLUMNS} FROM task_executions t JOIN workflow_runs r ON r.id = t.run_id
WHERE t.run_id = %(run_id)s AND t.task_key = %(task_key)s AND t.map_index IS NULL
"""
_INPUTS = "SELECT inputs FROM workflow_runs WHERE id = %(run_id)s"
# Guard, re-checked under the row lock: the wait and the time that were judged, and nobody has paused or cancelled it.
_GO_ON = """
UPDATE task_executions
SET waits_for = waits_for || %(details)s, wake_at = wake_at + %(after)s::interval
WHERE id = %(id)s AND status = 'waiting' AND claim_token = %(token)s AND hold = 0 AND wake_at = %(wake_at)s
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
    map_index: int | None
    """Which item of a `for_each` task."""
    attempt: int
    """The attempt that parked it."""
    tries: int
    """User failures before this attempt."""
    claim_token: UUID
    """Token of the attempt that parked it: another wait of the task has another one."""
    reason: str
    """What it waits for."""
    details: dict[str, Any] | None
    """What is known of that."""
    wake_at: datetime.datetime | None
    """When its time is over."""
    workflow_version_id: UUID
    """The version its run stays on."""
    read_at: datetime.datetime
    """When it was read, by the database's clock."""


def end_due(connection: sql.Connection) -> int:
    """End every wait whose time is over. Returns how many, with those that go on."""
    parameters = {"reasons": list(_WHEN_DUE), "limit": MAX_PER_LOOK}
    with sql.cursor(connection, class_row(Waiting)) as cursor:
        rows = cursor.execute(_DUE, parameters).fetchall()
    ended = 0
    for row in rows:
        with each.run_of(row.run_id):
            options = cache.get_version(connection, row.workflow_version_id).task(row.task_key).options
            result = _WHEN_DUE[row.reason](row.details or {}, options, row.read_at)
            if isinstance(result, GoesOn):
                ended += _go_on(connection, row, result)
            else:
                ended += end(connection, row, result, _WHEN_OVER.get(row.reason, ""))
    return ended


def find(connection: sql.Connection, run_id: UUID, task_key: str) -> tuple[TaskStatus, int, Waiting] | None:
    """Return the status of a task, its hold, and its latest wait; None where the run has no such task."""
    with sql.cursor(connection, dict_row) as cursor:
        row = cursor.execute(_FIND, {"run_id": run_id, "task_key": task_key}).fetchone()
    return None if row is None else (TaskStatus(row.pop("status")), row.pop("hold"), Waiting(**row))


def end(connection: sql.Connection, waiting: Waiting, result: TaskResult, note: str = "") -> bool:
    """End a wait with what it came to, and look at what follows; tell whether it was this that did.

    `note` is a line for the log of the task.

    It looks also when nothing changed: a first try may have been written and not answered.
    """
    version = cache.get_version(connection, waiting.workflow_version_id)
    with connection.transaction():
        finished = write_end(connection, waiting, version, result, note)
    if finished is None or finished.finished_at is not None:
        follow(connection, waiting, version)
    return finished is not None


def write_end(
    connection: sql.Connection, waiting: Waiting, version: CompiledVersion, result: TaskResult, note: str = ""
) -> Finished | None:
    """Write the end of a wait, and `note` into its log, in the caller's transaction: who commits it has to `follow`.

    None when it has ended, or was paused or cancelled, since it was read.
    """
    outcome = finish.outcome_of(result, version, waiting.task_key, waiting.tries)
    finished = finish.end_wait(connection, waiting.id, waiting.claim_token, outcome)
    if finished is not None and note:
        _write_line(connection, waiting, version, note)
    return finished


def follow(connection: sql.Connection, waiting: Waiting, version: CompiledVersion) -> None:
    """Look at what follows the end of a wait, after the commit that ended it."""
    run = RunRef(run_id=waiting.run_id, organization_id=waiting.organization_id)
    advance.advance_from(connection, run, version, [waiting.task_key])


def _go_on(connection: sql.Connection, waiting: Waiting, change: GoesOn) -> bool:
    version = cache.get_version(connection, waiting.workflow_version_id)
    parameters = {
        "id": waiting.id,
        "token": waiting.claim_token,
        "wake_at": waiting.wake_at,
        "details": Jsonb(dict(change.details)),
        "after": None if change.seconds is None else datetime.timedelta(seconds=change.seconds),
    }
    with connection.transaction():
        goes_on = connection.execute(_GO_ON, parameters).rowcount == 1
        if goes_on:
            _write_line(connection, waiting, version, change.note)
    return goes_on


def _write_line(connection: sql.Connection, waiting: Waiting, version: CompiledVersion, message: str) -> None:
    """Write a message into the log of the attempt that waits, without the secrets of its run."""
    schemas = version.definition.inputs
    inputs: dict[str, JsonValue] = {}
    if any(map(marks_secret, schemas.values())):
        with sql.cursor(connection, scalar_row) as cursor:
            inputs = cursor.execute(_INPUTS, {"run_id": waiting.run_id}).fetchone() or {}
    shown = Secrets.of(schemas, inputs).hide_in_text(message)
    executor_services.store_log_lines(
        connection,
        organization_id=waiting.organization_id,
        run_id=waiting.run_id,
        task_key=waiting.task_key,
        map_index=waiting.map_index,
        attempt=waiting.attempt,
        lines=[
            # Each later than the one before: by its time a line is known in its attempt.
            LogLine(
                stream="log",
                level="info",
                message=line,
                created_at=waiting.read_at + datetime.timedelta(microseconds=number),
            )
            for number, line in enumerate(split_lines(escape_unprintable(shown)))
        ],
    )
