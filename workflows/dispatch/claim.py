"""Claim: the one statement by which a worker takes a task (rules 2, 2b and 2c of the engine protocol)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import dict_row

from executors.pools.incarnation import get_incarnation
from maestro.core import sql
from maestro.core.clock import DatabaseClock
from workflows.dispatch.messages import Holder, TaskRef
from workflows.runs import joins
from workflows.runs.statuses import TaskStatus

# Guard, re-checked under the row lock: status, hold and generation, all columns of this row. The join is judged on the
# statement's snapshot: within a generation a decision never changes, so an old snapshot can only be too careful. The
# commit may be asynchronous: a lost claim is a repeat. `status || ''` keeps the planner to the rows' keys: by an index
# on the status it would read all running runs, or all open tasks of the run. An attempt that has parked to ask again
# goes on: it keeps its number, its beginning and its time limit.
_CLAIM = """
UPDATE task_executions AS c
SET status = CASE j.decision WHEN 'run' THEN 'running' ELSE 'skipped' END,
    reason = CASE j.decision WHEN 'run' THEN '' ELSE j.decision END,
    attempt = c.attempt + CASE WHEN j.decision = 'run' AND c.reason <> 'poll' THEN 1 ELSE 0 END,
    claim_token = %(token)s,
    claim_worker_id = %(worker_id)s,
    claim_message = %(message_id)s,
    worker = %(worker)s,
    started_at = CASE WHEN j.decision = 'run' AND c.reason <> 'poll' THEN clock_timestamp() ELSE c.started_at END,
    resumed_at = CASE WHEN c.reason = 'poll' THEN clock_timestamp() END,
    first_started_at = CASE j.decision WHEN 'run' THEN coalesce(c.first_started_at, clock_timestamp()) END,
    expires_at = CASE WHEN c.reason = 'poll' THEN c.expires_at ELSE least(
        clock_timestamp() + c.attempt_limit, coalesce(c.first_started_at, clock_timestamp()) + c.total_limit
    ) END,
    waits_for = CASE WHEN c.reason = 'poll' THEN c.waits_for END,
    finished_at = CASE j.decision WHEN 'run' THEN NULL ELSE clock_timestamp() END
FROM (
    SELECT t.id, {decision} AS decision
    FROM task_executions t CROSS JOIN LATERAL ({count_needs}) n
    WHERE t.run_id = %(run_id)s AND t.organization_id = %(organization_id)s
      AND t.task_key = %(task_key)s AND {map_index}
) j, workflow_runs r, (SELECT set_config('synchronous_commit', 'off', true)) quick
WHERE c.id = j.id AND r.id = %(run_id)s AND r.status || '' = 'running'
  AND c.status || '' IN ('pending', 'queued') AND c.hold = 0 AND c.generation = %(generation)s
  AND j.decision IS NOT NULL
RETURNING {columns}
"""
_REREAD = """
SELECT {columns} FROM task_executions c JOIN workflow_runs r ON r.id = c.run_id
WHERE c.run_id = %(run_id)s AND c.organization_id = %(organization_id)s
  AND c.task_key = %(task_key)s AND c.claim_token = %(token)s
  AND c.generation = %(generation)s AND c.status IN ('running', 'skipped')
"""
_COLUMNS = """
    c.id, c.status, c.attempt, c.tries, c.generation, c.hold, c.map_index, c.task_key, c.claim_token,
    c.started_at, c.finished_at, c.waits_for AS resumed,
    extract(epoch FROM c.expires_at - c.started_at)::float AS seconds_allowed,
    extract(epoch FROM c.expires_at - clock_timestamp())::float AS seconds_left,
    extract(epoch FROM c.grace)::float AS grace_seconds,
    r.id AS run_id, r.organization_id, r.workflow_version_id, r.inputs, r.created_at AS run_created_at,
    clock_timestamp() AS clock
"""


def _statement(template: str, map_index: str = "") -> str:
    return template.format(
        decision=joins.DECISION, count_needs=joins.COUNT_NEEDS, columns=_COLUMNS, map_index=map_index
    )


_CLAIM_TASK = _statement(_CLAIM, "t.map_index IS NULL")
_CLAIM_ITEM = _statement(_CLAIM, "t.map_index = %(map_index)s")
_REREAD_CLAIM = _statement(_REREAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A task execution this worker holds, or has skipped."""

    id: int
    """The row."""
    status: TaskStatus
    """`running`, or `skipped` when the join said so."""
    attempt: int
    """Number of this attempt."""
    tries: int
    """User failures before this attempt."""
    generation: int
    """Generation of the row."""
    hold: int
    """As it was at the claim; not 0 only when the claim was found again after its connection died."""
    map_index: int | None
    """Which item of a `for_each` task."""
    task_key: str
    """The task's name inside its definition."""
    claim_token: UUID
    """Fences every write of this attempt."""
    started_at: datetime.datetime | None
    """When it was taken; None when it was skipped and never ran."""
    finished_at: datetime.datetime | None
    """When it was skipped."""
    seconds_allowed: float | None
    """How long the attempt may take; None for as long as it does."""
    seconds_left: float | None
    """How much of that was left when the claim was read."""
    grace_seconds: float | None
    """How long the attempt may take to stop; None when the task has no time limit."""
    resumed: dict[str, Any] | None = None
    """What the attempt left when it parked to ask again; None when it begins."""
    run_id: UUID
    """The run."""
    organization_id: UUID
    """Its tenant."""
    workflow_version_id: UUID
    """The version the run stays on."""
    inputs: dict[str, Any]
    """The run's inputs."""
    run_created_at: datetime.datetime
    """When the run was made."""
    clock: DatabaseClock = field(compare=False)
    """Goes on from the claim, or from when it was read again."""


def claim(connection: sql.Connection, task: TaskRef, holder: Holder, token: UUID) -> Claim | None:
    """Take the task for this worker, or skip it when its join says so. None when a guard refuses."""
    return _one(connection, _CLAIM_TASK if task.map_index is None else _CLAIM_ITEM, task, holder, token)


def claim_surely(task: TaskRef, holder: Holder) -> Claim | None:
    """Claim, also when the connection dies at the commit: then the token tells whether the claim was written."""
    token = uuid4()
    repeats = False

    def once(connection: sql.Connection) -> Claim | None:
        nonlocal repeats
        is_repeat, repeats = repeats, True
        # Not before: while the database was away the worker may have been given up and have a new incarnation.
        current = replace(holder, worker_id=get_incarnation() or holder.worker_id)
        if not is_repeat:
            return claim(connection, task, current, token)
        # The statement of the connection that died may still be written after the first look.
        return (
            _one(connection, _REREAD_CLAIM, task, current, token)
            or claim(connection, task, current, token)
            or _one(connection, _REREAD_CLAIM, task, current, token)
        )

    return sql.with_engine_connection(once)


def _one(connection: sql.Connection, statement: str, task: TaskRef, holder: Holder, token: UUID) -> Claim | None:
    parameters = {
        "run_id": task.run_id,
        "organization_id": task.organization_id,
        "task_key": task.task_key,
        "map_index": task.map_index,
        "generation": task.generation,
        "token": token,
        "worker": holder.worker,
        "worker_id": holder.worker_id,
        "message_id": holder.message_id,
    }
    with sql.cursor(connection, dict_row) as cursor:
        row: dict[str, Any] | None = cursor.execute(statement, parameters).fetchone()
    if row is None:
        return None
    return Claim(**(row | {"status": TaskStatus(row["status"]), "clock": DatabaseClock(row["clock"])}))
