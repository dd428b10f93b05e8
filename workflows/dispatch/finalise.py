"""Finalise: ending a run in which nothing is left to do (rule 8 of the engine protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row, tuple_row
from psycopg.types.json import Jsonb

from maestro.core import sql
from maestro.core.clock import format_time
from workflows.catalog import cache
from workflows.definition.expressions import ExpressionFailed
from workflows.definition.secrets import Secrets
from workflows.dispatch.scope import make_scope
from workflows.runs.statuses import Reason, RunStatus

_HAS_OPEN_TASKS = """
SELECT EXISTS (
    SELECT FROM task_executions WHERE run_id = %(run_id)s AND status IN ('pending', 'queued', 'running', 'waiting')
)
"""
_LOCK_RUN = """
SELECT id, status, reason, hold, workflow_version_id, inputs, created_at, deadline_at,
       expires_at - started_at AS allowed, expires_at = deadline_at AS has_deadline, outcome, error_message, outputs
FROM workflow_runs WHERE id = %(run_id)s
FOR NO KEY UPDATE
"""
_FIRST_FAILURE = """
SELECT task_key, map_index, error_message FROM task_executions
WHERE run_id = %(run_id)s AND status = 'failed' AND NOT continue_on_error
ORDER BY finished_at, position, map_index LIMIT 1
"""
_READ_TASKS = """
SELECT task_key, status, output, error_message FROM task_executions
WHERE run_id = %(run_id)s AND task_key = ANY (%(task_keys)s) AND map_index IS NULL
"""
_END_RUN = """
UPDATE workflow_runs
SET status = %(status)s, reason = %(reason)s, error_message = %(error_message)s, outputs = %(outputs)s,
    hold = CASE hold WHEN 1 THEN 0 ELSE hold END, finished_at = clock_timestamp()
WHERE id = %(run_id)s AND status = 'running'
"""


def finalise_run(connection: sql.Connection, run_id: UUID) -> bool:
    """End the run if none of its tasks is open. Tells whether this call ended it.

    The look before the lock only saves the lock; what counts is the look after it, in a statement of its own, which
    sees every task that a rerun or expansion put back before it let go of the run row.
    """
    if _has_open_tasks(connection, run_id):
        return False
    with connection.transaction():
        with sql.cursor(connection, dict_row) as cursor:
            run = cursor.execute(_LOCK_RUN, {"run_id": run_id}).fetchone()
        if run is None or run["status"] != RunStatus.RUNNING or _has_open_tasks(connection, run_id):
            return False
        connection.execute(_END_RUN, {"run_id": run_id} | _ending(connection, run))
        return True


def read_tasks(connection: sql.Connection, run_id: UUID, task_keys: list[str]) -> dict[str, dict[str, Any]]:
    """Read what expressions may see of tasks: status, output and error message."""
    if not task_keys:
        return {}
    with sql.cursor(connection, tuple_row) as cursor:
        rows = cursor.execute(_READ_TASKS, {"run_id": run_id, "task_keys": task_keys}).fetchall()
    return {
        key: {"status": status, "output": output, "error_message": message} for key, status, output, message in rows
    }


def _has_open_tasks(connection: sql.Connection, run_id: UUID) -> bool:
    with sql.cursor(connection, tuple_row) as cursor:
        row = cursor.execute(_HAS_OPEN_TASKS, {"run_id": run_id}).fetchone()
    assert row is not None
    return bool(row[0])


def _ending(connection: sql.Connection, run: Mapping[str, Any]) -> dict[str, Any]:
    """Judge how a run ended, from its locked row and its tasks."""
    if run["hold"] == 2 and run["reason"] == Reason.TIMED_OUT:
        message = (
            f"The run was not over by its deadline, {format_time(run['deadline_at'])}."
            if run["has_deadline"]
            else f"The run took longer than the {run['allowed'].total_seconds():g} s it may take."
        )
        return {"status": RunStatus.FAILED, "reason": Reason.TIMED_OUT, "error_message": message, "outputs": None}
    if run["hold"] == 2 and run["reason"] == Reason.STOPPED:
        outputs = None if run["outputs"] is None else Jsonb(run["outputs"])
        return {name: run[name] for name in ("reason", "error_message")} | {
            "status": run["outcome"],
            "outputs": outputs,
        }
    if run["hold"] == 2:
        return {"status": RunStatus.CANCELLED, "reason": "", "error_message": "", "outputs": None}
    with sql.cursor(connection, tuple_row) as cursor:
        failure = cursor.execute(_FIRST_FAILURE, {"run_id": run["id"]}).fetchone()
    if failure is not None:
        key, index, message = failure
        name = key if index is None else f"{key}[{index}]"
        return {
            "status": RunStatus.FAILED,
            "reason": "",
            "error_message": f"Task {name} failed: {message}",
            "outputs": None,
        }
    version = cache.get_version(connection, run["workflow_version_id"])
    scope = make_scope(
        inputs=run["inputs"],
        tasks=read_tasks(connection, run["id"], version.output_references),
        run_id=run["id"],
        workflow_name=version.definition.name,
        created_at=run["created_at"],
    )
    try:
        outputs = version.outputs.render(scope)
    except ExpressionFailed as error:
        return {
            "status": RunStatus.FAILED,
            "reason": Reason.OUTPUTS_FAILED,
            "error_message": Secrets.of(version.definition.inputs, run["inputs"]).hide_in_text(str(error)),
            "outputs": None,
        }
    return {"status": RunStatus.SUCCEEDED, "reason": "", "error_message": "", "outputs": Jsonb(outputs)}
