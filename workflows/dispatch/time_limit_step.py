"""Time limits in a worker's parent process: it kills those of its processes whose attempt does not stop, or that do not
come back after it has ended.
"""

from __future__ import annotations

import logging
import threading
from typing import Any
from uuid import UUID

from celery import bootsteps, signals
from celery.worker import state

from executors.pools import drain, processes
from executors.pools.forks import forks
from executors.pools.incarnation import get_incarnation
from maestro.core import sql
from maestro.core.outage import Outage
from workflows.dispatch import time_limits
from workflows.dispatch.stuck_process import StuckProcesses

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class TimeLimitStep(bootsteps.StartStopStep):
    """Ends attempts that go on after their time and grace are over, and the processes that run them."""

    requires = {"executors.pools.bootsteps:LeaseStep"}

    def __init__(self, parent: Any, **_: Any) -> None:
        self._stopped = threading.Event()
        self._stuck = StuckProcesses()
        super().__init__(parent)

    def start(self, parent: Any) -> None:
        """Look from a thread of its own: a busy event loop must not keep an attempt going."""
        threading.Thread(target=self._run, name="time-limits", daemon=True).start()
        # Not `stop`: this step stops before the pool, whose children may still be at work then.
        signals.worker_shutdown.connect(self._end, sender=parent, weak=False)

    def _end(self, **_: Any) -> None:
        self._stopped.set()

    def _run(self) -> None:
        outage = Outage(logger, "time limits are looked at later")
        while not self._stopped.wait(LOOK_SECONDS):
            worker_id = get_incarnation()
            if worker_id is None or not state.active_requests:
                continue
            try:
                with forks.held_off():
                    self._look(worker_id)
                outage.note_success()
            except sql.UNAVAILABLE as error:
                sql.drop_engine_connection()
                outage.note_failure(error)
            except Exception:
                logger.exception("Time limits could not be looked at, the next look tries again")

    def _look(self, worker_id: UUID) -> None:
        # In this order: what is ended first is fenced, so the death of its process is no lost attempt.
        for overdue in time_limits.end_overdue_of_worker(sql.engine_connection(), worker_id):
            if _kill_process_of(overdue.message_id):
                time_limits.note_killed(sql.engine_connection(), overdue)
        self._stuck.end(sql.engine_connection())


def _kill_process_of(message_id: str) -> bool:
    """Kill the process that works on a message, and all that it has started; tell whether they have ended."""
    for request in drain.held_requests():
        if request.id == message_id and request.worker_pid:
            return processes.kill_tree(request.worker_pid)
    return False
