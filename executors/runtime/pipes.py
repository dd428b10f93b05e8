"""The pipes for both outputs of a subprocess, read in the order in which it wrote to them. Starts no process."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import select
import sys
import time
from collections.abc import Iterator

STREAMS = ("stdout", "stderr")

ORDERED_READS = 20_000
"""After so many the order is given up: no log holds more lines."""

_READS_AT_ONCE = 256
_WIDE_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_ENDED = select.POLLHUP | select.POLLERR


class OutputPipes:
    """Reads what a subprocess writes to its stdout and stderr.

    Which of two pipes was written first cannot be told afterwards. So on Linux each pipe holds one write and no more,
    and tells of each as it comes: a process cannot write to a pipe again before its last write was read, and the events
    are in the order of the writes. Elsewhere, and beyond `ORDERED_READS`, the streams come as they are found.
    """

    def __init__(self) -> None:
        self._streams: dict[int, str] = {}
        self._writers: list[int] = []
        self._reads = 0
        self._is_wide = False
        if sys.platform == "linux":
            self._poll = select.epoll()
        else:
            self._poll = select.poll()
        for stream in STREAMS:
            self._add(stream)

    @property
    def writers(self) -> tuple[int, int]:
        """Return what the process gets as its stdout and stderr."""
        stdout, stderr = self._writers
        return stdout, stderr

    @property
    def is_open(self) -> bool:
        """Tell whether some process may still write."""
        return bool(self._streams)

    def close_writers(self) -> None:
        """Leave the writing ends to the process: without it their end is never seen."""
        while self._writers:
            os.close(self._writers.pop())

    def read(self, seconds: float) -> Iterator[tuple[str, bytes]]:
        """Yield as stream and bytes what is written in that time, as it comes; return early when there is no news."""
        until = time.monotonic() + seconds
        while self._streams and (left := until - time.monotonic()) > 0:
            events = self._poll.poll(left if sys.platform == "linux" else left * 1000)
            # After a time without news each is looked at: an event that got lost must not stop a process.
            for reader, mask in events or [(reader, 0) for reader in self._streams]:
                yield from self._read(reader, is_ended=bool(mask & _ENDED))

    def close(self) -> None:
        """Close everything."""
        self.close_writers()
        for reader in list(self._streams):
            self._forget(reader)
        if sys.platform == "linux":
            self._poll.close()

    def _add(self, stream: str) -> None:
        reader, writer, holds_one = _make_pipe()
        os.set_blocking(reader, False)
        self._streams[reader] = stream
        self._writers.append(writer)
        if sys.platform == "linux":
            self._poll.register(reader, select.EPOLLIN | (select.EPOLLET if holds_one else 0))
        else:
            self._poll.register(reader, select.POLLIN)

    def _read(self, reader: int, *, is_ended: bool) -> Iterator[tuple[str, bytes]]:
        """Yield one write; where nobody writes any more, all that is left."""
        stream = self._streams[reader]
        reads = itertools.count() if is_ended else range(_READS_AT_ONCE if self._is_wide else 1)
        for _ in reads:
            try:
                chunk = os.read(reader, _CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self._forget(reader)
                return
            self._reads += 1
            yield stream, chunk
        if self._reads > ORDERED_READS and not self._is_wide:
            self._widen()

    def _widen(self) -> None:
        """Let the pipes hold more than one write: nobody looks at the order any more, and to keep it takes time."""
        self._is_wide = True
        if sys.platform == "linux":
            for reader in self._streams:
                with contextlib.suppress(OSError):
                    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _WIDE_BYTES)
                self._poll.modify(reader, select.EPOLLIN)

    def _forget(self, reader: int) -> None:
        self._poll.unregister(reader)
        del self._streams[reader]
        os.close(reader)


def _make_pipe() -> tuple[int, int, bool]:
    """Make a pipe that holds one write, or as much of it as fits a page; also return whether it does."""
    if sys.platform != "linux":
        return (*os.pipe(), False)
    else:  # noqa: RET505 - the type checker knows platforms by their branches
        try:
            reader, writer = os.pipe2(os.O_CLOEXEC | os.O_DIRECT)
        except OSError:  # a kernel that knows no packets
            return (*os.pipe(), False)
        try:
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1)
        except OSError:
            return reader, writer, False
        return reader, writer, True
