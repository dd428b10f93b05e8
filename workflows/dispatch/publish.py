"""Sending canvases to the broker, after the commit that made their tasks ready. A send that fails loses nothing: the
rows say `queued`, so recovery sends them.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import Signature, signals
from psycopg.rows import class_row

from maestro.core import sql
from maestro.core.clock import format_time
from workflows.catalog.cache import CompiledVersion
from workflows.compiler import canvas
from workflows.compiler.canvas import CanvasScope
from workflows.dispatch import broker

logger = logging.getLogger(__name__)

# A run with more ready tasks at its start has a worker send them: each send takes about half a millisecond of the
# request.
MAX_SENT_AT_START = 50

# Dated anew: the message that brings this about may have waited long, and what is sent now carries today's date.
_QUEUED_TASKS = """
UPDATE task_executions SET queued_at = clock_timestamp()
WHERE run_id = %(run_id)s AND status = 'queued' AND hold = 0 AND map_index IS NULL
RETURNING id, task_key, generation, priority, queued_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A row that just became queued."""

    id: int
    """The row."""
    task_key: str
    """The task's name inside its definition."""
    generation: int
    """Generation of the row."""
    priority: int
    """That of its run, as the broker numbers it."""
    queued_at: datetime.datetime
    """When it became queued, by the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """A run as publishing needs it."""

    run_id: UUID
    """The run."""
    organization_id: UUID
    """Its tenant."""


def ready_of(row: Mapping[str, Any]) -> Ready:
    """Return a row that just became queued, from one that was read with other columns too."""
    return Ready(**{field.name: row[field.name] for field in dataclasses.fields(Ready)})


def publish(run: RunRef, version: CompiledVersion, ready: Sequence[Ready], *, alone: bool = False) -> None:
    """Send what runs from rows of one section of a run that became ready at the same time.

    `alone` is for rows woken by recovery, a timer or a signal: each gets a canvas that ends with itself.
    """
    scope = CanvasScope(
        run_id=run.run_id,
        organization_id=run.organization_id,
        workflow_name=version.definition.name,
        priority=ready[0].priority,
        generations={row.task_key: row.generation for row in ready if row.generation},
        queued_at={row.task_key: row.queued_at for row in ready},
    )
    rows = {version.positions[row.task_key]: row for row in ready}
    if alone:
        for position, row in rows.items():
            _send(canvas.compile_alone(version.plan, scope, position), row.queued_at)
        return
    for compiled in canvas.compile_canvas(version.plan, scope, list(rows)):
        _send(compiled.signature, min(rows[position].queued_at for position in compiled.starts_with))


def publish_start(run: RunRef, version: CompiledVersion, ready: Sequence[Ready]) -> None:
    """Send the first tasks of a run, or one message by which a worker sends them when they are many."""
    if len(ready) <= MAX_SENT_AT_START:
        publish(run, version, ready)
        return
    asking = canvas.ask_to_send_queued(run.run_id, run.organization_id, ready[0].priority)
    _send(asking, ready[0].queued_at)


def publish_queued(connection: sql.Connection, run: RunRef, version: CompiledVersion, *, alone: bool = False) -> None:
    """Send every queued task of a run that is not paused."""
    with sql.cursor(connection, class_row(Ready)) as cursor:
        ready = cursor.execute(_QUEUED_TASKS, {"run_id": run.run_id}).fetchall()
    if ready:
        publish(run, version, ready, alone=alone)


def _send(message: Signature, queued_at: datetime.datetime) -> None:
    if broker.is_away():
        return
    try:
        message.apply_async(headers={"queued_at": format_time(queued_at)})
    except broker.AWAY as error:
        broker.note_away()
        logger.warning("A canvas could not be sent, recovery will send its tasks: %s", type(error).__name__)
    except Exception:
        # Whatever it was, the caller's own work is committed and must not fail for it.
        broker.note_away()
        logger.exception("A canvas could not be sent, recovery will send its tasks")


# When the task that this process ran last ended, by the database's clock. What Celery sends on inside a canvas, it
# sends right after that.
_last_end: list[str] = []


def note_end(ended_at: datetime.datetime) -> None:
    """Remember when a task ended, to date the messages that follow it inside its canvas."""
    _last_end[:] = [format_time(ended_at) or ""]


@signals.before_task_publish.connect
def _date_message(headers: MutableMapping[str, Any] | None = None, **_: Any) -> None:
    """Give every message a `queued_at`; a chord's body would carry that of its header."""
    if headers is not None and _last_end:
        headers["queued_at"] = max(headers.get("queued_at") or "", _last_end[0])
