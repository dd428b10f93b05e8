"""A child process of a worker died: its attempt is taken back at once, by the worker's parent process (rule 16 of the
engine protocol).

Nothing depends on it. What cannot be taken back here, because the database is away, say, is found by the tick.
"""

from __future__ import annotations

import logging
import re
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import WorkerLostError

from executors.pools import drain
from executors.pools.forks import forks
from executors.pools.incarnation import get_incarnation
from maestro.core import sql
from workflows.dispatch import leases
from workflows.dispatch.given_back import GivenBackRequest

logger = logging.getLogger(__name__)

# The event loop of the worker stands still while the database is asked: so long at most.
WAIT_SECONDS = 1.0
_EXIT = re.compile(r"(?P<how>signal|exitcode) (?P<number>\d+)")
# One at a time: several children that die together are several short statements.
_threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lost-process")


class EngineRequest(GivenBackRequest):
    """A message of the engine in a worker's parent process."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Take back the attempt of a process that died, then let Celery put the message back: it starts the next.

        In this order, because a message that finds its row still running does nothing.
        """
        error = exc_info.exception
        cause = describe_end(error.exc if isinstance(error, ExceptionWithTraceback) else error)
        # What a worker ran that stops is given back with its lease.
        is_ended_by_worker = self._already_cancelled or self._already_revoked or self.id in drain.given_back
        if cause is not None and not is_ended_by_worker:
            _take_back(UUID(self.kwargs["run_id"]), self.id, cause)
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)


def describe_end(error: BaseException) -> str | None:
    """Say how the process ended, to complete "Its process …"; None when what failed is not the process."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return f"exited with status {error.code}" if isinstance(error, SystemExit) else "was interrupted"
    if not isinstance(error, WorkerLostError):
        return None
    found = _EXIT.search(str(error))
    if found is None:
        return "died"
    number = int(found["number"])
    if found["how"] == "exitcode":
        return f"exited with status {number}"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hint = " (as happens when memory runs out)" if number == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"


def _take_back(run_id: UUID, message_id: str, cause: str) -> None:
    done: Future[int] = _threads.submit(_ask, run_id, message_id, cause)
    try:
        done.result(WAIT_SECONDS)
    except TimeoutError:
        # The message goes back now, by the same id: what has not been asked yet would take back the next attempt.
        done.cancel()
        logger.warning("A process died, and its attempt could not be taken back at once")


def _ask(run_id: UUID, message_id: str, cause: str) -> int:
    worker_id = get_incarnation()
    if worker_id is None:
        return 0
    try:
        with forks.held_off():
            return leases.take_back_of_process(
                sql.engine_connection(), run_id=run_id, worker_id=worker_id, message_id=message_id, cause=cause
            )
    except sql.UNAVAILABLE as error:
        sql.drop_engine_connection()
        logger.warning("A process died while the database was not available: %s", type(error).__name__)
    except Exception:
        # Whatever it was: a message that does not go back keeps its place among those this worker may take.
        sql.drop_engine_connection()
        logger.exception("A process died, and its attempt could not be taken back")
    return 0
