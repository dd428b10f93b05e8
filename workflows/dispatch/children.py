"""Child runs: runs that tasks start, and how the end of either reaches the other (rules 5, 8b and 17 of the engine
protocol). What follows such an end is looked at by the caller.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row, scalar_row, tuple_row
from psycopg.types.json import Jsonb

from executors.base import ChildRun, JsonValue, TaskError, TaskResult
from executors.runtime.attempt import check_result
from maestro.core import sql
from maestro.core.errors import MaestroError
from maestro.core.ids import new_id, parse_id
from workflows.catalog import cache
from workflows.catalog.cache import CompiledVersion
from workflows.definition.inputs import resolve_inputs
from workflows.definition.priority import Priority
from workflows.definition.problems import InputsInvalid
from workflows.definition.secrets import Secrets
from workflows.dispatch import finish, holds, publish, start
from workflows.dispatch.claim import Claim
from workflows.dispatch.finish import Finished
from workflows.dispatch.publish import Ready, RunRef
from workflows.dispatch.rounds import HIGHEST_ID, LOWEST_ID, Rounds
from workflows.dispatch.start import NewRun, ParentTask
from workflows.errors import InputsRefused, VersionNotFound, WorkflowArchived, WorkflowNotFound
from workflows.runs.start_times import StartTimes
from workflows.runs.statuses import Reason, RunStatus, TaskStatus

# A run at this depth starts no further one: a workflow that runs itself ends.
MAX_DEPTH = 10
TRIGGER_TYPE = "workflow"

# Of workflows that had the name one after the other, the one in use.
_FIND_VERSION = """
SELECT w.id AS workflow_id, w.name, w.archived_at IS NOT NULL AS is_archived, w.active_version_id, v.id AS version_id
FROM workflows w LEFT JOIN workflow_versions v
     ON v.workflow_id = w.id AND CASE WHEN %(number)s::int IS NULL THEN v.id = w.active_version_id
                                      ELSE v.number = %(number)s::int END
WHERE w.organization_id = %(organization_id)s AND (w.id = %(id)s OR w.name = %(name)s)
ORDER BY w.archived_at DESC NULLS FIRST LIMIT 1
"""
_PARENT_RUN = "SELECT environment_id, user_id, depth, priority FROM workflow_runs WHERE id = %(run_id)s"
# A cancel or a pause that is under way is waited for, and one that comes later waits: so it meets either no child or
# the child with all its rows.
_LOCK_PARENT_RUN = "SELECT FROM workflow_runs WHERE id = %(run_id)s AND status = 'running' AND hold < 2 FOR SHARE"
# Guard, re-checked under the row lock: the claim token, and nobody has cancelled.
_PARK = """
UPDATE task_executions
SET status = %(status)s,
    reason = %(reason)s,
    child_run_id = %(child_run_id)s,
    output = %(output)s,
    error_code = '',
    error_message = '',
    wake_at = NULL,
    finished_at = CASE WHEN %(status)s = 'waiting' THEN NULL ELSE clock_timestamp() END
WHERE id = %(id)s AND status = 'running' AND claim_token = %(token)s AND hold < 2
RETURNING status, hold, finished_at
"""
_WAS_BEGUN = """
SELECT t.status, t.hold, t.finished_at FROM task_executions t
WHERE t.id = %(id)s AND t.claim_token = %(token)s AND t.child_run_id = %(child_run_id)s
"""
# What a task that waits for a run may learn of its end. `status || ''` keeps the planner to the rows' keys.
_ENDED_CHILD = """
SELECT t.id, t.run_id, t.organization_id, t.task_key, t.tries, t.claim_token, p.workflow_version_id, p.inputs,
       c.id AS child_run_id, c.status, c.outputs, c.error_message, w.name AS workflow_name
FROM workflow_runs c JOIN task_executions t ON t.id = c.parent_task_id JOIN workflow_runs p ON p.id = t.run_id
                     JOIN workflows w ON w.id = c.workflow_id
WHERE c.id = %(run_id)s AND c.status || '' NOT IN ('pending', 'running')
  AND t.status || '' = 'waiting' AND t.reason = 'child_run' AND t.child_run_id = c.id
"""
# A task waits for a run once: a run that is left alone stays so. One that is at its hooks ends by itself; it may be at
# them because it was stopped.
_IS_LEFT_ALONE = """
    c.is_awaited AND c.status || '' IN ('running', 'pending') AND c.hold <> 2 AND c.section = 'tasks'
    AND (t.status <> 'waiting' OR t.reason <> 'child_run' OR t.child_run_id IS DISTINCT FROM c.id)
"""
_LEFT_ALONE_OF_RUN = f"""
SELECT c.id FROM task_executions t JOIN workflow_runs c ON c.parent_task_id = t.id
WHERE t.run_id = %(run_id)s AND t.kind = 'workflow'
  AND {_IS_LEFT_ALONE}
LIMIT %(limit)s
"""
# From what waits to what it waits for, whatever the planner expects: runs that ended long ago may be a million.
_WAIT_FOR_CHILDREN = "task_executions WHERE status = 'waiting' AND reason = 'child_run'"
_UNTOLD = f"""
SELECT t.child_run_id
FROM (
    SELECT child_run_id FROM {_WAIT_FOR_CHILDREN} AND hold = 0
      AND child_run_id > %(after)s AND child_run_id <= %(to)s
    OFFSET 0
) t CROSS JOIN LATERAL (SELECT finished_at FROM workflow_runs WHERE id = t.child_run_id OFFSET 0) c
WHERE c.finished_at IS NOT NULL
LIMIT %(limit)s
"""
_OPEN_CHILDREN = "workflow_runs WHERE is_awaited AND status IN ('running', 'pending')"
OPEN_CHILDREN_WITH_PARENTS = f"""
    (SELECT * FROM {_OPEN_CHILDREN} AND parent_task_id > %(after)s AND parent_task_id <= %(to)s OFFSET 0) c
    CROSS JOIN LATERAL (SELECT * FROM task_executions WHERE id = c.parent_task_id OFFSET 0) t
"""
"""Runs `c` whose end a task `t` waits for, or has waited for, of one part of a round: from the children to their
parents, whatever the planner expects.
"""
_LEFT_ALONE = f"""
SELECT c.id FROM {OPEN_CHILDREN_WITH_PARENTS}
WHERE {_IS_LEFT_ALONE}
LIMIT %(limit)s
"""
_untold = Rounds(_WAIT_FOR_CHILDREN, key="child_run_id", lowest=LOWEST_ID, highest=HIGHEST_ID)


def rounds_of_open_children() -> Rounds[int]:
    """Return rounds through `OPEN_CHILDREN_WITH_PARENTS`."""
    return Rounds(_OPEN_CHILDREN, key="parent_task_id", lowest=0, highest=2**63 - 1)


_left_alone = rounds_of_open_children()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChild:
    """A run that a task is to start, checked."""

    run: NewRun
    """The run."""
    workflow_name: str
    """Name of its workflow."""
    depth: int
    """How many runs are above it."""
    is_awaited: bool
    """Whether the task waits for its end."""

    @property
    def output(self) -> JsonValue:
        """The output of a task that does not wait."""
        return {"run_id": str(self.run.run.run_id)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedParent:
    """A task that the end of its child has ended."""

    run: RunRef
    """Its run."""
    version: CompiledVersion
    """The version that run stays on."""
    task_key: str
    """The task's name inside its definition."""


def plan(connection: sql.Connection, claimed: Claim, child: ChildRun) -> PlannedChild | TaskError:
    """Find what a task wants to run and check its inputs; return why it cannot be, which no retry changes."""
    try:
        return _plan(connection, claimed, child)
    except (WorkflowNotFound, WorkflowArchived, VersionNotFound) as error:
        return _refused(type(error), error.message)
    except InputsInvalid as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        return _refused(InputsRefused, f"with.inputs: workflow {child.workflow!r} does not take them: {problems}")


def begin(connection: sql.Connection, claimed: Claim, planned: PlannedChild) -> Finished | None:
    """Park the task, or end it if it does not wait, and start its child, in one transaction; then send its first tasks.

    None when a guard refuses: the claim is lost, or somebody has cancelled. May be done twice.
    """
    parent = ParentTask(
        id=claimed.id,
        generation=claimed.generation,
        attempt=claimed.attempt,
        is_awaited=planned.is_awaited,
        depth=planned.depth,
    )
    ref = planned.run.run
    parameters: dict[str, Any] = {
        "run_id": claimed.run_id,
        "id": claimed.id,
        "token": claimed.claim_token,
        "child_run_id": ref.run_id,
        "status": TaskStatus.WAITING if planned.is_awaited else TaskStatus.SUCCEEDED,
        "reason": Reason.CHILD_RUN if planned.is_awaited else "",
        "output": None if planned.is_awaited else Jsonb(planned.output),
    }
    version = cache.get_version(connection, planned.run.version_id)
    ready: list[Ready] = []
    with connection.transaction(), sql.cursor(connection, tuple_row) as cursor:
        is_open = cursor.execute(_LOCK_PARENT_RUN, parameters).fetchone() is not None
        row = cursor.execute(_PARK, parameters).fetchone() if is_open else None
        if row is not None:
            # A paused task has a paused child. A run that it does not wait for is no part of it.
            hold, reason = (row[1], Reason.PAUSED) if planned.is_awaited and row[1] else (0, "")
            ready = start.insert_run(connection, planned.run, version, parent=parent, hold=hold, reason=reason)
    if ready:
        start.send_first(connection, ref, version, ready)
    elif row is None:
        with sql.cursor(connection, tuple_row) as cursor:
            # A first try may have been written and not answered.
            row = cursor.execute(_WAS_BEGUN, parameters).fetchone()
        # Whoever began the child may not have lived to look whether a pause covers it.
        if row is not None and not holds.is_started_paused(connection, ref):
            publish.publish_queued(connection, ref, version)
    if row is None:
        return None
    return Finished(status=TaskStatus(row[0]), hold=row[1], finished_at=row[2])


def end_parent(connection: sql.Connection, run_id: UUID) -> EndedParent | None:
    """End the task that waits for this run, if the run has ended and the task is not paused; what follows is the
    caller's to look at. None when that ended no task: its failure may be tried again.
    """
    with sql.cursor(connection, dict_row) as cursor:
        row = cursor.execute(_ENDED_CHILD, {"run_id": run_id}).fetchone()
    if row is None:
        return None
    version = cache.get_version(connection, row["workflow_version_id"])
    secrets = Secrets.of(version.definition.inputs, row["inputs"])
    outcome = finish.outcome_of(_result_of(row, secrets), version, row["task_key"], row["tries"])
    # What breaks the task's contract is named by its keys.
    outcome = dataclasses.replace(outcome, error_message=secrets.hide_in_text(outcome.error_message))
    finished = finish.end_wait(connection, row["id"], row["claim_token"], outcome)
    if finished is None or finished.finished_at is None:
        return None
    run = RunRef(run_id=row["run_id"], organization_id=row["organization_id"])
    return EndedParent(run=run, version=version, task_key=row["task_key"])


def find_untold(connection: sql.Connection, *, limit: int) -> list[UUID]:
    """Return runs that have ended and whose end a task still waits for: of the next part of all that wait."""
    return _untold.look(connection, _UNTOLD, scalar_row, limit=limit)


def find_left_alone(connection: sql.Connection, run_id: UUID | None = None, *, limit: int) -> list[UUID]:
    """Return open runs whose end a task waited for and does not any more: of this run, or of the next part of all."""
    if run_id is None:
        return _left_alone.look(connection, _LEFT_ALONE, scalar_row, limit=limit)
    with sql.cursor(connection, scalar_row) as cursor:
        return cursor.execute(_LEFT_ALONE_OF_RUN, {"run_id": run_id, "limit": limit}).fetchall()


def _plan(connection: sql.Connection, claimed: Claim, child: ChildRun) -> PlannedChild | TaskError:
    named = {
        "organization_id": claimed.organization_id,
        "id": parse_id(child.workflow),
        "name": child.workflow,
        "number": child.version,
    }
    with sql.cursor(connection, dict_row) as cursor:
        parent = cursor.execute(_PARENT_RUN, {"run_id": claimed.run_id}).fetchone()
        found = cursor.execute(_FIND_VERSION, named).fetchone()
    assert parent is not None
    if parent["depth"] >= MAX_DEPTH:
        message = (
            f"This run is the {MAX_DEPTH}th below the one that somebody started, and starts no other one: "
            "does a workflow run itself without an end?"
        )
        return TaskError(code="too_deep", message=message, is_retryable=False)
    if found is None or found["active_version_id"] is None:
        raise WorkflowNotFound(child.workflow)
    if found["is_archived"]:
        raise WorkflowArchived(found["name"])
    if found["version_id"] is None:
        assert child.version is not None
        raise VersionNotFound(found["name"], child.version)
    version = cache.get_version(connection, found["version_id"])
    run = NewRun(
        run=RunRef(run_id=new_id(), organization_id=claimed.organization_id),
        environment_id=parent["environment_id"],
        workflow_id=found["workflow_id"],
        version_id=found["version_id"],
        user_id=parent["user_id"],
        trigger_type=TRIGGER_TYPE,
        priority=version.definition.priority or Priority(parent["priority"]),
        inputs=resolve_inputs(version.definition.inputs, dict(child.inputs)),
        times=StartTimes(),
    )
    return PlannedChild(run=run, workflow_name=found["name"], depth=parent["depth"] + 1, is_awaited=child.is_awaited)


def _refused(error: type[MaestroError], message: str) -> TaskError:
    return TaskError(code=error.code, message=message, is_retryable=False)


def _result_of(row: Mapping[str, Any], secrets: Secrets) -> TaskResult:
    """Return what the child's end is to the task that waits for it."""
    name = f"Run {row['child_run_id']} of {row['workflow_name']}"
    if row["status"] == RunStatus.SUCCEEDED:
        return check_result(TaskResult(output=row["outputs"]))
    if row["status"] == RunStatus.CANCELLED:
        # Tried again, it would undo what somebody has decided.
        return TaskResult(error=TaskError(code="child_cancelled", message=f"{name} was cancelled.", is_retryable=False))
    message = secrets.hide_in_text(f"{name} failed: {row['error_message']}")
    return check_result(TaskResult(error=TaskError(code="child_failed", message=message)))
