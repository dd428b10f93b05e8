"""Notices that this worker takes no messages although some wait for it, and ends it, for its supervisor to start it
again: a consumer that was lost in a reconnect, or an event loop that hangs.

The worker listens to a queue of its own besides those of its tasks, on the same channel. A thread puts a *canary* there
every few seconds, so that an idle worker is tested too, and looks, over a connection of its own, at what is taken next
from all of these queues. Neither depends on another worker, on beat, the database or anybody's wall clock, and no
other worker can take away what this one should have. The event loop itself takes the canary: no process of the pool is
used, and events and Flower show nothing of it.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kombu
from celery import bootsteps, signals
from celery.worker import state
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from executors.pools import lease
from executors.pools.forks import forks
from executors.pools.incarnation import get_incarnation
from executors.pools.queues import keys_of, queue_of
from maestro.core import sql

logger = logging.getLogger(__name__)

LOOK_SECONDS = 3.0
# A canary is put into the worker's queue this often, if the one before was taken.
CANARY_SECONDS = 10.0
# A worker that leaves a message alone for longer, although it is free, is deaf. Above what a reconnect may take.
DEAF_SECONDS = 20.0
# After a longer pause between two looks, of a process that stood still, say, what was seen before says nothing.
GAP_SECONDS = 3 * LOOK_SECONDS
# The event loop of a deaf worker is asked to stop; one that does not begin to within this time hangs.
REACTION_SECONDS = 10.0
# How long the end of the lease is waited for before a worker that hangs is killed.
LEASE_SECONDS = 5.0
# The queue of a worker that is gone goes too.
QUEUE_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What there is to see of a worker and the queues it takes messages from, at one moment."""

    at: float
    """When, by the monotonic clock."""
    is_free: bool
    """Whether it could take a message, as far as its event loop knows."""
    turns: int
    """How often its event loop has come round so far."""
    heard: int
    """How many messages it has taken so far."""
    heads: Mapping[str, bytes]
    """The message that is taken next, by queue; only queues in which one waits."""


class Judge:
    """Tells a deaf worker from one that is busy, that nothing is sent to, or that nobody has watched for long."""

    def __init__(self) -> None:
        self._waiting_since: dict[tuple[str, bytes], float] = {}
        self._last = Look(at=-math.inf, is_free=False, turns=0, heard=0, heads={})

    def find_ignored(self, look: Look | None) -> tuple[str, float] | None:
        """Return the queue with the message that has been left alone for too long, and for how many seconds.

        None stands for a look at a broker that is away: then nobody is deaf.
        """
        if look is None:
            self._waiting_since = {}
            return None
        # Of a loop that hangs nobody knows whether its processes are busy: it would be the one to learn that they end.
        may_hear = look.is_free or look.turns == self._last.turns
        is_same = may_hear and look.heard == self._last.heard and look.at - self._last.at <= GAP_SECONDS
        before = self._waiting_since if is_same else {}
        self._last = look
        self._waiting_since = {head: before.get(head, look.at) for head in look.heads.items()}
        if not may_hear or not self._waiting_since:
            return None
        (queue, _), since = min(self._waiting_since.items(), key=lambda each: each[1])
        return (queue, look.at - since) if look.at - since >= DEAF_SECONDS else None


class _Ear:
    """What this worker's event loop has taken, and how often it came round; a worker is one process."""

    heard = 0
    turns = 0

    def turn(self) -> None:
        """Count a round of the event loop."""
        self.turns += 1

    def hear(self, *_: Any, **__: Any) -> None:
        """Count a message."""
        self.heard += 1


_ear = _Ear()
signals.task_received.connect(_ear.hear)


class CanaryStep(bootsteps.StartStopStep):
    """Listens to the worker's own queue, on the channel of its tasks, anew with each connection.

    And until that channel is closed: a canary that came after this step had stopped would be put back, into a queue
    that nothing would ever remove.
    """

    requires = {"celery.worker.consumer.tasks:Tasks"}

    def start(self, consumer: Any) -> None:
        """Listen."""
        queue = kombu.Queue(_name_queue(consumer.hostname))
        channel = consumer.task_consumer.channel
        kombu.Consumer(channel, [queue], no_ack=True, on_message=_ear.hear).consume()


class ConsumerWatchStep(bootsteps.StartStopStep):
    """Watches from a thread of its own, once the worker has been ready."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **_: Any) -> None:
        self._stopped = threading.Event()
        super().__init__(parent)

    def start(self, parent: Any) -> None:
        """Begin to watch when the worker says that it is ready."""
        parent.hub.on_tick.add(_ear.turn)
        watch = threading.Thread(target=self._run, args=(parent,), name="consumer-watch", daemon=True)
        signals.worker_ready.connect(lambda **_: watch.start(), weak=False)

    def stop(self, parent: Any) -> None:
        """Watch no more: a worker that stops takes no messages."""
        self._stopped.set()

    close = terminate = stop

    def _run(self, parent: Any) -> None:
        judge, look = Judge(), _Looker(parent).look
        while not self._stopped.wait(LOOK_SECONDS):
            try:
                with forks.held_off():
                    ignored = judge.find_ignored(look())
            except Exception:
                logger.exception("The worker could not look whether it takes messages, it looks again")
                continue
            if ignored is not None and not _is_stopping(parent):
                end_deaf_worker(parent, *ignored)
                return


class _Looker:
    """Looks at the broker, and puts canaries there."""

    def __init__(self, parent: Any) -> None:
        self._parent = parent
        self._own = _name_queue(parent.hostname)
        self._sent_at = -math.inf

    def look(self) -> Look | None:
        """Return what there is to see; None while the broker does not answer."""
        heard, turns = _ear.heard, _ear.turns
        try:
            with self._parent.app.connection_for_write() as broker:
                broker.ensure_connection(max_retries=1, interval_start=0.1)
                heads = self._look_at_heads(broker.default_channel)
        except (OperationalError, RedisError, OSError) as error:
            logger.debug("Broker not available, nobody looks whether messages wait: %s", type(error).__name__)
            return None
        is_free = count_taken(self._parent.consumer) < self._parent.pool.num_processes
        return Look(at=time.monotonic(), is_free=is_free, turns=turns, heard=heard, heads=heads)

    def _look_at_heads(self, channel: Any) -> dict[str, bytes]:
        # What an operator has cancelled (`celery control cancel_consumer`) is no longer among these.
        consumed = [queue.name for queue in list(self._parent.app.amqp.queues.consume_from.values())]
        keys = [key for queue in consumed for key in keys_of(queue)]
        with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for key in (self._own, *keys):
                pipe.lindex(key, -1)
            heads = pipe.execute(raise_on_error=False)  # somebody else's key may be no list
        if heads[0] is None and time.monotonic() - self._sent_at >= CANARY_SECONDS:
            self._put_canary(channel)
        return {key: head for key, head in zip((self._own, *keys), heads, strict=True) if isinstance(head, bytes)}

    def _put_canary(self, channel: Any) -> None:
        kombu.Producer(channel).publish({}, routing_key=self._own, serializer="json", retry=False)
        with channel.conn_or_acquire() as client:
            client.expire(self._own, QUEUE_SECONDS)
        self._sent_at = time.monotonic()


def count_taken(consumer: Any) -> int:
    """Return how many messages a worker has taken and not ended: what runs, and what waits until its task's rate limit
    lets it run. The broker sends no more of them than there are processes.
    """
    limited = [bucket for bucket in list(consumer.task_buckets.values()) if bucket]
    return len(state.reserved_requests) + sum(len(bucket.contents) for bucket in limited)


def end_deaf_worker(parent: Any, queue: str, seconds: float) -> None:
    """Ask the worker to stop once what it runs has ended; kill it with its processes when it hangs.

    Either way its exit status is not 0. Its supervisor starts it again.
    """
    logger.error(
        "This worker takes no messages: one has waited in queue %s for %d s, although a process is free or the event "
        "loop hangs. It stops when what it runs has ended, for its supervisor to start it again",
        queue_of(queue),
        seconds,
    )
    state.should_stop = os.EX_SOFTWARE
    deadline = time.monotonic() + REACTION_SECONDS
    while time.monotonic() < deadline:
        if _is_stopping(parent):
            return
        time.sleep(0.1)
    logger.error("The event loop of this worker hangs. It is killed; what it ran is taken over")
    for process in list(parent.pool._pool._pool):  # noqa: SLF001 - the pool's processes have no public name
        _kill(process.pid)
    _try_for(LEASE_SECONDS, _end_lease)
    _kill(os.getpid())


def _is_stopping(parent: Any) -> bool:
    return bool(parent.blueprint.state != bootsteps.RUN)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _try_for(seconds: float, work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)


def _end_lease() -> None:
    worker_id = get_incarnation()
    if worker_id is None:
        return
    try:
        lease.end_lease(sql.engine_connection(), worker_id=worker_id)
    except sql.UNAVAILABLE as error:
        logger.warning("The lease was not ended, it will expire: %s", type(error).__name__)


def _name_queue(hostname: str) -> str:
    return f"maestro.canary.{hostname}"
