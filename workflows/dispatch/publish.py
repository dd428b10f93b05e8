"""Sending canvases to the broker, after the commit that made their tasks ready. A send that fails loses nothing:
recovery sends again.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from celery import Signature
from kombu.exceptions import OperationalError

from maestro.core.clock import format_time
from workflows.catalog.cache import CompiledVersion
from workflows.compiler import canvas
from workflows.compiler.canvas import CanvasScope

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A row that just became queued."""

    id: int
    """The row."""
    task_key: str
    """The task's name inside its definition."""
    generation: int
    """Generation of the row."""
    queued_at: datetime.datetime
    """When it became queued, by the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """A run as publishing needs it."""

    run_id: UUID
    """The run."""
    organization_id: UUID
    """Its tenant."""


def publish(
    run: RunRef, version: CompiledVersion, ready: Sequence[Ready], origin: str | None, *, alone: bool = False
) -> None:
    """Send what runs from the rows that became ready because of one origin, None for the start of the run.

    `alone` is for rows woken by recovery, a timer or a signal: each gets a canvas that ends with itself.
    """
    scope = CanvasScope(
        run_id=run.run_id,
        organization_id=run.organization_id,
        workflow_name=version.definition.name,
        generations={row.task_key: row.generation for row in ready if row.generation},
    )
    rows = {version.positions[row.task_key]: row for row in ready}
    if alone:
        for position, row in rows.items():
            _send(canvas.compile_alone(version.plan, scope, position), [row])
        return
    start = None if origin is None else version.positions[origin]
    canvases = canvas.compile_canvas(version.plan, scope, sorted(rows), start)
    if len(canvases) == 1:
        _send(canvases[0], list(ready))
        return
    for position, signature in zip(sorted(rows), canvases, strict=True):
        _send(signature, [rows[position]])


def _send(signature: Signature, rows: Sequence[Ready]) -> None:
    """Send one canvas. The broker being away is not this caller's failure: the rows say `queued`, so recovery sends
    them.
    """
    headers = {"queued_at": format_time(min(row.queued_at for row in rows))}
    try:
        signature.apply_async(headers=headers)
    except OperationalError as error:
        logger.warning("Broker not available, recovery will send %d queued tasks: %s", len(rows), type(error).__name__)
