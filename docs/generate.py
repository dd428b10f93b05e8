"""Writes the pages of `docs/` that are made from the code. `make docs` runs it; `--check` only says what is stale."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from workflows.runs.statuses import RUN_TRANSITIONS, TASK_TRANSITIONS, RunStatus, TaskStatus  # noqa: E402

_STATUSES = """# Statuses

Written by `make docs` from `workflows/runs/statuses.py`. A status changes along these arrows and no others: what is not
drawn is ignored. Each arrow is named by its event; the `reason` of a run or task says more where the status does not.

## A workflow run

{run}

## A task execution

`queued` means ready, and sent by the engine. A task inside a canvas stays `pending` until a worker claims it.

{task}
"""


def main() -> int:
    """Write every page, or check it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    is_check = parser.parse_args().check
    stale = []
    for name, text in pages().items():
        path = DOCS / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not is_check:
                path.write_text(text)
    for name in stale:
        print(f"{name} is not what the code says: run `make docs`" if is_check else f"wrote docs/{name}")
    return 1 if is_check and stale else 0


def pages() -> dict[str, str]:
    """Return every generated page by its path below `docs/`."""
    return {"reference/statuses.md": _statuses()}


def _statuses() -> str:
    return _STATUSES.format(
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


if __name__ == "__main__":
    sys.exit(main())
