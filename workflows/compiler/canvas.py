"""Turns stretches of a plan into Celery canvas. The only module that builds chains and chords.

Normal form: nested chains and groups are flattened; never two groups side by side; never a group last; a header member
is one signature or a chain that ends in one; every signature is immutable and carries ids only. Other shapes run tasks
twice or lose them (docs/explanation/canvas.md).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import Signature, chain, chord, group, signature

from workflows.compiler import shape
from workflows.compiler.plan import ExecutionPlan
from workflows.compiler.shape import Fork, Step, Stretch

EXECUTE = "workflows.dispatch.execute"
SEND_QUEUED = "workflows.dispatch.send_queued"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasScope:
    """What every signature of a run's canvas carries."""

    run_id: UUID
    """The run."""
    organization_id: UUID
    """Its tenant."""
    workflow_name: str
    """Shown with the task key as the task's name in Flower."""
    priority: int
    """That of the run, as the broker numbers it."""
    generations: Mapping[str, int]
    """Task key → generation, where it is not 0."""
    queued_at: Mapping[str, datetime.datetime]
    """Task key → when it became ready, for each task of the frontier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """What one send carries."""

    starts_with: tuple[int, ...]
    """Positions of the ready tasks it carries."""
    signature: Signature
    """The signature, chain or chord."""


def compile_canvas(plan: ExecutionPlan, scope: CanvasScope, frontier: Sequence[int]) -> list[Canvas]:
    """Compile what runs from tasks that became ready at the same time.

    Those of them that are all branches of a closed fork become one chord; any other task becomes a canvas of its own.
    """
    by_needs: dict[tuple[int, ...], list[int]] = {}
    for position in sorted(frontier):
        by_needs.setdefault(plan.tasks[position].needs, []).append(position)
    return [
        canvas for needs, positions in by_needs.items() for canvas in _compile_siblings(plan, scope, needs, positions)
    ]


def compile_alone(plan: ExecutionPlan, scope: CanvasScope, position: int) -> Signature:
    """Compile one task whose end is always followed by `advance`: for tasks woken by a timer, a signal or recovery.

    Their fork may already have a chord, whose body never fires a second time.
    """
    return _signature(plan, scope, position)


def ask_to_send_queued(run_id: UUID, organization_id: UUID, priority: int) -> Signature:
    """Make the message by which a worker sends all queued tasks of a run, in the queue of these tasks."""
    kwargs = {"run_id": str(run_id), "organization_id": str(organization_id)}
    return signature(SEND_QUEUED, kwargs=kwargs, immutable=True, priority=priority)


def _compile_siblings(
    plan: ExecutionPlan, scope: CanvasScope, needs: tuple[int, ...], positions: list[int]
) -> Iterator[Canvas]:
    """Compile tasks that have the same needs."""
    branches, join = _fork_after(plan, needs)
    if join is not None and len(positions) > 1 and tuple(positions) == branches:
        forked = shape.fork_from(plan, branches, join)
        if forked is not None:
            fork, after = forked
            header = [_compile(plan, scope, branch) for branch in fork.branches]
            yield Canvas(starts_with=branches, signature=chord(header, _compile(plan, scope, after)))
            return
    for position in positions:
        signature = _compile(plan, scope, shape.stretch_from(plan, position))
        yield Canvas(starts_with=(position,), signature=signature)


def _fork_after(plan: ExecutionPlan, needs: tuple[int, ...]) -> tuple[tuple[int, ...], int | None]:
    """Return the branches of the fork after one task, or at the start of the run, and where they meet."""
    if not needs:
        return plan.roots, plan.root_join
    if len(needs) == 1:
        return plan.tasks[needs[0]].successors, plan.tasks[needs[0]].join
    return (), None


def _compile(plan: ExecutionPlan, scope: CanvasScope, stretch: Stretch) -> Signature:
    elements = [
        _signature(plan, scope, element.position) if isinstance(element, Step) else _group(plan, scope, element)
        for element in stretch.elements
    ]
    return elements[0] if len(elements) == 1 else chain(*elements)


def _group(plan: ExecutionPlan, scope: CanvasScope, fork: Fork) -> group:
    return group([_compile(plan, scope, branch) for branch in fork.branches])


def _signature(plan: ExecutionPlan, scope: CanvasScope, position: int) -> Signature:
    key = plan.tasks[position].key
    generation = scope.generations.get(key, 0)
    kwargs: dict[str, Any] = {
        "run_id": str(scope.run_id),
        "organization_id": str(scope.organization_id),
        "tasks": [[key, None, generation]],
    }
    return signature(
        EXECUTE,
        kwargs=kwargs,
        immutable=True,
        priority=scope.priority,
        task_id=make_message_id(
            scope.run_id, key, generation, scope.queued_at.get(key) or min(scope.queued_at.values())
        ),
        shadow=f"{scope.workflow_name}.{key}",
    )


def make_message_id(run_id: UUID, task_key: str, generation: int, queued_at: datetime.datetime) -> str:
    """Name a message after what it runs and when that became ready, so that a worker's lease can say what it holds.

    A chord counts an id once, so a doubled message counts once; a message that is sent again has an id of its own, so
    that Celery's memory of a revoked one does not discard it. `workflows.dispatch.lost_messages` spells the id in SQL.
    """
    microseconds = (queued_at - _EPOCH) // datetime.timedelta(microseconds=1)
    return f"{run_id}.{task_key}.{generation}.{microseconds}"
