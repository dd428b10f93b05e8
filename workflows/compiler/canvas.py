"""Turns stretches of a plan into Celery canvas. The only module that builds chains and chords.

Normal form: nested chains and groups are flattened; never two groups side by side; never a group last; a header member
is one signature or a chain that ends in one; every signature is immutable and carries ids only. Other shapes run tasks
twice or lose them (docs/explanation/canvas.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import Signature, chain, chord, group, signature

from workflows.compiler import shape
from workflows.compiler.plan import ExecutionPlan
from workflows.compiler.shape import Fork, Step, Stretch

EXECUTE = "workflows.dispatch.execute"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasScope:
    """What every signature of a run's canvas carries."""

    run_id: UUID
    """The run."""
    organization_id: UUID
    """Its tenant."""
    workflow_name: str
    """Shown with the task key as the task's name in Flower."""
    generations: Mapping[str, int]
    """Task key → generation, where it is not 0."""


def compile_canvas(
    plan: ExecutionPlan, scope: CanvasScope, frontier: Sequence[int], origin: int | None
) -> list[Signature]:
    """Compile what runs from the tasks that just became ready.

    `origin` is the task whose end made them ready, None for the start of a run. A frontier that owns every branch of a
    closed fork becomes one chord; any other task becomes a canvas of its own.
    """
    branches, join = (plan.roots, plan.root_join) if origin is None else _fork_of(plan, origin)
    if join is not None and len(frontier) > 1 and sorted(frontier) == list(branches):
        forked = shape.fork_from(plan, branches, join)
        if forked is not None:
            fork, after = forked
            return [chord([_compile(plan, scope, branch) for branch in fork.branches], _compile(plan, scope, after))]
    return [_compile(plan, scope, shape.stretch_from(plan, position)) for position in frontier]


def compile_alone(plan: ExecutionPlan, scope: CanvasScope, position: int) -> Signature:
    """Compile one task whose end is always followed by `advance`: for tasks woken by a timer, a signal or recovery.

    Their fork may already have a chord, whose body never fires a second time.
    """
    return _signature(plan, scope, position)


def _fork_of(plan: ExecutionPlan, position: int) -> tuple[tuple[int, ...], int | None]:
    return plan.tasks[position].successors, plan.tasks[position].join


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
        task_id=make_message_id(scope.run_id, position, generation),
        shadow=f"{scope.workflow_name}.{key}",
    )


def make_message_id(run_id: UUID, position: int, generation: int) -> str:
    """Name a message after what it runs, so that whoever finds it in the broker or in a worker knows without opening
    it.

    Two messages for one task share the id, and a chord counts an id once.
    """
    return f"{run_id}.{position}.{generation}"


def run_and_position(message_id: str) -> tuple[UUID, int] | None:
    """Read back what a message runs; None for an id that `make_message_id` did not make."""
    run_id, _, rest = message_id.partition(".")
    try:
        return UUID(run_id), int(rest.partition(".")[0])
    except ValueError:
        return None
