"""The page about statuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from workflows.runs.statuses import RUN_TRANSITIONS, TASK_TRANSITIONS, RunStatus, TaskStatus

_PAGE = """# Statuses

Written by `make docs` from `workflows/runs/statuses.py`. A status changes along these arrows and no others: what is not
drawn is ignored. Each arrow is named by its event; the `reason` of a run or task says more where the status does not.

## A workflow run

{run}

## A task execution

`queued` means ready, and sent by the engine. A task inside a canvas stays `pending` until a worker claims it.

{task}
"""


def page() -> str:
    """Return the page."""
    return _PAGE.format(
        run="\n".join(_diagram(RunStatus.PENDING, RUN_TRANSITIONS)),
        task="\n".join(_diagram(TaskStatus.PENDING, TASK_TRANSITIONS)),
    )


def _diagram(first: StrEnum, transitions: Mapping[Any, Mapping[Any, StrEnum]]) -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {first}"
    for status, events in transitions.items():
        for event, following in events.items():
            yield f"    {status} --> {following}: {event}"
        if not events:
            yield f"    {status} --> [*]"
    yield "```"
