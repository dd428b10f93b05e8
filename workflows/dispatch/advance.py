"""Advance: after a task has ended, what became ready or skipped because of it; after a run has ended, the task that
waits for it (rules 3, 6, 8 and 8b of the engine protocol).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from maestro.core import sql
from workflows.catalog import cache
from workflows.catalog.cache import CompiledVersion
from workflows.dispatch import children, finalise, publish
from workflows.dispatch.publish import Ready, RunRef
from workflows.runs import joins
from workflows.runs.statuses import TaskStatus

# Guard, re-checked under the row lock: status, hold, and the generation that was judged: a rerun that commits in
# between changes it also on rows that stay pending. The join is judged on the snapshot of `judged`. `status || ''`
# keeps the planner to the rows' keys: by an index on the status it would read all pending tasks.
_DECIDE = f"""
WITH judged AS MATERIALIZED (
    SELECT t.id, t.generation, {joins.DECISION} AS decision
    FROM task_executions t CROSS JOIN LATERAL ({joins.COUNT_NEEDS}) n
    WHERE t.run_id = %(run_id)s AND t.task_key = ANY (%(task_keys)s) AND t.map_index IS NULL
      AND t.status || '' = 'pending' AND t.hold = 0 AND {joins.MAY_BE_DECIDED}
)
UPDATE task_executions AS c
SET status = CASE j.decision WHEN 'run' THEN 'queued' ELSE 'skipped' END,
    reason = CASE j.decision WHEN 'run' THEN '' ELSE j.decision END,
    queued_at = CASE j.decision WHEN 'run' THEN clock_timestamp() ELSE c.queued_at END,
    finished_at = CASE j.decision WHEN 'run' THEN NULL ELSE clock_timestamp() END
FROM judged j
WHERE c.id = j.id AND j.decision IS NOT NULL
  AND c.status || '' = 'pending' AND c.hold = 0 AND c.generation = j.generation
RETURNING c.id, c.task_key, c.status, c.generation, c.priority, c.queued_at
"""

_RUN_AND_PENDING = """
SELECT organization_id, workflow_version_id,
       ARRAY(SELECT task_key FROM task_executions
             WHERE run_id = %(run_id)s AND status = 'pending' AND map_index IS NULL) AS pending
FROM workflow_runs WHERE id = %(run_id)s AND status = 'running'
"""


def advance_from(connection: sql.Connection, run: RunRef, version: CompiledVersion, ended: Iterable[str]) -> None:
    """Look at the successors of tasks that ended, in new transactions after the commit that ended them; then at the
    run.
    """
    tasks = version.plan.tasks
    frontier = list(ended)
    queued: list[Ready] = []
    while frontier:
        successors = {s for key in frontier for s in tasks[version.positions[key]].successors}
        queued, frontier = _decide(connection, run.run_id, [tasks[s].key for s in sorted(successors)])
        if queued:
            publish.publish(run, version, queued)
    # What the last look queued ends after all that was skipped here, and will look at the run itself. What an earlier
    # look queued may have ended while skips were still followed.
    if not queued:
        end_run(connection, run.run_id)


def end_run(connection: sql.Connection, run_id: UUID) -> bool:
    """End the run if none of its tasks is open, then the task that waits for it; or begin its hooks. Tells whether this
    call did.

    The run above may end by that, and so on: as many as may be above each other.
    """
    if not finalise.finalise_run(connection, run_id):
        return False
    follow_end(connection, run_id)
    return True


def follow_end(connection: sql.Connection, run_id: UUID) -> bool:
    """End the task that waits for a run which has ended, and look at what follows; tell whether this call ended it."""
    parent = children.end_parent(connection, run_id)
    if parent is None:
        return False
    advance_from(connection, parent.run, parent.version, [parent.task_key])
    return True


def advance_task(connection: sql.Connection, run: RunRef, version: CompiledVersion, task_key: str) -> None:
    """Do for a pending task itself what the end of its last need would have done."""
    queued, skipped = _decide(connection, run.run_id, [task_key])
    if queued:
        publish.publish(run, version, queued, alone=True)
    if skipped:
        advance_from(connection, run, version, skipped)


def kick(connection: sql.Connection, run_id: UUID) -> None:
    """Start all that is ready in a run that goes on after a pause, and end the run if nothing is left.

    What was sent before the pause may have been refused meanwhile, and what ended during it had nobody look at what
    follows.
    """
    with sql.cursor(connection, dict_row) as cursor:
        row = cursor.execute(_RUN_AND_PENDING, {"run_id": run_id}).fetchone()
    if row is None:
        return
    run = RunRef(run_id=run_id, organization_id=row["organization_id"])
    version = cache.get_version(connection, row["workflow_version_id"])
    publish.publish_queued(connection, run, version, alone=True)
    queued, skipped = _decide(connection, run_id, row["pending"])
    if queued:
        publish.publish(run, version, queued, alone=True)
    advance_from(connection, run, version, skipped)


def version_of_run(connection: sql.Connection, run_id: UUID) -> CompiledVersion:
    """Return the version a run stays on."""
    row = connection.execute("SELECT workflow_version_id FROM workflow_runs WHERE id = %s", (run_id,)).fetchone()
    if row is None:
        raise LookupError(f"run {run_id} does not exist")
    version_id = row[0]
    assert isinstance(version_id, UUID)
    return cache.get_version(connection, version_id)


def _decide(connection: sql.Connection, run_id: UUID, task_keys: Sequence[str]) -> tuple[list[Ready], list[str]]:
    """Queue or skip the pending tasks whose join is decided; return the queued rows and the skipped keys."""
    if not task_keys:
        return [], []
    with sql.cursor(connection, dict_row) as cursor:
        rows: list[dict[str, Any]] = cursor.execute(
            _DECIDE, {"run_id": run_id, "task_keys": list(task_keys)}
        ).fetchall()
    queued = [publish.ready_of(row) for row in rows if row["status"] == TaskStatus.QUEUED]
    return queued, [row["task_key"] for row in rows if row["status"] == TaskStatus.SKIPPED]
