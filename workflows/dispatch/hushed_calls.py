"""Calls of Celery tasks for a run with secrets: what they return or raise may hold one. Maestro's own workers keep it
out of their log, and out of Celery's events, which Flower shows.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import current_task

from workflows.dispatch.given_back import GivenBackRequest

HEADER = "maestro_hushed"
"""Header of the message of such a call; Celery takes it over when the task is retried."""
HIDDEN = "hidden: the inputs of the run have secrets"
_TOLD = ("result", "exception", "traceback")


class CallRequest(GivenBackRequest):
    """A message in a worker's parent process, which tells in events how its task ended."""

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's name
        """Send an event of this task."""
        if self._request_dict.get(HEADER):
            fields |= {name: HIDDEN for name in _TOLD if name in fields}
        super().send_event(type, **fields)


class CallFilter(logging.Filter):
    """For the logger by which Celery tells how a task ended, in the process that ran it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, without the words of the task."""
        headers = current_task.request.headers if current_task else None
        if headers and headers.get(HEADER) and isinstance(record.args, dict):
            hidden = {name: HIDDEN for name in ("exc", "return_value", "traceback") if name in record.args}
            record.args = record.args | hidden
            record.data = record.args
            record.exc_info = record.exc_text = None
        return True
