"""Turns the tasks of a run or a version into what the graph's template draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.admin import graph
from workflows.admin.graph import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnTask:
    """A box with what it says and leads to."""

    box: Box
    """Where it stands."""
    status: str
    """The task's status; empty for a version, which has none."""
    below: str
    """The second line: the kind, or the status with how long it took."""
    url: str
    """Where a click leads; empty for nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLook:
    """What one task looks like on a drawing."""

    needs: Sequence[str]
    """Keys of the tasks it needs."""
    below: str
    """As `DrawnTask.below`."""
    status: str = ""
    """As `DrawnTask.status`."""
    url: str = ""
    """As `DrawnTask.url`."""


def draw_tasks(tasks: Mapping[str, TaskLook]) -> dict[str, Any]:
    """Return the context of `workflows/admin/graph.html` for tasks in topological order."""
    drawing = graph.draw({key: look.needs for key, look in tasks.items()})
    boxes = [
        DrawnTask(box=box, status=tasks[box.key].status, below=tasks[box.key].below, url=tasks[box.key].url)
        for box in drawing.boxes
    ]
    return {"drawing": drawing, "tasks": boxes, "width": graph.WIDTH, "height": graph.HEIGHT}
