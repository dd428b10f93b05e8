"""Time limits: what takes longer than it may is ended (rules 11 and 12 of the engine protocol).

An attempt is told to stop by the process that runs it. One that does not is killed by its worker's parent, after its
grace; that of a worker that is gone or stands still is ended by the tick. All of them judge by rows and the database's
clock.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row, scalar_row

from executors.base import TaskResult, timed_out
from maestro.core import sql
from workflows.catalog import cache
from workflows.dispatch import advance, cancellation, celery_calls, each, finish, settle
from workflows.dispatch.finish import Outcome
from workflows.dispatch.messages import CallRef, TaskRef
from workflows.dispatch.publish import RunRef
from workflows.dispatch.rounds import BEGINNING, END, HIGHEST_ID, LOWEST_ID, Rounds
from workflows.runs import joins
from workflows.runs.statuses import Reason, TaskStatus

logger = logging.getLogger(__name__)

MAX_PER_LOOK = 200
# For so long after its grace an attempt is left to the process that runs it, which also ends what it has started…
PROCESS_SLACK = datetime.timedelta(seconds=1)
# …and for so long to its worker, which can also end that process.
SLACK = datetime.timedelta(seconds=5)
# The `hold` of a row whose run is to end.
CANCELLED = 2
# Of an attempt that has a limit only by that of its run.
DEFAULT_GRACE = datetime.timedelta(seconds=10)

# The status is written into the statement: given as a parameter, a plan for all of its values could not use the index.
_OVERDUE = """
SELECT t.id, t.run_id, t.organization_id, t.task_key, t.map_index, t.generation, t.tries, t.reason,
       t.hold, t.child_run_id, t.claim_token, t.claim_message, t.expires_at - t.started_at AS allowed,
       r.workflow_version_id
FROM task_executions t JOIN workflow_runs r ON r.id = t.run_id
WHERE t.status = '{status}' AND t.expires_at < (SELECT clock_timestamp()) AND {due}
ORDER BY t.expires_at LIMIT %(limit)s
"""
_IS_PAST_GRACE = "t.expires_at + coalesce(t.grace, %(grace)s) + %(slack)s < clock_timestamp()"
_OVERDUE_ATTEMPTS = _OVERDUE.format(status="running", due=_IS_PAST_GRACE)
_OVERDUE_OF_WORKER = _OVERDUE.format(status="running", due=f"{_IS_PAST_GRACE} AND t.claim_worker_id = %(worker_id)s")
# What waits for its next attempt has no `expires_at`.
_OVERDUE_WAITS = _OVERDUE.format(status="waiting", due="(t.hold = 0 OR t.reason = 'celery')")
# Guard, re-checked under the row lock: still waiting for its next attempt, in the queue or for its time. No index has
# what is late, because each has a limit of its own; so any number that is not may have to be looked at.
_HAVE_TOTAL_LIMIT = "task_executions WHERE status IN ('queued', 'waiting') AND total_limit IS NOT NULL"
_END_WAITING = f"""
WITH late AS (
    SELECT id FROM {_HAVE_TOTAL_LIMIT}
      AND first_started_at > %(after)s AND first_started_at <= %(to)s
      AND (status = 'queued' OR reason = 'retry_backoff') AND hold = 0
      AND first_started_at < (SELECT clock_timestamp()) - total_limit
    ORDER BY first_started_at LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE task_executions c
SET status = 'failed', reason = 'timed_out', wake_at = NULL, finished_at = clock_timestamp(),
    error_code = 'timed_out', error_message = 'The task took longer than the ' ||
        extract(epoch FROM c.total_limit)::float || ' s that all its attempts may take.'
FROM late WHERE c.id = late.id
RETURNING c.run_id, c.organization_id, c.task_key
"""
# A task inside a canvas is ready once its needs have ended, though its row says `pending`. Guard, re-checked under the
# row lock: not begun, and the generation that was judged. The needs of a row that is younger than its limit are not
# looked at: it cannot have been ready for longer.
_HAVE_QUEUE_LIMIT = "task_executions WHERE status IN ('pending', 'queued') AND queue_limit IS NOT NULL"
_END_QUEUED = f"""
WITH late AS MATERIALIZED (
    SELECT t.id, t.generation
    FROM (SELECT * FROM {_HAVE_QUEUE_LIMIT} AND run_id > %(after)s AND run_id <= %(to)s OFFSET 0) t
         CROSS JOIN LATERAL ({joins.COUNT_NEEDS}) n
    WHERE t.first_started_at IS NULL AND t.hold = 0
      AND t.created_at + t.queue_limit < (SELECT clock_timestamp())
      AND {joins.MAY_BE_DECIDED} AND {joins.DECISION} = 'run'
      AND coalesce(n.last_finished_at, t.created_at) + t.queue_limit < clock_timestamp()
    LIMIT %(limit)s
)
UPDATE task_executions c
SET status = 'failed', reason = 'timed_out', finished_at = clock_timestamp(),
    error_code = 'queue_timeout', error_message = 'No worker began the task within the ' ||
        extract(epoch FROM c.queue_limit)::float || ' s that it may wait for one.'
FROM late
WHERE c.id = late.id AND c.status IN ('pending', 'queued') AND c.hold = 0 AND c.generation = late.generation
  AND c.first_started_at IS NULL
RETURNING c.run_id, c.organization_id, c.task_key
"""
_NOTE_KILLED = """
UPDATE task_executions SET reason = 'killed'
WHERE id = %(id)s AND claim_token = %(token)s AND status = 'cancelled' AND reason = 'unconfirmed'
"""
_OVERDUE_RUNS = """
SELECT id FROM workflow_runs
WHERE status = 'running' AND expires_at < (SELECT clock_timestamp()) AND hold <> 2
ORDER BY expires_at LIMIT %(limit)s
"""
# Paused until after its deadline, or due for its start while no beat ran.
_OVERDUE_STARTS = """
SELECT id FROM workflow_runs
WHERE status = 'pending' AND deadline_at < (SELECT clock_timestamp()) AND start_at <= clock_timestamp()
ORDER BY deadline_at LIMIT %(limit)s
"""
_with_total_limit = Rounds(_HAVE_TOTAL_LIMIT, key="first_started_at", lowest=BEGINNING, highest=END)
_with_queue_limit = Rounds(_HAVE_QUEUE_LIMIT, key="run_id", lowest=LOWEST_ID, highest=HIGHEST_ID)


def end_overdue(connection: sql.Connection) -> int:
    """End what has taken longer than it may, and no worker has ended. Returns how many tasks and runs."""
    return (
        _end_attempts(connection, _OVERDUE_ATTEMPTS, {"slack": SLACK})
        + _end_waits(connection)
        + _end_waiting(connection)
        + _end_runs(connection)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """An attempt that was ended while its process may go on."""

    task_id: int
    """The row of its task."""
    claim_token: UUID
    """Its claim."""
    message_id: str
    """The message it was made for."""


def end_overdue_of_worker(connection: sql.Connection, worker_id: UUID) -> list[Overdue]:
    """End the attempts of a worker that have not stopped within their grace; their processes are to be killed."""
    ended: list[Overdue] = []
    _end_attempts(connection, _OVERDUE_OF_WORKER, {"slack": PROCESS_SLACK, "worker_id": worker_id}, ended)
    return ended


def note_killed(connection: sql.Connection, overdue: Overdue) -> None:
    """Note that the process of an attempt that was cancelled has ended."""
    connection.execute(_NOTE_KILLED, {"id": overdue.task_id, "token": overdue.claim_token})


def _end_attempts(
    connection: sql.Connection, statement: str, parameters: Mapping[str, Any], overdue: list[Overdue] | None = None
) -> int:
    given = {"grace": DEFAULT_GRACE, "limit": MAX_PER_LOOK, **parameters}
    with sql.cursor(connection, dict_row) as cursor:
        rows = cursor.execute(statement, given).fetchall()
    ended = 0
    for row in rows:
        with each.run_of(row["run_id"]):
            version = cache.get_version(connection, row["workflow_version_id"])
            if row["hold"] == CANCELLED:
                outcome = Outcome(status=TaskStatus.CANCELLED, reason=Reason.UNCONFIRMED)
            else:
                outcome = finish.outcome_of(_timed_out(row), version, row["task_key"], row["tries"])
            finished = finish.end_claim(connection, row["id"], row["claim_token"], outcome)
            if finished is None:
                continue
            ended += 1
            logger.warning("Task %s of run %s did not stop when its time was over", row["task_key"], row["run_id"])
            if overdue is not None:
                names = {"task_id": row["id"], "claim_token": row["claim_token"], "message_id": row["claim_message"]}
                overdue.append(Overdue(**names))
            if finished.finished_at is not None:
                run = RunRef(run_id=row["run_id"], organization_id=row["organization_id"])
                advance.advance_from(connection, run, version, [row["task_key"]])
    return ended


def _end_waits(connection: sql.Connection) -> int:
    with sql.cursor(connection, dict_row) as cursor:
        rows = cursor.execute(_OVERDUE_WAITS, {"limit": MAX_PER_LOOK}).fetchall()
    ended, calls = 0, []
    for row in rows:
        with each.run_of(row["run_id"]):
            if row["reason"] != Reason.CELERY:
                ended += _end_wait(connection, row)
                continue
            names = ("run_id", "organization_id", "task_key", "map_index", "generation")
            ref = CallRef(task=TaskRef(**{name: row[name] for name in names}), tries=row["tries"])
            if settle.settle(connection, ref, _timed_out(row)):
                calls.append(ref)
    celery_calls.revoke(calls)
    return ended + len(calls)


def _end_wait(connection: sql.Connection, row: Mapping[str, Any]) -> bool:
    """End what waits for anything but a call; an attempt that has gone on to ask again ends by itself."""
    version = cache.get_version(connection, row["workflow_version_id"])
    outcome = finish.outcome_of(_timed_out(row), version, row["task_key"], row["tries"])
    finished = finish.end_wait(connection, row["id"], row["claim_token"], outcome)
    if finished is None or finished.finished_at is not None:
        # Also when nothing changed: a first try may have been written and not answered.
        run = RunRef(run_id=row["run_id"], organization_id=row["organization_id"])
        advance.advance_from(connection, run, version, [row["task_key"]])
    if finished is not None and row["reason"] == Reason.CHILD_RUN:
        cancellation.stop_left_alone(connection, row["child_run_id"])
    return finished is not None


def _timed_out(row: Mapping[str, Any]) -> TaskResult:
    return TaskResult(error=timed_out(row["allowed"].total_seconds()))


def _end_waiting(connection: sql.Connection) -> int:
    ended = 0
    for rows in (
        _with_total_limit.look(connection, _END_WAITING, dict_row, limit=MAX_PER_LOOK),
        _with_queue_limit.look(connection, _END_QUEUED, dict_row, limit=MAX_PER_LOOK),
    ):
        for row in rows:
            run = RunRef(run_id=row["run_id"], organization_id=row["organization_id"])
            with each.run_of(run.run_id):
                version = advance.version_of_run(connection, run.run_id)
                advance.advance_from(connection, run, version, [row["task_key"]])
        ended += len(rows)
    return ended


def _end_runs(connection: sql.Connection) -> int:
    ended = 0
    for statement in (_OVERDUE_RUNS, _OVERDUE_STARTS):
        with sql.cursor(connection, scalar_row) as cursor:
            run_ids = cursor.execute(statement, {"limit": MAX_PER_LOOK}).fetchall()
        for run_id in run_ids:
            with each.run_of(run_id):
                cancellation.stop_run(connection, run_id, Reason.TIMED_OUT)
        ended += len(run_ids)
    return ended
