"""Interrupts Python code that runs in this process when its time is over."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from maestro.core.user_code.exceptions import TimeLimitReached

# What `setitimer` takes as "at once".
_SHORTEST_SECONDS = 1e-6


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise TimeLimitReached in the code inside once so many seconds are over; infinite seconds never are.

    By SIGALRM, which only the main thread of a process can take: there Celery's worker processes run their tasks.
    Elsewhere nothing is interrupted. Code that does not come back to Python is not interrupted before it does.
    """
    if seconds == math.inf or threading.current_thread() is not threading.main_thread():
        yield
        return
    is_over = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        # A signal that was on its way when the code had just ended must not hit what comes after it.
        if not is_over:
            raise TimeLimitReached

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, _SHORTEST_SECONDS))
    try:
        yield
    finally:
        is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
