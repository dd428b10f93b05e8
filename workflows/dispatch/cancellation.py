"""Stopping a run before its end, because somebody cancels it, its time is over or a task says so (rules 13 and 13c of
the engine protocol).
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from executors.base import RunStop
from executors.runtime.interrupt import PATIENCE_SECONDS
from maestro.core import sql
from workflows.definition.sections import Section
from workflows.dispatch import advance, celery_calls, children, finish, start
from workflows.dispatch.claim import Claim
from workflows.dispatch.finish import Finished, Outcome
from workflows.dispatch.messages import CallRef, TaskRef
from workflows.runs.statuses import Reason, RunStatus, TaskStatus

_LOCK_RUN = "SELECT status, section, organization_id FROM workflow_runs WHERE id = %(run_id)s FOR NO KEY UPDATE"
# One that has not begun has no tasks.
_CANCEL_PENDING = """
UPDATE workflow_runs
SET status = 'cancelled', outcome = 'cancelled', hold = 2, reason = '', cancelled_by = %(by)s,
    finished_at = clock_timestamp()
WHERE id = %(run_id)s AND status = 'pending'
"""
# Who came first says why.
_HOLD_RUN = """
UPDATE workflow_runs SET hold = 2, reason = %(reason)s, cancelled_by = coalesce(nullif(cancelled_by, ''), %(by)s)
WHERE id = %(run_id)s AND hold <> 2
"""
_HOLD_RUN_AS_TOLD = """
UPDATE workflow_runs
SET hold = 2, reason = %(reason)s, outcome = %(outcome)s, error_message = %(message)s, outputs = %(outputs)s
WHERE id = %(run_id)s AND status = 'running' AND section = 'tasks' AND hold <> 2
"""
# For so long a running attempt is only told: code may look, and then gets an exception.
NOTICE = datetime.timedelta(seconds=1 + PATIENCE_SECONDS)
# Running rows only learn of it: whoever runs them ends them as cancelled. After the notice their time is over: those
# that do not stop are killed after their grace. Waiting for a row another transaction holds may show new rows to
# cancel, so the statement is repeated until it changes nothing.
_CANCEL_TASKS = """
WITH locked AS (
    SELECT id FROM task_executions
    WHERE run_id = %(run_id)s
      AND (status IN ('pending', 'queued', 'waiting') OR (status = 'running' AND hold <> 2))
    ORDER BY position, map_index
    FOR NO KEY UPDATE
)
UPDATE task_executions t
SET hold = 2,
    status = CASE WHEN status = 'running' THEN status ELSE 'cancelled' END,
    reason = CASE WHEN status = 'running' OR reason = 'celery' THEN reason ELSE '' END,
    finished_at = CASE WHEN status = 'running' THEN NULL ELSE clock_timestamp() END,
    wake_at = NULL,
    expires_at = least(expires_at, clock_timestamp() + %(notice)s)
FROM locked
WHERE t.id = locked.id AND t.status IN ('pending', 'queued', 'waiting', 'running')
"""
# After that, tasks that waited for a call are those that still say so. A call that has begun goes on.
_TAKE_CALLS = """
UPDATE task_executions SET reason = 'unconfirmed'
WHERE run_id = %(run_id)s AND status = 'cancelled' AND reason = 'celery'
RETURNING task_key, map_index, generation, tries
"""
# Whoever stops a run stops so many of the runs below it; the tick stops the others.
MAX_CHILDREN = 100


def stop_run(connection: sql.Connection, run_id: UUID, reason: Reason, by: str = "") -> RunStatus | None:
    """Let nothing of a run begin any more, ask what runs to stop, and end the run if nothing is left; then do the same
    for the runs whose end it waited for, and theirs. Hooks that run
    end alike, and those that would follow them never begin; but the run ends as was decided before them.

    `by` is the address of who cancels it. Returns the status the run had; None when there is none. One that is over is
    left as it is.
    """
    status = _stop_one(connection, run_id, reason, spares_hooks=reason == Reason.TIMED_OUT, by=by)
    _stop_children(connection, run_id)
    return status


def stop_left_alone(connection: sql.Connection, run_id: UUID) -> None:
    """Do the same to a run whose end nobody waits for any more, unless it is at its hooks by now: those are left to
    end.
    """
    _stop_one(connection, run_id, Reason.CANCELLING, spares_hooks=True)
    _stop_children(connection, run_id)


def finish_and_stop(connection: sql.Connection, claim: Claim, outcome: Outcome, stop: RunStop) -> Finished | None:
    """End the attempt that holds the claim, and by it the run: in one transaction, so that none comes without the
    other. The caller looks at the run afterwards.

    A run that is being stopped already goes on as whoever came first said. None when the claim is no longer the row's.
    """
    finished, calls = sql.repeat_if_victim(lambda: _mark_finished_and_stopped(connection, claim, outcome, stop))
    celery_calls.revoke(calls)
    _stop_children(connection, claim.run_id)
    return finished


def _stop_one(
    connection: sql.Connection, run_id: UUID, reason: Reason, *, spares_hooks: bool, by: str = ""
) -> RunStatus | None:
    status, calls = sql.repeat_if_victim(
        lambda: _mark_stopped(connection, run_id, reason, spares_hooks=spares_hooks, by=by)
    )
    # In a transaction of its own: a finisher that looked before the commit above saw the run still busy.
    advance.end_run(connection, run_id)
    celery_calls.revoke(calls)
    return status


def _stop_children(connection: sql.Connection, run_id: UUID) -> None:
    stopped = [run_id]
    for above in stopped:
        below = children.find_left_alone(connection, above, limit=1 + MAX_CHILDREN - len(stopped))
        for child_run_id in below:
            _stop_one(connection, child_run_id, Reason.CANCELLING, spares_hooks=True)
        stopped += below


def _mark_finished_and_stopped(
    connection: sql.Connection, claim: Claim, outcome: Outcome, stop: RunStop
) -> tuple[Finished | None, list[CallRef]]:
    given = {
        "run_id": claim.run_id,
        "reason": Reason.STOPPED,
        "notice": NOTICE,
        "outcome": RunStatus.SUCCEEDED if stop.succeeds else RunStatus.FAILED,
        "message": stop.message,
        "outputs": Jsonb(dict(stop.outputs)) if stop.succeeds else None,
    }
    with connection.transaction(), sql.cursor(connection, dict_row) as cursor:
        # The run row before the task row, as whoever else stops it.
        cursor.execute(_LOCK_RUN, given)
        finished = finish.finish(connection, claim, outcome)
        if finished is None or finished.status is not TaskStatus.SUCCEEDED:
            return finished, []
        if not cursor.execute(_HOLD_RUN_AS_TOLD, given).rowcount:
            return finished, []
        return finished, _stop_tasks(cursor, given, claim.organization_id)


def _mark_stopped(
    connection: sql.Connection, run_id: UUID, reason: Reason, *, spares_hooks: bool = False, by: str = ""
) -> tuple[RunStatus | None, list[CallRef]]:
    """Set the run and all its open tasks to end as cancelled, in one transaction; return the calls nobody waits for."""
    given = {"run_id": run_id, "reason": reason, "notice": NOTICE, "by": by}
    with connection.transaction(), sql.cursor(connection, dict_row) as cursor:
        run = cursor.execute(_LOCK_RUN, given).fetchone()
        if run is None:
            return None, []
        status = RunStatus(run["status"])
        if status.is_terminal:
            return status, []
        if status is RunStatus.PENDING and reason != Reason.TIMED_OUT:
            cursor.execute(_CANCEL_PENDING, given)
            return status, []
        if status is RunStatus.PENDING and not start.begin_overdue(connection, run_id):
            return status, []
        if spares_hooks and run["section"] != Section.TASKS:
            # Its own tasks have ended, in time or stopped by another one, after somebody saw that they had not.
            return status, []
        cursor.execute(_HOLD_RUN, given)
        return status, _stop_tasks(cursor, given, run["organization_id"])


def _stop_tasks(
    cursor: psycopg.Cursor[dict[str, Any]], given: Mapping[str, Any], organization_id: UUID
) -> list[CallRef]:
    """Set all open tasks of a run to end as cancelled; return the calls nobody waits for any more."""
    while cursor.execute(_CANCEL_TASKS, given).rowcount:
        pass
    rows = cursor.execute(_TAKE_CALLS, given).fetchall()
    names = ("task_key", "map_index", "generation")
    return [
        CallRef(
            task=TaskRef(
                run_id=given["run_id"], organization_id=organization_id, **{name: row[name] for name in names}
            ),
            tries=row["tries"],
        )
        for row in rows
    ]
