"""What a person does to runs: start and cancel."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from accounts.actor import Actor
from accounts.idempotency import keys
from accounts.idempotency.keys import Reservation
from accounts.permissions.roles import Permission
from maestro.core import sql
from maestro.core.ids import new_id
from workflows.catalog import cache
from workflows.catalog import selectors as catalog
from workflows.catalog.cache import CompiledVersion
from workflows.definition.inputs import resolve_inputs
from workflows.definition.problems import InputsInvalid
from workflows.dispatch import cancellation, pausing, publish
from workflows.dispatch.publish import Ready, RunRef
from workflows.errors import InputsRefused, RunAlreadyFinished, RunNotFound, WorkflowArchived
from workflows.models import WorkflowRun
from workflows.runs.statuses import Reason, RunStatus

# The run and all its rows in one statement; the rows come from the stored plan, so they never travel. Tasks without
# needs are ready at once.
_INSERT_RUN = """
WITH run AS (
    INSERT INTO workflow_runs (
        id, organization_id, environment_id, workflow_id, workflow_version_id, user_id, trigger_type,
        status, reason, hold, inputs, error_message, created_at, started_at, expires_at
    )
    VALUES (
        %(run_id)s, %(organization_id)s, %(environment_id)s, %(workflow_id)s, %(version_id)s, %(user_id)s, 'manual',
        'running', '', 0, %(inputs)s, '', clock_timestamp(), clock_timestamp(), clock_timestamp() + %(timeout)s
    )
    RETURNING id, organization_id
), rows AS (
    INSERT INTO task_executions (
        organization_id, run_id, task_key, position, kind, run_if, continue_on_error, needs, status, queued_at,
        reason, attempt, tries, platform_failures, generation, hold, worker, queue, priority,
        error_code, error_message, created_at, queue_limit, attempt_limit, grace, total_limit
    )
    SELECT run.organization_id, run.id, task.value ->> 0, task.ordinality - 1, task.value ->> 1, task.value ->> 2,
           coalesce((task.value ->> 6)::boolean, false), needs.keys,
           CASE WHEN cardinality(needs.keys) = 0 THEN 'queued' ELSE 'pending' END,
           CASE WHEN cardinality(needs.keys) = 0 THEN clock_timestamp() END,
           '', 0, 0, 0, 0, 0, '', 'maestro', 0, '', '', clock_timestamp(),
           limits.queue, limits.attempt, limits.grace, limits.total
    FROM run, workflow_versions v
         CROSS JOIN LATERAL jsonb_array_elements(v.plan -> 'tasks') WITH ORDINALITY AS task
         CROSS JOIN LATERAL (SELECT ARRAY(SELECT jsonb_array_elements_text(task.value -> 3)) AS keys) needs
         CROSS JOIN LATERAL (
             SELECT make_interval(secs => (task.value #>> '{5,queue}')::float) AS queue,
                    make_interval(secs => (task.value #>> '{5,attempt}')::float) AS attempt,
                    make_interval(secs => (task.value #>> '{5,grace}')::float) AS grace,
                    make_interval(secs => (task.value #>> '{5,total}')::float) AS total
         ) limits
    WHERE v.id = %(version_id)s
    RETURNING id, task_key, generation, queued_at
)
SELECT id, task_key, generation, queued_at FROM rows WHERE queued_at IS NOT NULL
"""


def start_run(
    *,
    actor: Actor,
    reference: str,
    inputs: Mapping[str, Any],
    version_number: int | None = None,
    reservation: Reservation | None = None,
) -> WorkflowRun:
    """Start a run of a workflow's active version, or of the one named; once only under the idempotency key reserved.

    Raises `WorkflowNotFound`, `VersionNotFound`, `WorkflowArchived`, `InputsRefused` with every problem, and
    `RequestInProgress` when somebody else starts the run under that key.
    """
    actor.require(Permission.START_RUNS)
    workflow = catalog.get_workflow(actor=actor, reference=reference)
    if workflow.archived_at is not None:
        raise WorkflowArchived(workflow.name)
    row = catalog.get_version(actor=actor, workflow=workflow, number=version_number)
    version = cache.get_version(sql.request_connection(), row.id)
    try:
        resolved = resolve_inputs(version.definition.inputs, inputs)
    except InputsInvalid as error:
        raise InputsRefused(error.problems) from error
    run = RunRef(run_id=new_id(), organization_id=actor.organization_id)
    with transaction.atomic():
        if reservation is not None:
            keys.note_made(sql.request_connection(), reservation, run.run_id)
        ready = _insert_run(
            {
                "run_id": run.run_id,
                "organization_id": actor.organization_id,
                "environment_id": actor.environment_id,
                "workflow_id": workflow.id,
                "version_id": row.id,
                "user_id": actor.user_id,
                "inputs": Jsonb(resolved),
                "timeout": version.definition.timeout and datetime.timedelta(seconds=version.definition.timeout),
            }
        )
        transaction.on_commit(lambda: _send_first(run, version, ready))
    return WorkflowRun.objects.select_related("workflow", "workflow_version").get(id=run.run_id)


def cancel_run(*, actor: Actor, run_id: UUID) -> WorkflowRun:
    """Cancel a run: what does not run yet never will; what runs is asked to stop. Cancelling twice changes nothing.

    Raises `RunNotFound`, and `RunAlreadyFinished` when there is nothing to cancel.
    """
    actor.require(Permission.CANCEL_RUNS)
    if not WorkflowRun.objects.filter(id=run_id, organization_id=actor.organization_id, pruned_at=None).exists():
        raise RunNotFound
    status = cancellation.stop_run(sql.request_connection(), run_id, Reason.CANCELLING)
    if status is None:
        # Pruned a moment ago.
        raise RunNotFound
    if status.is_terminal and status is not RunStatus.CANCELLED:
        raise RunAlreadyFinished(status)
    return WorkflowRun.objects.select_related("workflow", "workflow_version").get(id=run_id)


def _send_first(run: RunRef, version: CompiledVersion, ready: list[Ready]) -> None:
    if not pausing.is_started_paused(sql.request_connection(), run):
        publish.publish_start(run, version, ready)


def _insert_run(parameters: Mapping[str, Any]) -> list[Ready]:
    with sql.cursor(sql.request_connection(), class_row(Ready)) as cursor:
        return cursor.execute(_INSERT_RUN, parameters).fetchall()
