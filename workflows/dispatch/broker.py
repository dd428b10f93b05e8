"""What the broker still holds, judged from the head of a queue: how lost messages are told from waiting ones.

Comparing every waiting message would cost the broker seconds at a long backlog. Instead messages carry `queued_at`, and
a queue is first in, first out: what was sent well before the message that is taken next, and is held by no worker, is
lost. A long backlog is never taken for lost, because its head is old. The order is not exact (producers stall before
their push, deliveries are restored), so a little slack is given; an error costs one message, which finds nothing to do.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass

from celery import current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

# Messages at the head looked at for one that is dated.
HEAD_LENGTH = 20


class BrokerAway(Exception):
    """The broker does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """One look at a queue."""

    is_empty: bool
    """Nothing waits."""
    head_queued_at: datetime.datetime | None
    """The date of the message that is taken next; None when the queue is empty or does not say."""

    @property
    def is_dated(self) -> bool:
        """Whether anything can be concluded from this look."""
        return self.is_empty or self.head_queued_at is not None


def look_at_queue(queue: str) -> QueueView:
    """Look at the head of a queue. Raises `BrokerAway`."""
    try:
        with current_app.connection_for_read() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0.1)
            with broker.default_channel.conn_or_acquire() as client:
                waiting = client.lrange(queue, -HEAD_LENGTH, -1)
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerAway(type(error).__name__) from error
    return QueueView(is_empty=not waiting, head_queued_at=_queued_at_of_head(waiting))


def _queued_at_of_head(waiting: list[bytes]) -> datetime.datetime | None:
    """Return the date of the first message that has one; messages are taken from the right."""
    for message in reversed(waiting):
        queued_at = (json.loads(message).get("headers") or {}).get("queued_at")
        if isinstance(queued_at, str):
            return datetime.datetime.fromisoformat(queued_at)
    return None
