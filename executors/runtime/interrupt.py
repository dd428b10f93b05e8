"""Interrupts Python code that runs in this process when its attempt is to stop."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from maestro.core.user_code.exceptions import TaskCancelled, TimeLimitReached

PATIENCE_SECONDS = 3.0
"""How long code that is cancelled may go on, told so by `is_cancelled()`, before it is interrupted."""
# How often it is asked whether the code is cancelled.
_LOOK_SECONDS = 0.5
# What `setitimer` takes as "at once".
_SHORTEST_SECONDS = 1e-6
# What user code asks for while it runs, its log and whether it was cancelled, holds locks and a connection, which an
# exception in between would leave as they are. It takes no longer than a query.
_PLATFORM_PACKAGES = frozenset({"executors", "workflows"})
_AGAIN_SECONDS = 0.01


@contextlib.contextmanager
def interruptible(seconds: float, is_cancelled: Callable[[], bool]) -> Iterator[None]:
    """Raise TimeLimitReached in the code inside once so many seconds are over, infinite ones never, and TaskCancelled
    once `is_cancelled`, asked by another thread, has said yes for a while.

    By SIGALRM, which only the main thread of a process can take: there Celery's worker processes run their tasks.
    Elsewhere nothing is interrupted. Code that does not come back to Python is not interrupted before it does, and what
    it calls of the platform comes to its end first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch(is_cancelled, PATIENCE_SECONDS)
    ends_at = time.monotonic() + seconds
    is_over = was_interrupted = False
    # The generator is entered by `contextlib`, and that by whoever runs the code.
    outer = sys._getframe(2)  # noqa: SLF001 - the same as walking up from `inspect.currentframe`

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal was_interrupted
        # A signal that was on its way when the code had just ended must not hit what comes after it. One that has been
        # raised already does not come again while the code cleans up.
        if is_over or was_interrupted:
            return
        if _is_inside_platform(frame, outer):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
            return
        was_interrupted = True
        raise TimeLimitReached if time.monotonic() >= ends_at else TaskCancelled

    before = signal.signal(signal.SIGALRM, interrupt)
    if seconds != math.inf:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, _SHORTEST_SECONDS))
    watch.start()
    try:
        yield
    finally:
        is_over = True
        watch.stop()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Watch:
    """Asks from a thread of its own whether the code is cancelled, and once it has been for a while, sends SIGALRM to
    the main thread.
    """

    def __init__(self, is_cancelled: Callable[[], bool], patience_seconds: float) -> None:
        self._is_cancelled = is_cancelled
        self._patience_seconds = patience_seconds
        self._is_over = threading.Event()
        # Held while the signal is sent: none may be on its way when its handler is gone.
        self._sending = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._run, name="cancel-watch", daemon=True).start()

    def stop(self) -> None:
        """End the watch. The thread is not waited for: it may be asking a database that does not answer."""
        with self._sending:
            self._is_over.set()

    def _run(self) -> None:
        while not self._is_over.wait(_LOOK_SECONDS):
            if self._is_cancelled():
                self._is_over.wait(self._patience_seconds)
                self._interrupt()
                return

    def _interrupt(self) -> None:
        with self._sending:
            if not self._is_over.is_set():
                main = threading.main_thread().ident
                assert main is not None
                signal.pthread_kill(main, signal.SIGALRM)


def _is_inside_platform(frame: FrameType | None, outer: FrameType) -> bool:
    """Tell whether the code that is run has called the platform, and that has not returned yet."""
    while frame is not None and frame is not outer:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in _PLATFORM_PACKAGES:
            return True
        frame = frame.f_back
    return False
