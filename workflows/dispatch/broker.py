"""What the broker still holds, judged from the head of a queue: how lost messages are told from waiting ones.

Comparing every waiting message would cost the broker seconds at a long backlog. Instead messages carry their rows'
`queued_at`, and a queue is first in, first out: what was sent well before the message that is taken next, and is held
by no worker, is lost. A long backlog is never taken for lost, because its head is old. The order is not exact
(producers stall before their push, deliveries are restored), so a little slack is given; an error costs one message,
which finds nothing to do.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import current_app

from workflows.compiler.canvas import run_and_position

# Messages at the head looked at for one that carries `queued_at`; those that Celery sent on inside a canvas do not.
HEAD_LENGTH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """One look at a queue."""

    is_empty: bool
    """Nothing waits."""
    head_queued_at: datetime.datetime | None
    """When the row of the message that is taken next was queued; None when the queue is empty or does not say."""
    held: tuple[tuple[UUID, int], ...]
    """Run and position of the messages that workers have taken and not acknowledged."""

    @property
    def is_dated(self) -> bool:
        """Whether anything can be concluded from this look."""
        return self.is_empty or self.head_queued_at is not None


def look_at_queue(queue: str) -> QueueView:
    """Look at the head of a queue and at what workers hold. Raises `OperationalError` while the broker is away."""
    with current_app.connection_for_read() as broker, broker.default_channel.conn_or_acquire() as client:
        waiting = client.lrange(queue, -HEAD_LENGTH, -1)
        held = client.hvals("unacked")
    return QueueView(is_empty=not waiting, head_queued_at=_queued_at_of_head(waiting), held=tuple(_held(held)))


def _queued_at_of_head(waiting: list[bytes]) -> datetime.datetime | None:
    """Return the `queued_at` of the first message that has one; messages are taken from the right."""
    for message in reversed(waiting):
        queued_at = _headers(json.loads(message)).get("queued_at")
        if isinstance(queued_at, str):
            return datetime.datetime.fromisoformat(queued_at)
    return None


def _held(unacknowledged: list[bytes]) -> Iterator[tuple[UUID, int]]:
    for delivery in unacknowledged:
        message, *_ = json.loads(delivery)
        names = run_and_position(str(_headers(message).get("id", "")))
        if names is not None:
            yield names


def _headers(message: Mapping[str, Any]) -> Mapping[str, Any]:
    headers: Mapping[str, Any] = message.get("headers") or {}
    return headers
