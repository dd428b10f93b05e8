"""How times are shown: RFC 3339, UTC, microseconds and `Z`; in sentences to the second. Row times themselves are the
database's; who needs one between two statements goes on from the last it read.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable


def format_time(moment: datetime.datetime | None) -> str | None:
    """Write a time the one way every interface shows it."""
    if moment is None:
        return None
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def say_time(moment: datetime.datetime | None) -> str:
    """Write a time for a person who reads a sentence: UTC, to the second."""
    if moment is None:
        return "a time that is not known"
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


class DatabaseClock:
    """The database's clock as this process knows it: a time that was read from it, and how long ago that is.

    Right also where the clock of this machine is not, because only its monotonic clock is asked.
    """

    def __init__(self, read: datetime.datetime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._monotonic = monotonic
        self._read_at = monotonic()

    def now(self) -> datetime.datetime:
        """Return the time."""
        return self._read + datetime.timedelta(seconds=self._monotonic() - self._read_at)
