"""How an exception is told to the person whose task raised it."""

from __future__ import annotations

import math
import re
import traceback

_CODE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class TaskFailed(Exception):
    """Raise it in a task to say more about the failure than an exception of your own would.

    Raises ValueError when `code` is not snake_case, or `retry_after` is less than nothing.
    """

    def __init__(
        self, message: str, *, code: str = "task_failed", retry: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        if not _CODE.fullmatch(code):
            raise ValueError(f"code: {code!r} is not a word in snake_case of at most 63 characters")
        if retry_after is not None and not 0 <= retry_after < math.inf:
            raise ValueError(f"retry_after: {retry_after!r} is not a number of seconds")
        self.code = code
        """Stable code of the task's error, which `retry.on` may name."""
        self.is_retryable = retry
        """False when trying again cannot help: then the task fails at once, whatever its `retry` says."""
        self.retry_after = retry_after
        """Seconds before which another attempt makes no sense."""


class TaskInterrupted(Exception):
    """Raised in a task's Python code, wherever it is, when its attempt is to stop: clean up and end.

    Who catches it and returns all the same has succeeded, if it was within the `grace` of the task's `timeout`.
    """


class TimeLimitReached(TaskInterrupted):
    """The time of the attempt is over."""


class TaskCancelled(TaskInterrupted):
    """Somebody cancelled the run, or the attempt is no longer this worker's; a few seconds after
    `current_task().is_cancelled()` has begun to say so.
    """


def error_code(error: BaseException) -> str:
    """Return the exception's class in snake_case, the code of the failed task: `http_timeout_error`; a `TaskFailed`
    says it itself.
    """
    if isinstance(error, TaskFailed):
        return error.code
    return _WORD_START.sub("_", type(error).__name__).lower()


def summarize(error: BaseException) -> str:
    """Return `ValueError: what it says` on as many lines as it has; safe even when the exception's own text is not."""
    if isinstance(error, TaskFailed):
        return str(error)
    text = str(traceback.TracebackException(type(error), error, None))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
