"""The one log of the stack: a prefix per process, colour on a terminal, whole lines only."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Sequence
from typing import BinaryIO

SUPERVISOR = "maestro"
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)
LONGEST_LINE_BYTES = 64 * 1024
# Control characters could move the cursor or retitle the terminal; a tab is harmless.
VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != ord("\t")}


class Log:
    """Writes the lines of many processes to one stream."""

    def __init__(self, stream: BinaryIO, *, is_coloured: bool) -> None:
        self._stream = stream
        self._is_coloured = is_coloured
        self._colours: dict[str, int] = {}
        self._width = len(SUPERVISOR)
        self._is_broken = False
        self.on_broken: Callable[[], None] | None = None
        """Called once when nobody reads the log any more, for example after `maestro up | head`."""

    def introduce(self, names: Sequence[str]) -> None:
        """Give each process its colour and make the prefixes equally wide."""
        for name in names:
            self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        self._width = max(self._width, *map(len, names))

    def say(self, text: str) -> None:
        """Write a line of the supervisor's own."""
        self.line(SUPERVISOR, text)

    def line(self, name: str, text: str) -> None:
        """Write one line of a process."""
        prefix = f"{name:<{self._width}} | "
        if self._is_coloured:
            prefix = f"\x1b[{self._colours.get(name, 1)}m{prefix}\x1b[0m"
        self.block(f"{prefix}{text.translate(VISIBLE)}\n")

    def block(self, text: str) -> None:
        """Write text as it is."""
        if self._is_broken:
            return
        try:
            self._stream.write(text.encode("utf-8", "replace"))
            self._stream.flush()
        except (OSError, ValueError):
            self._is_broken = True
            if self.on_broken:
                self.on_broken()


async def pump(output: io.RawIOBase, take: Callable[[str], None]) -> None:
    """Hand over a pipe's lines until its end, then close it; an endless line in pieces, wrong UTF-8 replaced."""
    stream = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), output)
    try:
        await split_lines(stream, take)
    finally:
        transport.close()


async def split_lines(stream: asyncio.StreamReader, take: Callable[[str], None]) -> None:
    """Hand over a stream's lines until its end."""
    pending = b""
    while chunk := await stream.read(LONGEST_LINE_BYTES):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            take(_decode(line))
        while len(pending) >= LONGEST_LINE_BYTES:
            take(_decode(pending[:LONGEST_LINE_BYTES]))
            pending = pending[LONGEST_LINE_BYTES:]
    if pending:
        take(_decode(pending))


def _decode(line: bytes) -> str:
    """Return the text of a line without its end."""
    return line.removesuffix(b"\r").decode("utf-8", "replace")
