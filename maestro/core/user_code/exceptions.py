"""How an exception is told to the person whose task raised it."""

from __future__ import annotations

import re
import traceback

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def error_code(error: BaseException) -> str:
    """Return the exception's class in snake_case, the code of the failed task: `http_timeout_error`."""
    return _WORD_START.sub("_", type(error).__name__).lower()


def summarize(error: BaseException) -> str:
    """Return `ValueError: what it says` on as many lines as it has; safe even when the exception's own text is not."""
    text = str(traceback.TracebackException(type(error), error, None))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
