"""Log lines about a database that is away: enough to see it, however often somebody tries."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

# While it lasts, an outage is told of this often.
AGAIN_SECONDS = 60.0
# Without a failure for so long it is over: of several things that are tried, some may work all the time.
QUIET_SECONDS = 10.0


class Outage:
    """Tells when the database goes away, once a minute while it is, and when it is back. For one thread."""

    def __init__(self, logger: logging.Logger, consequence: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._consequence = consequence
        self._clock = clock
        self._began_at: float | None = None
        self._failed_at = self._told_at = -math.inf

    def note_failure(self, error: BaseException) -> None:
        """Take note of a try that failed."""
        now = self._clock()
        if self._began_at is None or now - self._failed_at > QUIET_SECONDS:
            self._began_at = now
            self._told_at = -math.inf
        self._failed_at = now
        if now - self._told_at >= AGAIN_SECONDS:
            self._told_at = now
            self._logger.warning("Database not available, %s: %s", self._consequence, type(error).__name__)

    def note_success(self) -> None:
        """Take note of a try that worked."""
        if self._began_at is not None and self._clock() - self._failed_at > QUIET_SECONDS:
            seconds = self._failed_at - self._began_at
            self._began_at = None
            self._logger.warning("Database available again; it was not for %d s", seconds)
