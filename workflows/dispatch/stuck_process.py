"""Processes of a worker that are stuck: the attempt has ended, or was taken back, but the process does not come back
for the next message, and so is lost to the worker.

Whatever holds it, a lock that another thread had when it was forked, or a word that never reached its pool: the row
says that there is nothing left to do. The process is killed; its message goes back to the broker, and finds nothing to
do.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import time
from typing import Any
from uuid import UUID

from celery import signals
from psycopg.rows import scalar_row

from executors.pools import drain, processes
from maestro.core import sql
from workflows.dispatch.lost_process import EngineRequest

logger = logging.getLogger(__name__)

# Looks in a row that find a process without an attempt before it is stuck. Between claim, finish and the end of the
# message it has none either, and may have thousands of messages to send, or wait for a broker that is away.
LOOKS = 30
LOOK_SECONDS = 10.0
# By which a process writes to its standard error where all of its threads are.
TRACE_SIGNAL = signal.SIGUSR2
TRACE_SECONDS = 0.5

# Of these messages, those by which none of their tasks is running.
_WITHOUT_ATTEMPT = """
SELECT message.id FROM unnest(%(ids)s::text[], %(run_ids)s::uuid[], %(keys)s::text[]) AS message (id, run_id, task_key)
LEFT JOIN task_executions t
    ON t.run_id = message.run_id AND t.task_key = message.task_key AND t.status = 'running'
   AND t.claim_message = message.id
GROUP BY message.id HAVING count(t.id) = 0
"""


class StuckProcesses:
    """Counts for how many looks each process has had no attempt."""

    def __init__(self) -> None:
        self._looks: dict[tuple[str, int], int] = {}
        self._next_look_at = 0.0

    def end(self, connection: sql.Connection) -> None:
        """Kill the processes of this worker that are stuck, if it is time to look."""
        if time.monotonic() < self._next_look_at:
            return
        self._next_look_at = time.monotonic() + LOOK_SECONDS
        taken = [request for request in drain.held_requests() if _is_run_by_a_process(request)]
        without = _find_without_attempt(connection, taken) if taken else set()
        idle = {(request.id, request.worker_pid) for request in taken if request.id in without}
        self._looks = {each: self._looks.get(each, 0) + 1 for each in idle}
        for (message_id, pid), looks in self._looks.items():
            if looks >= LOOKS:
                logger.error("Process %d of this worker does not end with message %s: it is killed", pid, message_id)
                _kill(pid)


def say_where_when_asked(**_: Any) -> None:
    """Let this process write where its threads are when it gets `TRACE_SIGNAL`; there are no values in that."""
    if sys.__stderr__ is not None:
        faulthandler.register(TRACE_SIGNAL, file=sys.__stderr__)


signals.worker_process_init.connect(say_where_when_asked)


def _is_run_by_a_process(request: Any) -> bool:
    return isinstance(request, EngineRequest) and bool(request.worker_pid)


def _find_without_attempt(connection: sql.Connection, requests: list[Any]) -> set[str]:
    rows = [
        (request.id, UUID(request.kwargs["run_id"]), task_key)
        for request in requests
        for task_key, *_ in request.kwargs["tasks"]
    ]
    ids, run_ids, keys = map(list, zip(*rows, strict=True))
    with sql.cursor(connection, scalar_row) as cursor:
        return set(cursor.execute(_WITHOUT_ATTEMPT, {"ids": ids, "run_ids": run_ids, "keys": keys}).fetchall())


def _kill(pid: int) -> None:
    # It says first where it is, for whoever has to find out why.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, TRACE_SIGNAL)
        time.sleep(TRACE_SECONDS)
    processes.kill_tree(pid)
