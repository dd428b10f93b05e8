"""Finalise: ending a run in which nothing is left to do, or beginning the hooks that follow (rules 8 and 8c of the
engine protocol).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.rows import class_row, dict_row, tuple_row
from psycopg.types.json import Jsonb

from maestro.core import sql
from maestro.core.clock import say_time
from workflows.catalog import cache
from workflows.catalog.cache import CompiledVersion
from workflows.definition.expressions import ExpressionFailed
from workflows.definition.secrets import Secrets
from workflows.definition.sections import HOOKS, Section, next_section
from workflows.dispatch import start
from workflows.dispatch.publish import Ready, RunRef
from workflows.dispatch.scope import make_scope
from workflows.runs import rows
from workflows.runs.statuses import Reason, RunStatus

_HAS_OPEN_TASKS = """
SELECT EXISTS (
    SELECT FROM task_executions WHERE run_id = %(run_id)s AND status IN ('pending', 'queued', 'running', 'waiting')
)
"""
_LOCK_RUN = """
SELECT id, organization_id, status, reason, hold, section, workflow_version_id, inputs, created_at, deadline_at,
       expires_at - started_at AS allowed, expires_at = deadline_at AS has_deadline, outcome, outcome_reason,
       error_message, outputs
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
SET status = %(status)s, outcome = %(status)s, reason = %(reason)s, error_message = %(error_message)s,
    outputs = %(outputs)s, hold = CASE hold WHEN 1 THEN 0 ELSE hold END, finished_at = clock_timestamp()
WHERE id = %(run_id)s AND status = 'running'
"""
# The rows of hooks come with the decision that they follow, so nothing before it has to know of them. What ended the
# run's own tasks does not hold its hooks, but a pause does. The run's time is that of its own tasks.
_BEGIN_HOOKS = f"""
WITH run AS (
    UPDATE workflow_runs
    SET section = %(section)s, outcome = %(status)s, outcome_reason = %(reason)s, error_message = %(error_message)s,
        outputs = %(outputs)s, expires_at = NULL,
        reason = CASE hold WHEN 1 THEN reason ELSE 'hooks' END, hold = CASE hold WHEN 1 THEN 1 ELSE 0 END
    WHERE id = %(run_id)s AND status = 'running'
    RETURNING id, organization_id, workflow_version_id, section, hold, priority
), rows AS ({rows.INSERT_TASKS})
SELECT id, task_key, generation, priority, queued_at FROM rows WHERE queued_at IS NOT NULL
"""
_READ_OUTCOME = """
SELECT r.outcome AS status, r.error_message, ARRAY(
    SELECT task_key FROM task_executions
    WHERE run_id = r.id AND section = 'tasks' AND map_index IS NULL AND status = 'failed' AND NOT continue_on_error
    ORDER BY finished_at, position
) AS failed_tasks
FROM workflow_runs r WHERE r.id = %(run_id)s
"""


def finalise_run(connection: sql.Connection, run_id: UUID) -> bool:
    """End the run if none of its tasks is open, or begin the hooks that follow. Tells whether this call did.

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
        ending = {"run_id": run_id} | _ending(connection, run)
        version = cache.get_version(connection, run["workflow_version_id"])
        section = _following(run, version, ending["status"])
        if section is None:
            connection.execute(_END_RUN, ending)
            return True
        with sql.cursor(connection, class_row(Ready)) as cursor:
            ready = cursor.execute(_BEGIN_HOOKS, ending | {"section": section}).fetchall()
    start.send_first(connection, RunRef(run_id=run_id, organization_id=run["organization_id"]), version, ready)
    return True


def read_tasks(connection: sql.Connection, run_id: UUID, task_keys: list[str]) -> dict[str, dict[str, Any]]:
    """Read what expressions may see of tasks: status, output and error message."""
    if not task_keys:
        return {}
    with sql.cursor(connection, tuple_row) as cursor:
        found = cursor.execute(_READ_TASKS, {"run_id": run_id, "task_keys": task_keys}).fetchall()
    return {
        key: {"status": status, "output": output, "error_message": message} for key, status, output, message in found
    }


def read_outcome(connection: sql.Connection, run_id: UUID) -> dict[str, Any]:
    """Read what hooks may see of their run."""
    with sql.cursor(connection, dict_row) as cursor:
        outcome: dict[str, Any] | None = cursor.execute(_READ_OUTCOME, {"run_id": run_id}).fetchone()
    assert outcome is not None
    return outcome


def _following(run: Mapping[str, Any], version: CompiledVersion, outcome: str) -> Section | None:
    """Return the hooks that follow what has ended; None when nothing does, or somebody cancelled hooks."""
    section = Section(run["section"])
    if section in HOOKS and run["hold"] == 2:
        return None
    return next_section(section, outcome, version.definition.sections.keys())


def _has_open_tasks(connection: sql.Connection, run_id: UUID) -> bool:
    with sql.cursor(connection, tuple_row) as cursor:
        row = cursor.execute(_HAS_OPEN_TASKS, {"run_id": run_id}).fetchone()
    assert row is not None
    return bool(row[0])


def _ending(connection: sql.Connection, run: Mapping[str, Any]) -> dict[str, Any]:
    """Judge how a run ended, from its locked row and its tasks; once, when its own tasks have ended."""
    if run["section"] != Section.TASKS:
        return _decided(run, run["outcome_reason"])
    if run["hold"] == 2 and run["reason"] == Reason.TIMED_OUT:
        message = (
            f"The run was not over by its deadline, {say_time(run['deadline_at'])}."
            if run["has_deadline"]
            else f"The run took longer than the {run['allowed'].total_seconds():g} s it may take."
        )
        return {"status": RunStatus.FAILED, "reason": Reason.TIMED_OUT, "error_message": message, "outputs": None}
    if run["hold"] == 2 and run["reason"] == Reason.STOPPED:
        return _decided(run, Reason.STOPPED)
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


def _decided(run: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """Return how a run ends whose end was decided before."""
    outputs = None if run["outputs"] is None else Jsonb(run["outputs"])
    return {
        "status": RunStatus(run["outcome"]),
        "reason": reason,
        "error_message": run["error_message"],
        "outputs": outputs,
    }
