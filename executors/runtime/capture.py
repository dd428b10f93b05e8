"""Sends what in-process code prints and logs to the attempt's log; the streams are global, so one call at a time."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from executors.base import TaskContext
from executors.runtime.lines import LineSplitter
from maestro.core.user_code.exceptions import summarize

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# What these log is about the platform and belongs to the worker's own log.
PLATFORM_LOGGERS = frozenset(
    {
        "accounts",
        "amqp",
        "billiard",
        "billing",
        "celery",
        "django",
        "executors",
        "kombu",
        "maestro",
        "psycopg",
        "workflows",
    }
)


@contextlib.contextmanager
def captured_output(context: TaskContext) -> Iterator[None]:
    """Turn prints, stderr and log records of the calls inside into log lines, in order; records from level INFO up."""
    stdout = LineSplitter(functools.partial(context.write_line, stream="stdout"))
    stderr = LineSplitter(functools.partial(context.write_line, stream="stderr"))
    try:
        with (
            contextlib.redirect_stdout(_text_stream(stdout)),
            contextlib.redirect_stderr(_text_stream(stderr)),
            _captured_records(context),
        ):
            yield
    finally:
        stdout.close()
        stderr.close()


@contextlib.contextmanager
def _captured_records(context: TaskContext) -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    handler = _LineHandler(context)
    root.addHandler(handler)
    root.setLevel(min(level, logging.INFO))
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


class _LineHandler(logging.Handler):
    """Writes each record of the user's code as a line of its level."""

    def __init__(self, context: TaskContext) -> None:
        super().__init__()
        self._context = context

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name.partition(".")[0] not in PLATFORM_LOGGERS

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception as error:  # noqa: BLE001 - whatever the user's arguments raise; the line says it
            message = f"{record.msg} (cannot be formatted with {record.args!r}: {summarize(error)})"
        self._context.write_line(message, stream="log", level=_level(record.levelno))


class _SplitterStream(io.BufferedIOBase):
    """The binary side of a captured stream."""

    name = "<attempt log>"

    def __init__(self, splitter: LineSplitter) -> None:
        super().__init__()
        self._splitter = splitter

    def writable(self) -> bool:
        return True

    def write(self, chunk: ReadableBuffer, /) -> int:
        content = bytes(chunk)
        self._splitter.feed(content)
        return len(content)


def _text_stream(splitter: LineSplitter) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        _SplitterStream(splitter), encoding="utf-8", errors="backslashreplace", newline="\n", write_through=True
    )


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
