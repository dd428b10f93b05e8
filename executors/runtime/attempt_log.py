"""The log of one attempt: order, batches, the total limit. Output becomes lines in `lines`; the caller stores them."""

from __future__ import annotations

import datetime
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

from executors.base import LogLine
from executors.runtime import lines

BATCH_LINES = 200
"""A batch is written as soon as it has this many lines…"""
FLUSH_SECONDS = 0.25
"""…or its first line is this old."""
LOG_LIMIT_BYTES = 1024 * 1024
LOG_LIMIT_LINES = 20_000
WRITE_TRIES = 3
"""How often in a row a write may fail before the lines wait for the attempt's end."""
CLOSE_DELAYS_SECONDS = (0.0, 0.2, 1.0, 3.0)
"""Waits before each try to write what is left at the end."""

logger = logging.getLogger(__name__)

WriteLines = Callable[[Sequence[LogLine]], None]


class AttemptLog:
    """Collects lines from any thread and writes them in order, in batches, through `write_lines`.

    While the attempt runs, `write_lines` is called only from a thread of this object, which is started by the first
    line: never inside the user's code, where it would join the user's database transaction. `close` writes what is left
    from the caller's thread. So no call overlaps another, and an attempt that writes nothing costs nothing. After a
    call that failed it is `write_lines_again`, with the same lines and perhaps more: some may have been written.
    """

    def __init__(
        self,
        write_lines: WriteLines,
        write_lines_again: WriteLines | None = None,
        *,
        now: Callable[[], datetime.datetime],
    ) -> None:
        self._write_lines = write_lines
        self._now = now
        self._write_lines_again = write_lines_again or write_lines
        self._has_failed = False
        # Re-entrant: a signal handler of the user's code may print while a line is being added.
        self._changed = threading.Condition()
        self._pending: list[LogLine] = []
        self._writer: threading.Thread | None = None
        self._first_pending_at = 0.0
        self._last_at = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        self._bytes = 0
        self._lines = 0
        self._is_closed = False
        self._is_full = False

    def write_line(self, message: str, *, stream: str = "stdout", level: str = "info") -> None:
        """Append a message, one line for each of its lines; beyond the limit, one marker and then nothing."""
        with self._changed:
            # A thread the user's code left behind may still print after the end: its attempt has no log any more.
            if self._is_closed:
                return
            for line in lines.split_lines(lines.escape_unprintable(message)):
                if self._is_full:
                    return
                self._append(line, stream, level)

    def close(self) -> None:
        """Write everything that is left; report lines that cannot be written to the platform's log, never raise."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._writer is not None:
            self._writer.join()
        for delay in CLOSE_DELAYS_SECONDS:
            if not self._pending:
                return
            time.sleep(delay)
            self._write(self._take())
        if self._pending:
            logger.error(
                "Lines of an attempt's log are lost", extra={"event": "attempt_log_lost", "lines": len(self._pending)}
            )

    def _append(self, line: str, stream: str, level: str) -> None:
        size = len(line.encode()) + 1
        if self._bytes + size > LOG_LIMIT_BYTES or self._lines == LOG_LIMIT_LINES:
            self._is_full = True
            limit = "1 MiB" if self._lines < LOG_LIMIT_LINES else f"{LOG_LIMIT_LINES:,} lines"
            line, stream, level = f"… log truncated at {limit}", "log", "warning"
        self._bytes += size
        self._lines += 1
        # Later than the line before, whatever the clock says: by its time a line is known in its attempt.
        self._last_at = max(self._now(), self._last_at + datetime.timedelta(microseconds=1))
        self._pending.append(LogLine(stream=stream, level=level, message=line, created_at=self._last_at))
        if len(self._pending) == 1:
            self._first_pending_at = time.monotonic()
            self._wake_writer()
        elif len(self._pending) == BATCH_LINES:
            self._changed.notify()

    def _wake_writer(self) -> None:
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_batches, name="attempt-log", daemon=True)
            self._writer.start()
        else:
            self._changed.notify()

    def _write_batches(self) -> None:
        failures = 0
        while failures < WRITE_TRIES:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._pending)
                # After a failure only time starts the next try, however many lines wait.
                enough = math.inf if failures else BATCH_LINES
                self._changed.wait_for(
                    lambda: self._is_closed or len(self._pending) >= enough,  # noqa: B023 - called before the loop goes on
                    timeout=self._first_pending_at + FLUSH_SECONDS - time.monotonic(),
                )
                if self._is_closed:
                    return
            failures = 0 if self._write(self._take()) else failures + 1

    def _take(self) -> list[LogLine]:
        with self._changed:
            batch, self._pending = self._pending, []
            return batch

    def _write(self, batch: list[LogLine]) -> bool:
        try:
            (self._write_lines_again if self._has_failed else self._write_lines)(batch)
            self._has_failed = False
        except Exception:
            self._has_failed = True
            logger.exception("Writing lines of an attempt's log failed", extra={"event": "attempt_log_write_failed"})
            with self._changed:
                self._pending = batch + self._pending
                self._first_pending_at = time.monotonic()
            return False
        return True
