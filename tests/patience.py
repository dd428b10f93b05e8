"""Waiting for what happens by itself, where time is no promise: only a test that hangs waits until the end."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

# Many times what anything here takes: for a machine that is slow, has much else to do, or stands still for a while.
PATIENCE_SECONDS = 120
POLL_SECONDS = 0.05


def wait_until(look: Callable[[], Seen], what: str = "waited too long", seconds: float = PATIENCE_SECONDS) -> Seen:
    """Look until there is something to see, and return it; fail with what was expected when nothing comes."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, what
        time.sleep(POLL_SECONDS)
    return seen
