"""What waits in a worker's queues: how many messages, and how old the ones taken next are."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kombu.transport.redis import PRIORITY_STEPS, Channel

# Messages at the head looked at for one that is dated.
HEAD_LENGTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One look at some queues."""

    count: int
    """Messages in all of them."""
    oldest_queued_at: datetime.datetime | None
    """The earliest date of a message that is taken next; None when nothing waits, or nothing says when it was sent."""


def key_of(queue: str, priority: int) -> str:
    """Name the list in which the broker keeps the messages of a queue that have this priority."""
    return f"{queue}{Channel.sep}{priority}" if priority else queue


def keys_of(queue: str, up_to: int = PRIORITY_STEPS[-1]) -> list[str]:
    """Name the lists of a queue, down to a priority, in the order in which the broker takes messages from them."""
    return [key_of(queue, step) for step in PRIORITY_STEPS if step <= up_to]


def queue_of(key: str) -> str:
    """Return the queue whose messages are in a list."""
    return key.partition(Channel.sep)[0]


def look_at_queues(channel: Any, queues: Sequence[str], up_to: int = PRIORITY_STEPS[-1]) -> Waiting:
    """Look at the queues through a channel of a Redis transport, at all priorities down to one in one round trip.

    Raises what kombu and redis raise of a broker that does not answer.
    """
    keys = [key for queue in queues for key in keys_of(queue, up_to)]
    with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.llen(key)
            pipe.lrange(key, -HEAD_LENGTH, -1)
        answers = pipe.execute()
    dates = [date for head in answers[1::2] if (date := queued_at_of_head(head)) is not None]
    return Waiting(count=sum(answers[::2]), oldest_queued_at=min(dates, default=None))


def queued_at_of_head(waiting: Sequence[bytes]) -> datetime.datetime | None:
    """Return the date of the first message that has one; messages are taken from the right."""
    for message in reversed(waiting):
        try:
            return datetime.datetime.fromisoformat(json.loads(message)["headers"]["queued_at"])
        except (ValueError, TypeError, KeyError):
            continue  # somebody else's message
    return None
