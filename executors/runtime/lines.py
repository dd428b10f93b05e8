"""How raw output becomes lines of a log: splitting, the length limit, escapes. Nothing here buffers or stores a log."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator

LINE_LIMIT = 16 * 1024
"""Characters of the longest line; a longer one becomes several, each but the last ending in `CONTINUES`."""
CONTINUES = " …"

# Everything PostgreSQL cannot store or a terminal would obey; tab and newline are text.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_PIECE = LINE_LIMIT - len(CONTINUES)


def escape_unprintable(text: str) -> str:
    """Write control characters and lone surrogates as escapes (`\\x1b`, `\\ud800`): safe to store and to show."""
    return _UNPRINTABLE.sub(_escape, text)


def split_lines(text: str) -> Iterator[str]:
    """Yield the lines of a text, long ones in pieces; a text without a newline is one line."""
    for line in text.split("\n"):
        start = 0
        while len(line) - start > LINE_LIMIT:
            yield line[start : start + _PIECE] + CONTINUES
            start += _PIECE
        yield line[start:]


class LineSplitter:
    """Turns the bytes of one stream into lines as they come, and hands each to `emit`.

    Bytes that are not UTF-8 are replaced. `\\n`, `\\r\\n` and `\\r` (a progress bar) end a line.
    """

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
        self._partial = ""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes and emit every line they complete."""
        self._partial += self._decoder.decode(chunk)
        *complete, self._partial = split_lines(self._partial)
        for line in complete:
            self._emit(line)

    def close(self) -> None:
        """Emit what followed the last newline."""
        self._partial += self._decoder.decode(b"", final=True)
        self.feed(b"")
        if self._partial:
            self._emit(self._partial)
        self._partial = ""


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
