"""No process is forked while another thread of the worker's parent is at work.

A lock that such a thread holds at that moment, inside a library too, would stay locked in the new process for ever:
kombu, say, has one around what it makes when it connects, and the process would hang at the first message it sends.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from maestro.core import sql  # noqa: F401 - its lock: hooks before a fork run in reverse order, so it is taken after these

# Whoever forks waits no longer for such threads: one of them may wait for a server that hangs.
WAIT_SECONDS = 2.0


class Forks:
    """Counts the threads at work, for whoever is about to fork."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._at_work = 0
        self._is_awaited = False

    @contextlib.contextmanager
    def held_off(self) -> Iterator[None]:
        """Let nobody fork while the block runs, or not for some time."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_awaited)
            self._at_work += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait until no thread is at work; none begins until `after_fork_in_parent`."""
        self._changed.acquire()
        self._is_awaited = True
        self._changed.wait_for(lambda: not self._at_work, timeout=WAIT_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Let the threads work."""
        self._is_awaited = False
        self._changed.notify_all()
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Begin anew, without those threads."""
        self._reset()


forks = Forks()
os.register_at_fork(
    before=forks.before_fork,
    after_in_parent=forks.after_fork_in_parent,
    after_in_child=forks.after_fork_in_child,
)
