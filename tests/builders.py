"""Makes the smallest valid objects; a test states only what matters to it."""

import dataclasses
import time
from uuid import UUID

from accounts.actor import Actor, ActorKind
from accounts.choices import Role
from accounts.models import Environment, Membership, Organization, User
from accounts.permissions.roles import PERMISSIONS
from maestro.core.ids import new_id
from tests.patience import PATIENCE_SECONDS, POLL_SECONDS
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs


def make_actor(role: Role = Role.OWNER) -> Actor:
    """A member of a new organization, with one user and one environment."""
    unique = new_id().hex
    organization = Organization.objects.create(name=unique, slug=unique)
    environment = Environment.objects.create(organization=organization)
    user = User.objects.create_user(f"{unique}@example.org")
    Membership.objects.create(organization=organization, user=user, role=role)
    return Actor(
        kind=ActorKind.USER,
        user_id=user.id,
        organization_id=organization.id,
        environment_id=environment.id,
        permissions=PERMISSIONS[role],
    )


def join(actor: Actor, role: Role) -> Actor:
    """Another member of the actor's organization."""
    user = User.objects.create_user(f"{new_id().hex}@example.org")
    Membership.objects.create(organization_id=actor.organization_id, user=user, role=role)
    return dataclasses.replace(actor, user_id=user.id, permissions=PERMISSIONS[role])


def definition(tasks, *, name="test", **more):
    """A definition of noop tasks given as `{key: needs}` or `{key: {…}}`, needs as words."""
    return {
        "schema_version": 1,
        "name": name,
        "tasks": {
            key: {"uses": "noop", "needs": given.split()} if isinstance(given, str) else {"uses": "noop"} | given
            for key, given in tasks.items()
        },
    } | more


def start_run(actor: Actor, tasks, *, given=None, **more) -> WorkflowRun:
    """Apply a definition and start it."""
    document = Document.of(definition(tasks, **more))
    workflow = catalog.apply_definition(actor=actor, document=document).workflow
    return runs.start_run(actor=actor, reference=str(workflow.id), inputs=given or {})


def make_waiting_runs(connection, actor: Actor, count: int) -> None:
    """Make runs in which one task waits for a signal and nine wait for that task."""
    # A worker that takes it meanwhile lets it wait, too.
    template = start_run(actor, {"a": {"uses": "signal"}, **{f"b{number}": "a" for number in range(9)}}, name="waiting")
    parameters = {"template": template.id, "count": count}
    with connection.transaction():
        for statement in _COPY_AS_WAITING:
            connection.execute(statement, parameters)
    connection.execute("ANALYZE task_executions")
    connection.execute("ANALYZE workflow_runs")


# As many copies as wanted of a run that is there, without its tasks.
COPY_RUNS = """
    INSERT INTO workflow_runs (
        id, organization_id, environment_id, workflow_id, workflow_version_id, user_id, trigger_type, status,
        reason, hold, inputs, error_message, created_at, started_at
    )
    SELECT gen_random_uuid(), organization_id, environment_id, workflow_id, workflow_version_id, user_id,
           trigger_type, status, reason, hold, inputs, error_message, created_at, started_at
    FROM workflow_runs CROSS JOIN generate_series(1, %(count)s) WHERE id = %(template)s
    RETURNING id
"""
_COPY_AS_WAITING = (
    "UPDATE task_executions SET status = 'waiting', reason = 'signal' WHERE run_id = %(template)s AND task_key = 'a'",
    f"""
    WITH made AS (
        {COPY_RUNS}
    )
    INSERT INTO task_executions (
        run_id, organization_id, task_key, position, kind, needs, run_if, status, reason, attempt, tries,
        platform_failures, generation, hold, worker, queue, priority, error_code, error_message, created_at
    )
    SELECT made.id, organization_id, task_key, position, kind, needs, run_if, status, reason, attempt, tries,
           platform_failures, generation, hold, worker, queue, priority, error_code, error_message, created_at
    FROM made CROSS JOIN task_executions t WHERE t.run_id = %(template)s
    """,
)


def wait_for_end(run_id: UUID, seconds: float = PATIENCE_SECONDS) -> WorkflowRun:
    """Wait until a run is over; fail with its tasks when it does not end."""
    deadline = time.monotonic() + seconds
    while True:
        run = WorkflowRun.objects.get(id=run_id)
        if run.finished_at is not None:
            return run
        if time.monotonic() > deadline:
            raise AssertionError(f"run {run_id} is still {run.status} after {seconds} s: {statuses(run_id)}")
        time.sleep(POLL_SECONDS)


def statuses(run_id: UUID) -> dict[str, str]:
    """Task key → status, with the reason where there is one."""
    return {
        row.task_key: f"{row.status} ({row.reason})" if row.reason else row.status
        for row in TaskExecution.objects.filter(run_id=run_id).order_by("position")
    }
