"""How many processes a worker started with `--autoscale` has: more at once when work waits, fewer slowly when it does
not.

Celery's own autoscaler counts the messages that the worker has taken. To count some, the worker takes as many as it may
ever have processes, also from others that have processes free. Here a worker takes what it has processes for, and looks
at what waits in its queues.
"""

from __future__ import annotations

import datetime
import logging
import math
import time
from dataclasses import dataclass
from typing import Any

from celery import bootsteps
from celery.exceptions import ImproperlyConfigured
from celery.worker import state
from celery.worker.autoscale import Autoscaler
from django.conf import settings
from kombu.exceptions import OperationalError
from psycopg.rows import class_row
from redis.exceptions import RedisError

from executors.pools import drain
from executors.pools.incarnation import get_incarnation
from executors.pools.queues import look_at_queues
from maestro.core import sql

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5

# Of the other workers that take from the same queues: how many there are, and how many slots they have free.
_LOOK_AT_OTHERS = """
SELECT clock_timestamp() AS asked_at, count(*) AS workers,
       coalesce(sum(greatest(concurrency - cardinality(held), 0)), 0) AS free
FROM executor_workers WHERE lost_at IS NULL AND id IS DISTINCT FROM %(own)s AND queues && %(queues)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What waits for a worker, and who else might take it."""

    waiting: int = 0
    """Messages in its queues."""
    waited_seconds: float = 0
    """How long the oldest of those that are taken next has waited; 0 when none says so."""
    others: int = 0
    """Other workers that take from the same queues."""
    free_elsewhere: int = 0
    """Slots that those have free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Others:
    """What the database says of the other workers."""

    asked_at: datetime.datetime
    """By the database's clock, as all dates of messages."""
    workers: int
    """How many."""
    free: int
    """Slots they have free."""


IDLE = Load()


def wanted_processes(load: Load, *, busy: int, processes: int, least: int, most: int, target_seconds: float) -> int:
    """Return how many processes a worker should have right away: as many as it has, or more; never fewer than `least`.

    More when something has waited for longer than the target, or more waits than the slots of all workers can take:
    enough for this worker's share of what waits.
    """
    is_late = load.waiting > 0 and load.waited_seconds >= target_seconds
    free = max(processes - busy, 0) + load.free_elsewhere
    needed = processes
    if is_late or load.waiting > free:
        needed = max(processes, busy + math.ceil(load.waiting / (load.others + 1)))
    return max(least, min(needed, most))


class QueueAutoscaler(Autoscaler):
    """Grows and shrinks the pool. A thread looks at the queues, so that the event loop never waits for an answer."""

    def __init__(self, pool: Any, max_concurrency: int, min_concurrency: int = 0, **options: Any) -> None:
        if not 1 <= min_concurrency <= max_concurrency:
            raise ImproperlyConfigured(
                f"--autoscale={max_concurrency},{min_concurrency}: give the most processes and the least, which is at "
                "least 1, as in --autoscale=10,2."
            )
        super().__init__(pool, max_concurrency, min_concurrency, keepalive=LOOK_SECONDS, **options)
        self.max_concurrency: int = max_concurrency
        self.min_concurrency: int = min_concurrency
        self._load: Load | None = None
        self._needed_at = time.monotonic()
        self._connection: Any = None

    def maybe_scale(self, req: Any = None) -> None:
        """Bring the pool to the size that is wanted; called by the event loop, also for each message it takes."""
        if not self.is_alive():
            self.start()
        load, self._load = self._load, None
        if load is None or drain.is_draining():
            return
        busy = len(state.reserved_requests)
        processes = self.processes
        wanted = wanted_processes(
            load,
            busy=busy,
            processes=processes,
            least=self.min_concurrency,
            most=self.max_concurrency,
            target_seconds=settings.MAESTRO_AUTOSCALE_WAIT_SECONDS,
        )
        now = time.monotonic()
        if wanted > processes:
            self._resize(wanted - processes)
        if busy + load.waiting >= processes:
            self._needed_at = now
        is_quiet = now - self._needed_at >= settings.MAESTRO_AUTOSCALE_QUIET_SECONDS
        if processes > self.max_concurrency or (is_quiet and processes > self.min_concurrency):
            self._shrink_by_one()
            self._needed_at = now

    def update(self, max: int | None = None, min: int | None = None) -> tuple[int, int]:  # noqa: A002 - Celery's names
        """Set other limits, as `celery control autoscale` does; the next look obeys them."""
        most, least = max or self.max_concurrency, min or self.min_concurrency
        if not 1 <= least <= most:
            raise ValueError(f"at least 1 and at most {most} processes, not {least}")
        self.max_concurrency, self.min_concurrency = most, least
        return most, least

    def body(self) -> None:
        """Look at the queues once; called again and again by a thread."""
        time.sleep(LOOK_SECONDS)
        try:
            self._load = self._look()
        except (OperationalError, RedisError, OSError):
            self._close()
        except sql.UNAVAILABLE:
            sql.drop_engine_connection()
        except Exception:
            # Celery would end the whole worker.
            logger.exception("Could not look at the queues")
            self._close()

    def _look(self) -> Load:
        app = self.worker.app
        queues = sorted(app.amqp.queues.consume_from)
        if self._connection is None:
            self._connection = app.connection_for_read()
        waiting = look_at_queues(self._connection.default_channel, queues)
        if not waiting.count:
            return IDLE
        parameters = {"own": get_incarnation(), "queues": queues}
        with sql.cursor(sql.engine_connection(), class_row(_Others)) as cursor:
            elsewhere = cursor.execute(_LOOK_AT_OTHERS, parameters).fetchone()
        assert elsewhere is not None
        queued_at = waiting.oldest_queued_at
        return Load(
            waiting=waiting.count,
            waited_seconds=0 if queued_at is None else (elsewhere.asked_at - queued_at).total_seconds(),
            others=elsewhere.workers,
            free_elsewhere=elsewhere.free,
        )

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _shrink_by_one(self) -> None:
        # What has been handed to a process, and is not accepted yet, does not show which process that is.
        if len(state.reserved_requests) != len(state.active_requests):
            return
        try:
            self.pool.shrink(1)
        except ValueError:
            return  # all are busy
        self._prefetch_as_well(-1)

    def _resize(self, more: int) -> None:
        self.pool.grow(more)
        self.pool.maintain_pool()
        self._prefetch_as_well(more)

    def _prefetch_as_well(self, change: int) -> None:
        self.worker.consumer._update_prefetch_count(change)  # noqa: SLF001 - as Celery's own commands do
        logger.info("%d processes now", self.processes)


class PrefetchStep(bootsteps.Step):
    """Takes no more messages than there are processes from the beginning, not as many as there may ever be."""

    def __init__(self, consumer: Any, **_: Any) -> None:
        if consumer.controller.autoscale:
            consumer.initial_prefetch_count = consumer.pool.limit * consumer.prefetch_multiplier
        super().__init__(consumer)
