"""Calls that a worker of Maestro's took with it: it died before its lease listed them (rule 9 of the engine protocol).

The broker keeps such a message for a day, for a worker that is no more, and does not tell whose it is. So a call is
judged by where it is not: no worker lists it, and it waits in no queue. One that has just been taken looks the same for
a moment. Therefore it takes two looks, between which every worker has listed what it holds.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celery import states
from psycopg.rows import tuple_row

from executors.pools.lease import HEARTBEAT_SECONDS, RELIST
from maestro.core import sql
from workflows.dispatch import celery_calls, lost_messages
from workflows.dispatch.broker import QueueView, look_at_queue

# Calls are sent without a priority.
CALL_PRIORITY = 0
LOOK_AGAIN = RELIST + datetime.timedelta(seconds=2 * HEARTBEAT_SECONDS)
# What ends after it was missed, or is looked at by another beat, is never looked at again here.
MOST_REMEMBERED = 10_000

# Of these calls, those that nobody holds and that a worker which is no more can have taken: it was given up or stopped
# after the call was made, and took from its queue, or is the one that began it. With them, the time at which the last
# of the workers looked up what it holds.
_HELD_BY_NOBODY = """
SELECT call.id, (SELECT coalesce(min(o.held_at), clock_timestamp()) FROM executor_workers o WHERE o.lost_at IS NULL)
FROM unnest(%(ids)s::text[], %(since)s::timestamptz[], %(queues)s::text[], %(workers)s::text[])
    AS call (id, since, queue, worker)
WHERE EXISTS (
      SELECT FROM executor_workers w
      WHERE w.lost_at > call.since AND w.lost_at < clock_timestamp() - %(grace)s
        AND (call.queue = ANY (w.queues) OR call.worker = w.name)
  )
  AND NOT EXISTS (SELECT FROM executor_workers o WHERE o.lost_at IS NULL AND call.id = ANY (o.held))
"""
_LOOK_AGAIN = """
UPDATE task_executions SET wake_at = least(wake_at, clock_timestamp() + %(after)s)
WHERE id = ANY (%(ids)s) AND status = 'waiting' AND reason = 'celery'
RETURNING id, clock_timestamp()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A call whose end nobody has told yet."""

    celery_id: str
    """Id of the Celery task."""
    task_id: int
    """The row that waits for it."""
    since: datetime.datetime
    """When the attempt began that made it."""
    state: Mapping[str, Any]
    """Its record."""

    @property
    def queue(self) -> str | None:
        """The queue in which it waits if no worker has taken it; None if one has begun it, or nobody knows."""
        return self.state.get("queue") if self.state.get("status") == celery_calls.SENT else None

    @property
    def worker(self) -> str | None:
        """Name of the worker that began it, if it has said so, which few do."""
        told = self.state.get("result")
        is_begun = self.state.get("status") == states.STARTED
        return told.get("hostname") if is_begun and isinstance(told, Mapping) else None


class MissingCalls:
    """Remembers since when calls have been missed. What one beat remembers is its own affair."""

    def __init__(self) -> None:
        self._missed_at: dict[str, datetime.datetime] = {}

    def find(self, connection: sql.Connection, calls: Sequence[OpenCall]) -> set[str]:
        """Return the ids of those that nobody has any more, unless they have ended since their records were read.

        Those missed for the first time are looked at again soon. Raises `BrokerAway`.
        """
        missing = _find_missing(connection, calls)
        looked_at: dict[int, datetime.datetime] = {}
        if missing:
            parameters = {"ids": [call.task_id for call, _ in missing], "after": LOOK_AGAIN}
            with sql.cursor(connection, tuple_row) as cursor:
                looked_at = dict(cursor.execute(_LOOK_AGAIN, parameters).fetchall())
        found = set()
        before = {call.celery_id: self._missed_at.pop(call.celery_id, None) for call in calls}
        for call, listed_at in missing:
            missed_at = before[call.celery_id]
            # A call made again has the same id.
            if missed_at is None or missed_at < call.since:
                missed_at = looked_at.get(call.task_id)
            if missed_at is not None and missed_at < listed_at - RELIST:
                found.add(call.celery_id)
            elif missed_at is not None:
                self._missed_at[call.celery_id] = missed_at
        for celery_id in list(self._missed_at)[:-MOST_REMEMBERED]:
            del self._missed_at[celery_id]
        return found


def _find_missing(connection: sql.Connection, calls: Sequence[OpenCall]) -> list[tuple[OpenCall, datetime.datetime]]:
    """Return the calls that nobody has, each with the time at which the last of the workers looked up what it holds."""
    suspects = [call for call in calls if call.queue or call.worker]
    if not suspects:
        return []
    parameters = {
        "ids": [call.celery_id for call in suspects],
        "since": [call.since for call in suspects],
        "queues": [call.queue for call in suspects],
        "workers": [call.worker for call in suspects],
        "grace": RELIST,
    }
    with sql.cursor(connection, tuple_row) as cursor:
        listed_at: dict[str, datetime.datetime] = dict(cursor.execute(_HELD_BY_NOBODY, parameters).fetchall())
    suspects = [call for call in suspects if call.celery_id in listed_at]
    views = {queue: look_at_queue(queue, CALL_PRIORITY) for queue in {call.queue for call in suspects} if queue}
    return [
        (call, listed_at[call.celery_id])
        for call in suspects
        if call.queue is None or _is_behind(call, views[call.queue])
    ]


def _is_behind(call: OpenCall, view: QueueView) -> bool:
    """Tell whether a call would have been taken from its queue before what waits there now."""
    return view.is_empty or (view.head_queued_at is not None and view.head_queued_at > call.since + lost_messages.SLACK)
