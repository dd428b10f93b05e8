"""Drains a worker that is told to stop: it takes nothing more, lets what runs finish for a while, and gives the rest
back.

Celery's own soft shutdown sleeps inside the signal handler: for its whole time, also when the tasks have long ended,
and meanwhile nothing is acknowledged and what the broker sends is lost sight of. Here the event loop goes on working.
A thread keeps the time, because without a broker the event loop stands still.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Collection
from typing import Any

from billiard.common import TERM_SIGNAL
from celery import bootsteps
from celery.worker import state
from django.conf import settings

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
STOP_SECONDS = 4.0
"""How long a task's process has to end once it is told to, before it is killed."""
EXIT_SECONDS = 4.0
"""How long the worker has to end after its tasks' processes, whatever broker and database do."""
LEASE_SECONDS = 2.0
"""How long a worker that does not end waits for the database to end its lease."""
# Without a look by the event loop for so long, it stands still.
DEAF_SECONDS = 2.0

# Messages that are being given back: this worker holds them until its lease ends, though Celery forgets them before.
given_back: set[str] = set()
_draining = threading.Event()


def is_draining() -> bool:
    """Tell whether this worker has been told to stop."""
    return _draining.is_set()


class DrainStep(bootsteps.StartStopStep):
    """Answers SIGTERM and SIGINT by a drain, which a second one hurries, and SIGQUIT by one without time to finish."""

    requires = {"celery.worker.components:Pool"}

    def __init__(self, parent: Any, **_: Any) -> None:
        # Its `put` may interrupt itself, as a signal handler does.
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._heard_at = 0.0
        super().__init__(parent)

    def start(self, parent: Any) -> None:
        """Take over the signals from Celery."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda sent, _: self._asked.put(sent))
        threading.Thread(target=self._conduct, args=(parent,), name="drain", daemon=True).start()

    def _conduct(self, worker: Any) -> None:
        sent = self._asked.get()
        _draining.set()
        seconds = 0 if sent == signal.SIGQUIT else settings.MAESTRO_DRAIN_SECONDS
        logger.warning(
            "%s: draining; takes nothing more, and what runs (%d) has %d s to finish. Once more gives it back at once",
            signal.Signals(sent).name,
            len(state.reserved_requests),
            seconds,
        )
        try:
            if not self._finishes_within(worker, seconds):
                self._give_back(worker)
        except Exception:
            # Nobody else would end it: Celery's own answer to the signal is gone.
            logger.exception("The drain failed; the worker is ended nevertheless")
        time.sleep(EXIT_SECONDS)
        logger.error("The worker does not end by itself, so it is ended: its broker or database does not answer")
        end_by_force(worker)
        os._exit(os.EX_UNAVAILABLE)

    def _finishes_within(self, worker: Any, seconds: float) -> bool:
        """Stop as soon as nothing runs any more; False when time is up before, or somebody hurries.

        The worker may be stopping already, because it took no messages or by `celery control shutdown`: then it waits
        for what runs, for as long as that takes.
        """
        self._heard_at = asked_at = time.monotonic()
        while not _is_ending():
            if time.monotonic() - self._heard_at > DEAF_SECONDS:
                # No broker: nothing is taken, nor could an end be acknowledged.
                _stop_if_idle()
            worker.hub.call_soon(self._take_nothing, worker)
            with contextlib.suppress(queue.Empty):
                self._asked.get(timeout=POLL_SECONDS)
                return False
            if time.monotonic() - asked_at >= seconds:
                return _is_ending()
        return True

    def _take_nothing(self, worker: Any) -> None:
        """Stop consuming, also after a reconnect. For the event loop."""
        self._heard_at = time.monotonic()
        consumer = worker.consumer
        if consumer.task_consumer is not None:
            # A message that is on its way goes back to its queue.
            with contextlib.suppress(*consumer.connection_errors):
                consumer.task_consumer.cancel()
        _stop_if_idle()

    def _give_back(self, worker: Any) -> None:
        """Stop what still runs, then the worker, whose end puts the messages and the rows back."""
        requests = _mark_given_back()
        running = {request.worker_pid for request in requests if request.worker_pid}
        logger.warning("Stopping what still runs (%d), and giving it back", len(running))
        # No others in their place.
        worker.hub.call_soon(worker.pool.close)
        _send(running, TERM_SIGNAL)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and not all(map(_has_ended, running)):
            time.sleep(POLL_SECONDS)
        stubborn = [pid for pid in _processes_of(worker) if pid in running and not _has_ended(pid)]
        if stubborn:
            logger.warning("Processes that do not end (%d) are killed", len(stubborn))
            _send(stubborn, signal.SIGKILL)
        # Not before: it sends the signal again, by which a process that is still cleaning up would die.
        state.should_terminate = True


def end_by_force(worker: Any) -> None:
    """Kill the worker's processes, then end its lease: whoever takes over must not run beside them.

    The broker gets nothing back here: recovery sends what is given back.
    """
    _mark_given_back()
    _send(_processes_of(worker), signal.SIGKILL)
    ending = threading.Thread(target=worker.lease.end, args=((),), daemon=True)
    ending.start()
    ending.join(LEASE_SECONDS)


def held_requests() -> Collection[Any]:
    """Return what this worker has taken and not ended, whichever thread asks: the event loop goes on meanwhile."""
    # A copy of the set in one step: to go through it would fail when the event loop changes it.
    references = state.reserved_requests.data.copy() | state.active_requests.data.copy()
    return [request for reference in references if (request := reference()) is not None]


def _mark_given_back() -> Collection[Any]:
    """Note that what the worker still holds is given back; return it."""
    requests = held_requests()
    given_back.update(request.id for request in requests)
    return requests


def _stop_if_idle() -> None:
    if not state.reserved_requests:
        state.should_stop = os.EX_OK


def _is_ending() -> bool:
    """Tell whether the worker is told to stop, and runs nothing that it would wait for.

    Celery's flag is None, False or an exit code, zero included.
    """
    return state.should_stop is not None and state.should_stop is not False and not state.reserved_requests


def _processes_of(worker: Any) -> Collection[int]:
    """Return the processes of the pool; none of one that has ended."""
    with contextlib.suppress(AttributeError, TypeError):
        return tuple(worker.pool.info["processes"])
    return ()


def _has_ended(pid: int) -> bool:
    """Tell whether a child has ended, without taking its exit status from the pool."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _send(pids: Collection[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
