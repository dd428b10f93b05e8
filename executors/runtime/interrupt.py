"""Interrupts Python code that runs in this process when its time is over."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from maestro.core.user_code.exceptions import TimeLimitReached

# What `setitimer` takes as "at once".
_SHORTEST_SECONDS = 1e-6
# What user code asks for while it runs, its log and whether it was cancelled, holds locks and a connection, which an
# exception in between would leave as they are. It takes no longer than a query.
_PLATFORM_PACKAGES = frozenset({"executors", "workflows"})
_AGAIN_SECONDS = 0.01


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise TimeLimitReached in the code inside once so many seconds are over; infinite seconds never are.

    By SIGALRM, which only the main thread of a process can take: there Celery's worker processes run their tasks.
    Elsewhere nothing is interrupted. Code that does not come back to Python is not interrupted before it does, and what
    it calls of the platform comes to its end first.
    """
    if seconds == math.inf or threading.current_thread() is not threading.main_thread():
        yield
        return
    is_over = False
    # The generator is entered by `contextlib`, and that by whoever runs the code.
    outer = sys._getframe(2)  # noqa: SLF001 - the same as walking up from `inspect.currentframe`

    def interrupt(number: int, frame: FrameType | None) -> None:
        # A signal that was on its way when the code had just ended must not hit what comes after it.
        if is_over:
            return
        if _is_inside_platform(frame, outer):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
            return
        raise TimeLimitReached

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, _SHORTEST_SECONDS))
    try:
        yield
    finally:
        is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_inside_platform(frame: FrameType | None, outer: FrameType) -> bool:
    """Tell whether the code that is run has called the platform, and that has not returned yet."""
    while frame is not None and frame is not outer:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in _PLATFORM_PACKAGES:
            return True
        frame = frame.f_back
    return False
