"""Pausing and resuming runs, workflows, queues and whole organizations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from accounts.actor import Actor
from accounts.permissions.roles import Permission
from maestro.core import sql
from workflows.catalog import selectors as catalog
from workflows.dispatch import pausing
from workflows.dispatch.recovery import CANVAS_QUEUE
from workflows.errors import AlreadyPaused, NotPaused, QueueNotFound, RunAlreadyFinished
from workflows.models import Pause
from workflows.runs import selectors as runs
from workflows.runs.statuses import PauseScope, RunStatus


@dataclass(frozen=True, slots=True)
class PauseTarget:
    """What is paused or resumed: a run, a workflow, a queue, or with nothing given all of the organization."""

    run_id: UUID | None = None
    """The run."""
    workflow: str | None = None
    """The workflow, by its name or id: all its runs, those started later too."""
    queue: str | None = None
    """The queue: the tasks of the organization in it."""


def pause(*, actor: Actor, target: PauseTarget, reason: str) -> Pause:
    """Let nothing begin any more in the target, until it is resumed; what runs goes on to its end.

    Who pauses again what they have paused may say another reason; that replaces the first. Raises `RunNotFound`,
    `WorkflowNotFound`, `QueueNotFound`, `RunAlreadyFinished`, and `AlreadyPaused` when somebody else has paused it.
    """
    actor.require(Permission.PAUSE_RUNS)
    columns = _columns_of(actor, target)
    if target.run_id is not None:
        run = runs.get_run(actor=actor, run_id=target.run_id)
        if RunStatus(run.status).is_terminal:
            raise RunAlreadyFinished(run.status)
    first = {"reason": reason, "paused_by_id": actor.user_id}
    paused, is_new = Pause.objects.get_or_create(**columns, resumed_at=None, defaults=first)
    if not is_new and paused.paused_by_id != actor.user_id:
        email = paused.paused_by.email if paused.paused_by else None
        raise AlreadyPaused(email=email, paused_at=paused.paused_at, reason=paused.reason)
    if reason and paused.reason != reason:
        Pause.objects.filter(id=paused.id).update(reason=reason)
    # After the commit: a run that is started meanwhile sees the pause, or is seen here.
    transaction.on_commit(lambda: pausing.settle_pause(sql.request_connection(), paused.id))
    return _read(paused)


def resume(*, actor: Actor, target: PauseTarget) -> Pause:
    """Let the target go on, but for what another pause covers.

    Raises `RunNotFound`, `WorkflowNotFound`, `QueueNotFound`, and `NotPaused`, which names the pauses there are.
    """
    actor.require(Permission.PAUSE_RUNS)
    columns = _columns_of(actor, target)
    with transaction.atomic():
        paused = Pause.objects.select_for_update().filter(**columns, resumed_at=None).first()
        if paused is None:
            others = Pause.objects.filter(organization_id=actor.organization_id, resumed_at=None)
            raise NotPaused(columns["scope"], sorted({other.scope for other in others}))
        Pause.objects.filter(id=paused.id).update(resumed_by=actor.user_id, resumed_at=Now(), settled_at=None)
    transaction.on_commit(lambda: pausing.settle_pause(sql.request_connection(), paused.id))
    return _read(paused)


def _columns_of(actor: Actor, target: PauseTarget) -> dict[str, Any]:
    """Return the columns that say what is paused, of a target that exists."""
    columns: dict[str, Any] = {"organization_id": actor.organization_id, "run": None, "workflow": None, "queue": ""}
    if target.run_id is not None:
        return columns | {"scope": PauseScope.RUN, "run": runs.get_run(actor=actor, run_id=target.run_id)}
    if target.workflow is not None:
        workflow = catalog.get_workflow(actor=actor, reference=target.workflow)
        return columns | {"scope": PauseScope.WORKFLOW, "workflow": workflow}
    if target.queue is not None:
        if target.queue != CANVAS_QUEUE:
            raise QueueNotFound(target.queue, [CANVAS_QUEUE])
        return columns | {"scope": PauseScope.QUEUE, "queue": target.queue}
    return columns | {"scope": PauseScope.ORGANIZATION}


def _read(paused: Pause) -> Pause:
    return Pause.objects.select_related("run", "workflow", "paused_by", "resumed_by").get(id=paused.id)
