"""The part of the platform that lives in a worker's parent process: its lease, and its watch over its processes."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection
from typing import Any, Protocol
from uuid import UUID

from celery import bootsteps
from celery.concurrency import prefork
from celery.exceptions import ImproperlyConfigured

from executors.pools import drain, lease
from executors.pools.forks import forks
from executors.pools.incarnation import set_incarnation
from maestro.core import sql
from maestro.core.outage import Outage

logger = logging.getLogger(__name__)

PROCESS_WATCH_SECONDS = 0.5


class GiveBack(Protocol):
    """Requeues what a worker ran whose processes were stopped."""

    def __call__(self, connection: sql.Connection, *, worker_id: UUID, restored: Collection[str]) -> object:
        """Requeue; `restored` are the messages that the broker gets back."""


class LeaseStep(bootsteps.StartStopStep):
    """Keeps the worker's lease from before the first message is taken until after the last child has ended."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **_: Any) -> None:
        self._worker_id: UUID | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._ending = threading.Lock()
        self.give_back: GiveBack | None = None
        parent.lease = self
        super().__init__(parent)

    def start(self, parent: Any) -> None:
        """Register, and renew the lease from a thread of its own: a busy event loop must not cost the lease."""
        self._register(parent)
        self._thread = threading.Thread(target=self._run, args=(parent,), name="lease", daemon=True)
        self._thread.start()

    def end(self, restored: Collection[str]) -> None:
        """End the lease, after what the worker could not finish is given back. Only the first call does anything.

        `restored` are the messages that the broker gets back. Not done by `stop`: this step stops before the pool it
        requires, whose children may still be at work then.
        """
        if not self._ending.acquire(blocking=False):
            return
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(lease.HEARTBEAT_SECONDS * 2)
        worker_id = self._worker_id
        if worker_id is None:
            return
        try:
            if self.give_back is not None:
                self.give_back(sql.engine_connection(), worker_id=worker_id, restored=restored)
            lease.end_lease(sql.engine_connection(), worker_id=worker_id)
        except sql.UNAVAILABLE as error:
            logger.warning("The lease was not ended, it will expire: %s", type(error).__name__)

    def _run(self, parent: Any) -> None:
        outage = Outage(logger, "the lease is not renewed")
        while not self._stopped.wait(lease.HEARTBEAT_SECONDS):
            try:
                with forks.held_off():
                    self._renew(parent)
                outage.note_success()
            except sql.UNAVAILABLE as error:
                sql.drop_engine_connection()
                outage.note_failure(error)
            except Exception:
                # Whatever it was: a worker whose lease nobody renews is given up while it works.
                sql.drop_engine_connection()
                logger.exception("The lease could not be renewed, the next heartbeat tries again")

    def _renew(self, parent: Any) -> None:
        assert self._worker_id is not None
        if not lease.renew_lease(
            sql.engine_connection(),
            worker_id=self._worker_id,
            concurrency=parent.pool.num_processes,
            list_held=_held_messages,
        ):
            logger.error("This worker was given up as lost; what it ran is fenced. It goes on under a new lease")
            self._register(parent)

    def _register(self, parent: Any) -> None:
        self._worker_id = sql.with_engine_connection(
            lambda connection: lease.register_worker(
                connection,
                name=parent.hostname,
                pid=os.getpid(),
                concurrency=parent.pool.num_processes,
                queues=sorted(parent.app.amqp.queues.consume_from),
            )
        )
        set_incarnation(self._worker_id)


class ProcessWatchStep(bootsteps.StartStopStep):
    """Looks for dead processes of the pool more often than Celery, which does so every five seconds."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **_: Any) -> None:
        # What runs in the worker's own process, or in its threads, can be neither stopped nor given back.
        if not issubclass(parent.pool_cls, prefork.TaskPool):
            raise ImproperlyConfigured(
                "Tasks need processes of their own: start the worker with --pool prefork, or without --pool."
            )
        super().__init__(parent)

    def register_with_event_loop(self, parent: Any, hub: Any) -> None:
        """Look every so often; Celery calls this once the pool runs."""
        hub.call_repeatedly(PROCESS_WATCH_SECONDS, parent.pool.maintain_pool)


def _held_messages() -> list[str]:
    """List the ids of all messages this worker has taken and not yet acknowledged."""
    return list({request.id for request in drain.held_requests()} | drain.given_back)
