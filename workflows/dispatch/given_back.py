"""A message that a stopping worker gives back: the end of its process is not the end of its task."""

from __future__ import annotations

from typing import Any

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import Terminated, WorkerLostError
from celery.worker import state
from celery.worker.request import Request

from executors.pools import drain

_END_OF_PROCESS = (WorkerLostError, Terminated, SystemExit, KeyboardInterrupt)


class GivenBackRequest(Request):  # type: ignore[misc]  # Celery has no types
    """A message in a worker's parent process, which stays unacknowledged when the worker gives it back."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Leave the message to the broker, which gets it back with the connection; anything else is Celery's to do."""
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        if self.id in drain.given_back and isinstance(error, _END_OF_PROCESS):
            state.task_ready(self)
            return
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
