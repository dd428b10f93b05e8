"""What a person does to runs: start and cancel."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg.rows import scalar_row

from accounts import selectors as accounts
from accounts.actor import Actor
from accounts.idempotency import keys
from accounts.idempotency.keys import Reservation
from accounts.permissions.roles import Permission
from maestro.core import sql
from maestro.core.ids import new_id
from workflows.catalog import cache
from workflows.catalog import selectors as catalog
from workflows.definition.inputs import resolve_inputs
from workflows.definition.priority import Priority
from workflows.definition.problems import InputsInvalid
from workflows.dispatch import cancellation, start
from workflows.dispatch.publish import RunRef
from workflows.dispatch.start import NewRun
from workflows.errors import InputsRefused, RunAlreadyFinished, RunNotFound, WorkflowArchived
from workflows.models import WorkflowRun
from workflows.runs.start_times import StartTimes, start_times
from workflows.runs.statuses import Reason, RunStatus


def start_run(
    *,
    actor: Actor,
    reference: str,
    inputs: Mapping[str, Any],
    version_number: int | None = None,
    start_at: datetime.datetime | datetime.timedelta | None = None,
    deadline: datetime.datetime | datetime.timedelta | None = None,
    priority: Priority | None = None,
    reservation: Reservation | None = None,
) -> WorkflowRun:
    """Start a run of a workflow's active version, or of the one named; once only under the idempotency key reserved.

    With `start_at`, a time or a delay, the run is there at once, with its version and inputs, but begins then. With
    `deadline`, a time or how long after the start, it is ended then. Without `priority` it has its workflow's.

    Raises `WorkflowNotFound`, `VersionNotFound`, `WorkflowArchived`, `InputsRefused` and `StartTimesRefused` with every
    problem, and `RequestInProgress` when somebody else starts the run under that key.
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
    times = _times(start_at, deadline)
    run = RunRef(run_id=new_id(), organization_id=actor.organization_id)
    new = NewRun(
        run=run,
        environment_id=actor.environment_id,
        workflow_id=workflow.id,
        version_id=row.id,
        user_id=actor.user_id,
        trigger_type="manual",
        priority=priority or version.definition.priority or Priority.NORMAL,
        inputs=resolved,
        times=times,
    )
    with transaction.atomic():
        connection = sql.request_connection()
        if reservation is not None:
            keys.note_made(connection, reservation, run.run_id)
        ready = start.insert_run(connection, new, version)
        if ready:
            transaction.on_commit(lambda: start.send_first(connection, run, version, ready))
    return WorkflowRun.objects.select_related("workflow", "workflow_version").get(id=run.run_id)


def cancel_run(*, actor: Actor, run_id: UUID) -> WorkflowRun:
    """Cancel a run: what does not run yet never will; what runs is asked to stop, its `finally` runs. Cancelling
    once more ends the hooks that run by then.

    Raises `RunNotFound`, and `RunAlreadyFinished` when there is nothing to cancel.
    """
    actor.require(Permission.CANCEL_RUNS)
    if not WorkflowRun.objects.filter(id=run_id, organization_id=actor.organization_id, pruned_at=None).exists():
        raise RunNotFound
    status = cancellation.stop_run(
        sql.request_connection(), run_id, Reason.CANCELLING, by=accounts.get_member(actor=actor).email
    )
    if status is None:
        # Pruned a moment ago.
        raise RunNotFound
    if status.is_terminal and status is not RunStatus.CANCELLED:
        raise RunAlreadyFinished(status)
    return WorkflowRun.objects.select_related("workflow", "workflow_version").get(id=run_id)


def _times(
    start_at: datetime.datetime | datetime.timedelta | None, deadline: datetime.datetime | datetime.timedelta | None
) -> StartTimes:
    if start_at is None and deadline is None:
        return StartTimes()
    with sql.cursor(sql.request_connection(), scalar_row) as cursor:
        now = cursor.execute("SELECT clock_timestamp()").fetchone()
    assert now is not None
    return start_times(now, start_at=start_at, deadline=deadline)
