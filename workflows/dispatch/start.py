"""Start: a run and all its tasks (rules 1 and 1b of the engine protocol). A run that begins later is a row alone until
its time has come.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from maestro.core import sql
from workflows.catalog import cache
from workflows.catalog.cache import CompiledVersion
from workflows.definition.priority import Priority
from workflows.dispatch import each, holds, publish
from workflows.dispatch.publish import Ready, RunRef
from workflows.runs.rows import INSERT_TASKS
from workflows.runs.start_times import StartTimes
from workflows.runs.statuses import Reason

logger = logging.getLogger(__name__)

MAX_PER_LOOK = 200

_READY = "SELECT id, task_key, generation, priority, queued_at FROM rows WHERE queued_at IS NOT NULL"
# The run and the rows of all its own tasks in one statement; hooks get theirs when these have ended.
_INSERT_RUN = f"""
WITH run AS (
    INSERT INTO workflow_runs (
        id, organization_id, environment_id, workflow_id, workflow_version_id, user_id, trigger_type, priority, status,
        reason, hold, inputs, error_message, created_at, started_at, deadline_at, expires_at,
        parent_task_id, parent_generation, parent_attempt, is_awaited, depth
    )
    VALUES (
        %(run_id)s, %(organization_id)s, %(environment_id)s, %(workflow_id)s, %(version_id)s, %(user_id)s,
        %(trigger_type)s, %(priority)s, 'running', %(reason)s, %(hold)s, %(inputs)s, '', clock_timestamp(),
        clock_timestamp(), %(deadline_at)s, least(clock_timestamp() + %(timeout)s, %(deadline_at)s),
        %(parent_task_id)s, %(parent_generation)s, %(parent_attempt)s, %(is_awaited)s, %(depth)s
    )
    RETURNING id, organization_id, workflow_version_id, section, hold, priority
), rows AS ({INSERT_TASKS})
{_READY}
"""
_INSERT_DELAYED = """
INSERT INTO workflow_runs (
    id, organization_id, environment_id, workflow_id, workflow_version_id, user_id, trigger_type, priority, status,
    reason, hold, inputs, error_message, created_at, start_at, deadline_at
)
VALUES (
    %(run_id)s, %(organization_id)s, %(environment_id)s, %(workflow_id)s, %(version_id)s, %(user_id)s,
    %(trigger_type)s, %(priority)s, 'pending', 'delayed', 0, %(inputs)s, '', clock_timestamp(), %(start_at)s,
    %(deadline_at)s
)
"""
_INSERT_REFUSED = """
INSERT INTO workflow_runs (
    id, organization_id, environment_id, workflow_id, workflow_version_id, user_id, trigger_type, priority, status,
    reason, hold, inputs, error_message, created_at, finished_at, outcome
)
VALUES (
    %(run_id)s, %(organization_id)s, %(environment_id)s, %(workflow_id)s, %(version_id)s, %(user_id)s,
    %(trigger_type)s, %(priority)s, 'failed', %(reason)s, 0, %(inputs)s, %(message)s, clock_timestamp(),
    clock_timestamp(), 'failed'
)
"""
# The clock is read by a query of its own, so that the index finds what is due.
_FIND_DUE = """
SELECT id, organization_id, workflow_version_id FROM workflow_runs
WHERE status = 'pending' AND reason = 'delayed' AND hold = 0 AND start_at <= (SELECT clock_timestamp())
ORDER BY start_at LIMIT %(limit)s
"""
# Guard, re-checked under the row lock: nobody has started or cancelled it meanwhile. The rows come with it, so they are
# inserted once.
_BEGIN_IF = """
WITH run AS (
    UPDATE workflow_runs
    SET status = 'running', reason = '', started_at = clock_timestamp(),
        expires_at = least(clock_timestamp() + %(timeout)s, deadline_at)
    WHERE id = %(run_id)s AND status = 'pending' AND reason = 'delayed' AND {guard}
    RETURNING id, organization_id, workflow_version_id, section, hold, priority
), rows AS ({tasks})
{ready}
"""
_BEGIN = _BEGIN_IF.format(
    guard="hold = 0 AND (deadline_at IS NULL OR deadline_at > clock_timestamp())", tasks=INSERT_TASKS, ready=_READY
)
# A pause keeps nobody from being ended.
_BEGIN_OVERDUE = _BEGIN_IF.format(guard="deadline_at <= clock_timestamp()", tasks=INSERT_TASKS, ready=_READY)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that is to be."""

    run: RunRef
    """Its id and tenant."""
    environment_id: UUID
    """The environment it belongs to."""
    workflow_id: UUID
    """The workflow."""
    version_id: UUID
    """The version it runs."""
    user_id: UUID | None
    """Who starts it."""
    trigger_type: str
    """What starts it."""
    priority: Priority
    """Whether its tasks are taken before or after those of others."""
    inputs: Mapping[str, Any]
    """Its inputs, judged and complete."""
    times: StartTimes
    """When it begins, and by when it must be over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentTask:
    """The task that starts a run."""

    id: int
    """Its row."""
    generation: int
    """Its generation."""
    attempt: int
    """Its attempt: each starts a run of its own."""
    is_awaited: bool
    """Whether it waits for the end of the run."""
    depth: int
    """How many runs are above the new one."""


def insert_run(
    connection: sql.Connection,
    new: NewRun,
    version: CompiledVersion,
    *,
    parent: ParentTask | None = None,
    hold: int = 0,
    reason: str = "",
) -> list[Ready]:
    """Insert a run, with its tasks unless it begins later; return those that are ready, to be sent after the commit.

    `hold` and `reason` are those of a run that begins paused, with all its tasks.
    """
    parameters = _columns(new) | {
        "timeout": _timeout_of(version),
        "hold": hold,
        "reason": reason,
        "parent_task_id": parent and parent.id,
        "parent_generation": parent and parent.generation,
        "parent_attempt": parent and parent.attempt,
        "is_awaited": parent is not None and parent.is_awaited,
        "depth": 0 if parent is None else parent.depth,
    }
    if new.times.start_at is not None:
        connection.execute(_INSERT_DELAYED, parameters)
        return []
    with sql.cursor(connection, class_row(Ready)) as cursor:
        return cursor.execute(_INSERT_RUN, parameters).fetchall()


def send_first(connection: sql.Connection, run: RunRef, version: CompiledVersion, ready: Sequence[Ready]) -> None:
    """Send the first tasks of a run after the commit that made them ready, unless a pause covers it."""
    if not holds.is_started_paused(connection, run):
        publish.publish_start(run, version, ready)


def insert_refused(connection: sql.Connection, new: NewRun, reason: Reason, message: str) -> None:
    """Insert a run that has failed before it began: whoever asked for it was not there to be refused."""
    connection.execute(_INSERT_REFUSED, _columns(new) | {"reason": reason, "message": message})


def begin_overdue(connection: sql.Connection, run_id: UUID) -> bool:
    """Begin a delayed run whose deadline has come first, in the transaction of the caller, who ends it: so its rows say
    what it would have done, and its hooks follow. Tells whether it was one.
    """
    parameters = {"run_id": run_id, "timeout": None}
    return bool(connection.execute(_BEGIN_OVERDUE, parameters).rowcount)


def start_due(connection: sql.Connection) -> int:
    """Start the delayed runs whose time has come. Returns how many."""
    with sql.cursor(connection, dict_row) as cursor:
        rows = cursor.execute(_FIND_DUE, {"limit": MAX_PER_LOOK}).fetchall()
    started = 0
    for row in rows:
        with each.run_of(row["id"]):
            version = cache.get_version(connection, row["workflow_version_id"])
            parameters = {
                "run_id": row["id"],
                "version_id": row["workflow_version_id"],
                "timeout": _timeout_of(version),
            }
            with sql.cursor(connection, class_row(Ready)) as cursor:
                ready = cursor.execute(_BEGIN, parameters).fetchall()
            if ready:
                started += 1
                send_first(connection, RunRef(run_id=row["id"], organization_id=row["organization_id"]), version, ready)
    return started


def _columns(new: NewRun) -> dict[str, Any]:
    return {
        "run_id": new.run.run_id,
        "organization_id": new.run.organization_id,
        "environment_id": new.environment_id,
        "workflow_id": new.workflow_id,
        "version_id": new.version_id,
        "user_id": new.user_id,
        "trigger_type": new.trigger_type,
        "priority": new.priority,
        "inputs": Jsonb(new.inputs),
        "start_at": new.times.start_at,
        "deadline_at": new.times.deadline_at,
    }


def _timeout_of(version: CompiledVersion) -> datetime.timedelta | None:
    seconds = version.definition.timeout
    return None if seconds is None else datetime.timedelta(seconds=seconds)
