"""How an exception is told to the person whose task raised it."""

from __future__ import annotations

import traceback


def summarize(error: BaseException) -> str:
    """Return `ValueError: what it says` on as many lines as it has; safe even when the exception's own text is not."""
    text = str(traceback.TracebackException(type(error), error, None))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
