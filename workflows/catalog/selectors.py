"""Reading workflows and their versions."""

from __future__ import annotations

from django.db.models import QuerySet

from accounts.actor import Actor
from accounts.permissions.roles import Permission
from maestro.core import sql
from maestro.core.ids import parse_id
from workflows.catalog import cache
from workflows.compiler.plan import ExecutionPlan
from workflows.errors import VersionNotFound, WorkflowNotFound
from workflows.models import Workflow, WorkflowVersion


def list_workflows(*, actor: Actor) -> QuerySet[Workflow]:
    """Return the organization's workflows that are in use."""
    actor.require(Permission.READ_WORKFLOWS)
    return Workflow.objects.filter(
        organization_id=actor.organization_id, archived_at=None, active_version__isnull=False
    ).select_related("active_version")


def get_workflow(*, actor: Actor, reference: str) -> Workflow:
    """Return a workflow by id, archived ones too, or by the name of one in use. Raises `WorkflowNotFound`."""
    actor.require(Permission.READ_WORKFLOWS)
    own = Workflow.objects.filter(organization_id=actor.organization_id).select_related("active_version")
    identifier = parse_id(reference)
    found = own.filter(id=identifier).first() if identifier else _find_named(own, reference)
    if found is None or found.active_version is None:
        raise WorkflowNotFound(reference)
    return found


def list_versions(*, actor: Actor, workflow: Workflow) -> QuerySet[WorkflowVersion]:
    """Return a workflow's versions."""
    actor.require(Permission.READ_WORKFLOWS)
    return WorkflowVersion.objects.filter(organization_id=actor.organization_id, workflow=workflow)


def get_version(*, actor: Actor, workflow: Workflow, number: int | None) -> WorkflowVersion:
    """Return a version by its number, the active one where none is named. Raises `VersionNotFound`."""
    actor.require(Permission.READ_WORKFLOWS)
    if number is None:
        assert workflow.active_version is not None
        return workflow.active_version
    version = list_versions(actor=actor, workflow=workflow).filter(number=number).first()
    if version is None:
        raise VersionNotFound(workflow.name, number)
    return version


def get_plan(version: WorkflowVersion) -> ExecutionPlan:
    """Return the compiled plan of a version."""
    return cache.get_version(sql.request_connection(), version.id).plan


def _find_named(own: QuerySet[Workflow], name: str) -> Workflow | None:
    return None if "\0" in name else own.filter(name=name, archived_at=None).first()
