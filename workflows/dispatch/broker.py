"""What the broker still holds, judged from the head of a queue: how lost messages are told from waiting ones.

Comparing every waiting message would cost the broker seconds at a long backlog. Instead messages carry `queued_at`, and
those of a queue that have the same priority are in a list of their own, first in, first out: what was sent well before
the message that is taken next from it, and is held by no worker, is lost. A long backlog is never taken for lost,
because its head is old. The order is not exact (producers stall before their push, deliveries are restored), so a
little slack is given; an error costs one message, which finds nothing to do.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from executors.pools.queues import HEAD_LENGTH, Waiting, key_of, look_at_queues, queued_at_of_head

# For so long after it did not answer, nobody of this process asks again: a hundred sends must not each wait for it.
AWAY_SECONDS = 5.0
# What a broker raises that is away, hangs, or refuses to write because its memory is full.
AWAY = (OperationalError, RedisError, OSError)


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


def look_at_queue(queue: str, priority: int) -> QueueView:
    """Look at the head of a queue, among its messages of one priority. Raises `BrokerAway`."""
    with _channel() as channel, channel.conn_or_acquire() as client:
        waiting = client.lrange(key_of(queue, priority), -HEAD_LENGTH, -1)
    return QueueView(is_empty=not waiting, head_queued_at=queued_at_of_head(waiting))


def count_waiting(queue: str, priority: int) -> Waiting:
    """Count the messages in a queue that are of a priority, or taken before those. Raises `BrokerAway`."""
    with _channel() as channel:
        return look_at_queues(channel, [queue], up_to=priority)


@contextmanager
def _channel() -> Iterator[Any]:
    """Open a channel to look at queues; turn whatever a broker that is away makes of that into `BrokerAway`."""
    if is_away():
        raise BrokerAway("it did not answer a moment ago")
    try:
        with current_app.connection_for_read() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0.1)
            yield broker.default_channel
    except AWAY as error:
        note_away()
        raise BrokerAway(type(error).__name__) from error


def forget_delivery(message_id: str) -> None:
    """Remove a message that its worker took and will never acknowledge, or the broker would deliver it again some day.

    Raises `BrokerAway`.
    """
    try:
        with current_app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0.1)
            channel = broker.default_channel
            with channel.conn_or_acquire() as client:
                for tag, delivery in client.hscan_iter(channel.unacked_key):
                    if json.loads(delivery)[0]["headers"].get("id") == message_id:
                        client.zrem(channel.unacked_index_key, tag)
                        client.hdel(channel.unacked_key, tag)
    except AWAY as error:
        note_away()
        raise BrokerAway(type(error).__name__) from error


_away_until = [0.0]


def note_away() -> None:
    """Remember that the broker did not answer."""
    _away_until[0] = time.monotonic() + AWAY_SECONDS


def is_away() -> bool:
    """Tell whether the broker did not answer a moment ago."""
    return time.monotonic() < _away_until[0]
