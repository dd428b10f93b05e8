"""Applying definitions, activating versions, archiving workflows."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from accounts.actor import Actor
from accounts.permissions.roles import Permission
from executors.kinds import registry
from workflows.catalog import cache, selectors
from workflows.compiler import plan as plans
from workflows.definition.canonical import content_hash
from workflows.definition.document import Document
from workflows.definition.problems import DefinitionInvalid, Problem
from workflows.definition.spec import WorkflowDefinition
from workflows.definition.validation import validate
from workflows.errors import DefinitionRefused, VersionNotFound, WorkflowArchived
from workflows.models import Workflow, WorkflowVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What applying a definition did."""

    workflow: Workflow
    """The workflow, with its active version loaded."""
    is_new_version: bool
    """False when a version of this content existed already; it is the active one now."""


def find_problems(*, actor: Actor, document: Document) -> tuple[Problem, ...]:
    """List what is wrong with a definition; nothing is stored."""
    actor.require(Permission.READ_WORKFLOWS)
    try:
        validate(document, kinds=registry.options_models())
    except DefinitionInvalid as error:
        return error.problems
    return ()


def apply_definition(*, actor: Actor, document: Document) -> Applied:
    """Make the definition the active version of the workflow it names, creating what does not exist yet.

    Raises `DefinitionRefused` with every problem.
    """
    actor.require(Permission.WRITE_WORKFLOWS)
    try:
        definition = validate(document, kinds=registry.options_models())
    except DefinitionInvalid as error:
        raise DefinitionRefused(error.problems) from error
    digest = content_hash(document.value)
    with transaction.atomic():
        workflow = _locked_workflow(actor, definition.name)
        version = WorkflowVersion.objects.filter(workflow=workflow, content_hash=digest).first()
        is_new = version is None
        if version is None:
            version = _create_version(actor, workflow, definition, document, digest)
        if workflow.active_version_id != version.id:
            _activate(workflow, version, definition.description or "")
    return Applied(workflow=workflow, is_new_version=is_new)


def activate_version(*, actor: Actor, reference: str, number: int) -> Workflow:
    """Make an existing version the one that new runs use. Raises `VersionNotFound`, `WorkflowArchived`."""
    actor.require(Permission.WRITE_WORKFLOWS)
    with transaction.atomic():
        workflow = _locked(selectors.get_workflow(actor=actor, reference=reference))
        version = WorkflowVersion.objects.filter(workflow=workflow, number=number).first()
        if version is None:
            raise VersionNotFound(workflow.name, number)
        if workflow.archived_at is not None:
            raise WorkflowArchived(workflow.name)
        if workflow.active_version_id != version.id:
            _activate(workflow, version, version.definition.get("description") or "")
    return workflow


def archive_workflow(*, actor: Actor, reference: str) -> Workflow:
    """Take a workflow out of use and free its name; its runs go on and stay readable. Twice changes nothing."""
    actor.require(Permission.WRITE_WORKFLOWS)
    with transaction.atomic():
        workflow = _locked(selectors.get_workflow(actor=actor, reference=reference))
        if workflow.archived_at is None:
            Workflow.objects.filter(id=workflow.id).update(archived_at=Now(), updated_at=Now())
            workflow.refresh_from_db(fields=["archived_at", "updated_at"])
    return workflow


def _locked(workflow: Workflow) -> Workflow:
    return Workflow.objects.select_for_update(of=("self",)).select_related("active_version").get(id=workflow.id)


def _locked_workflow(actor: Actor, name: str) -> Workflow:
    """Lock the workflow of this name, creating it first where there is none; two first applies at once make one."""
    new = Workflow(organization_id=actor.organization_id, name=name)
    Workflow.objects.bulk_create([new], ignore_conflicts=True)
    return (
        Workflow.objects.select_for_update(of=("self",))
        .select_related("active_version")
        .get(organization_id=actor.organization_id, name=name, archived_at=None)
    )


def _create_version(
    actor: Actor, workflow: Workflow, definition: WorkflowDefinition, document: Document, digest: str
) -> WorkflowVersion:
    latest = WorkflowVersion.objects.filter(workflow=workflow).aggregate(latest=Max("number"))["latest"] or 0
    return WorkflowVersion.objects.create(
        organization_id=actor.organization_id,
        workflow=workflow,
        number=latest + 1,
        content_hash=digest,
        definition=document.value,
        plan=plans.plan_to_json(cache.compile_definition(definition)),
        plan_version=plans.PLAN_VERSION,
        created_by_id=actor.user_id,
    )


def _activate(workflow: Workflow, version: WorkflowVersion, description: str) -> None:
    workflow.active_version = version
    workflow.description = description
    Workflow.objects.filter(id=workflow.id).update(active_version=version, description=description, updated_at=Now())
    workflow.refresh_from_db(fields=["updated_at"])
