"""Shows people the canvases a plan compiles to when every task succeeds, and where a task ends in `advance` and why.
Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.compiler import shape
from workflows.compiler.plan import MAIN, EndReason, ExecutionPlan
from workflows.compiler.shape import Fork, Step, Stretch

# Branches of one group written out as text; the rest is counted.
MAX_BRANCHES_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SketchedCanvas:
    """One canvas, as it is sent."""

    header: Fork | None
    """The header of the chord it starts with, if it does."""
    stretch: Stretch
    """The chain; after a header, the chord's body."""
    ends_with: str
    """Key of the task after which `advance` looks at what follows."""
    because: EndReason
    """Why the canvas ends there."""
    section: str
    """Which part of the definition its tasks stand in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """All canvases of a plan, in the order they can be sent."""

    plan: ExecutionPlan
    """What was compiled."""
    canvases: tuple[SketchedCanvas, ...]
    """Every task stands in exactly one of them."""


def sketch_plan(plan: ExecutionPlan) -> Sketch:
    """Compile a plan from its roots on, frontier by frontier."""
    canvases: list[SketchedCanvas] = []
    hooks = plan.hook_roots().values()
    seen: set[int] = {*plan.roots, *(position for roots in hooks for position in roots)}
    frontiers: deque[tuple[tuple[int, ...], int | None]] = deque(
        [(plan.roots, plan.root_join), *((roots, None) for roots in hooks)]
    )
    while frontiers:
        branches, join = frontiers.popleft()
        for canvas in _canvases_of(plan, branches, join):
            canvases.append(canvas)
            end = plan.tasks[canvas.stretch.last]
            following = tuple(position for position in end.successors if position not in seen)
            seen.update(following)
            if following:
                frontiers.append((following, end.join if following == end.successors else None))
    return Sketch(plan=plan, canvases=tuple(canvases))


def as_json(sketch: Sketch) -> list[dict[str, Any]]:
    """Write a sketch as JSON values: chains are lists, `group` holds the branches of a chord's header."""
    return [
        {
            "canvas": (_json_elements(sketch.plan, (canvas.header,)) if canvas.header else [])
            + _json_elements(sketch.plan, canvas.stretch.elements),
            "advance_after": canvas.ends_with,
            "because": canvas.because.value,
            "section": canvas.section,
        }
        for canvas in sketch.canvases
    ]


def as_text(sketch: Sketch) -> str:
    """Write a sketch as an indented tree."""
    return "\n".join(line for canvas in sketch.canvases for line in _text_lines(sketch.plan, canvas))


def _canvases_of(plan: ExecutionPlan, branches: Sequence[int], join: int | None) -> Iterator[SketchedCanvas]:
    forked = shape.fork_from(plan, branches, join) if join is not None and len(branches) > 1 else None
    if forked is not None:
        yield _canvas(plan, forked[1], forked[0])
        return
    for position in branches:
        yield _canvas(plan, shape.stretch_from(plan, position), None)


def _canvas(plan: ExecutionPlan, stretch: Stretch, header: Fork | None) -> SketchedCanvas:
    last = plan.tasks[stretch.last]
    return SketchedCanvas(
        header=header,
        stretch=stretch,
        ends_with=last.key,
        because=shape.end_reason(plan, stretch),
        section=last.section,
    )


def _json_elements(plan: ExecutionPlan, elements: Sequence[Step | Fork]) -> list[Any]:
    return [
        {"task": plan.tasks[element.position].key}
        if isinstance(element, Step)
        else {"group": [_json_elements(plan, branch.elements) for branch in element.branches]}
        for element in elements
    ]


def _text_lines(plan: ExecutionPlan, canvas: SketchedCanvas) -> Iterator[str]:
    elements: tuple[Step | Fork, ...] = ((canvas.header,) if canvas.header else ()) + canvas.stretch.elements
    sent = "chord" if canvas.header else ("chain" if len(elements) > 1 else "task")
    yield sent if canvas.section == MAIN else f"{sent} of {canvas.section}"
    yield from _element_lines(plan, elements, "  ")
    yield f"  advance after {canvas.ends_with}: {canvas.because.value}"


def _element_lines(plan: ExecutionPlan, elements: Sequence[Step | Fork], indent: str) -> Iterator[str]:
    for element in elements:
        if isinstance(element, Step):
            yield f"{indent}{plan.tasks[element.position].key}"
            continue
        yield f"{indent}group"
        for branch in element.branches[:MAX_BRANCHES_SHOWN]:
            lines = list(_element_lines(plan, branch.elements, ""))
            yield f"{indent}  - {lines[0]}"
            yield from (f"{indent}    {line}" for line in lines[1:])
        if len(element.branches) > MAX_BRANCHES_SHOWN:
            yield f"{indent}  … and {len(element.branches) - MAX_BRANCHES_SHOWN} more branches"
