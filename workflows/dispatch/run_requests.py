"""Runs that other applications have asked for inside a transaction of their own (rule 1c of the engine protocol): each
request that has committed becomes a run, once.
"""

from __future__ import annotations

import datetime
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row, scalar_row

from maestro.core import sql
from workflows.catalog import cache
from workflows.catalog.cache import CompiledVersion
from workflows.definition.inputs import resolve_inputs
from workflows.definition.priority import Priority
from workflows.definition.problems import InputsInvalid, Problem
from workflows.dispatch import each, start
from workflows.dispatch.publish import Ready, RunRef
from workflows.dispatch.start import NewRun
from workflows.runs.start_times import StartTimes
from workflows.runs.statuses import Reason

logger = logging.getLogger(__name__)

MAX_PER_LOOK = 500
# Of each half second: other duties wait meanwhile.
BUDGET_SECONDS = 0.25
KEPT = datetime.timedelta(hours=24)

# A request that cannot be made a run of, by a defect of ours, is tried again after a while that doubles, and given up
# after about four minutes, in which a deployment may replace the beat that cannot.
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 2.0, 300.0
MOST_TRIES = 8

# Those that rest are left out, because any number of them may be older than all others.
_FIND_OPEN = """
SELECT id FROM run_requests WHERE done_at IS NULL AND id <> ALL (%(resting)s) ORDER BY created_at LIMIT %(limit)s
"""
# A request that another beat has locked becomes a run there. The inputs come as text, because not every number that
# PostgreSQL keeps can be read. A run whose deadline came before the commit is to begin in the past, so that it is ended
# as any other that its deadline keeps from its start.
_TAKE = """
SELECT id, organization_id, environment_id, workflow_id, workflow_version_id, inputs::text AS inputs, deadline_at,
       CASE WHEN start_at > clock_timestamp() THEN start_at
            WHEN deadline_at <= clock_timestamp() THEN coalesce(start_at, created_at) END AS start_at
FROM run_requests WHERE id = %(id)s AND done_at IS NULL
FOR UPDATE SKIP LOCKED
"""
_MARK_DONE = "UPDATE run_requests SET done_at = clock_timestamp() WHERE id = %(id)s"
_DELETE_OLD = """
DELETE FROM run_requests WHERE id = ANY (ARRAY(
    SELECT id FROM run_requests WHERE done_at < clock_timestamp() - %(kept)s ORDER BY done_at LIMIT %(rows)s
    FOR UPDATE SKIP LOCKED
))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """What has become of a request that could not be made a run of."""

    tries: int
    """How often it was tried."""
    again_at: float
    """When it is tried again, by the monotonic clock."""


class RunRequests:
    """Makes runs of what was asked for.

    A beat remembers for itself what it could not make a run of: another one, or the next, may be able to.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[UUID, _Failure] = {}

    def take(self, connection: sql.Connection) -> int:
        """Make runs of requests, the oldest first. Returns how many."""
        now = self._clock()
        resting = [request_id for request_id, failure in self._failures.items() if failure.again_at > now]
        with sql.cursor(connection, scalar_row) as cursor:
            found = cursor.execute(_FIND_OPEN, {"resting": resting, "limit": MAX_PER_LOOK}).fetchall()
        taken = 0
        for request_id in found:
            with each.run_of(request_id):
                taken += self._take(connection, request_id)
            # Afterwards, so that each look takes one, however slow the database is.
            if self._clock() > now + BUDGET_SECONDS:
                break
        return taken

    def _take(self, connection: sql.Connection, request_id: UUID) -> bool:
        try:
            made = _make_run(connection, request_id)
        except sql.UNAVAILABLE:
            raise
        except Exception as error:
            self._rest(connection, request_id, error)
            raise
        self._failures.pop(request_id, None)
        if made is None:
            return False
        run, version, ready = made
        if ready:
            start.send_first(connection, run, version, ready)
        return True

    def _rest(self, connection: sql.Connection, request_id: UUID, error: Exception) -> None:
        """Note a failure; after the last try, let the request become a run that has failed."""
        before = self._failures.get(request_id)
        tries = 1 if before is None else before.tries + 1
        seconds = min(FIRST_REST_SECONDS * 2.0 ** (tries - 1), LONGEST_REST_SECONDS)
        self._failures[request_id] = _Failure(tries=tries, again_at=self._clock() + seconds)
        if tries >= MOST_TRIES:
            _give_up(connection, request_id, tries, error)
            del self._failures[request_id]


def prune_run_requests(connection: sql.Connection, rows: int) -> int:
    """Delete at most so many requests that became runs more than a day ago; return how many. Their keys are free."""
    return connection.execute(_DELETE_OLD, {"kept": KEPT, "rows": rows}).rowcount


def _make_run(connection: sql.Connection, request_id: UUID) -> tuple[RunRef, CompiledVersion, list[Ready]] | None:
    """Make a run of a request, in the transaction that marks it as done; return what is to be sent of it.

    None when it is done already, or another beat is at it.
    """
    with connection.transaction():
        request = _lock(connection, request_id)
        if request is None:
            return None
        version = cache.get_version(connection, request["workflow_version_id"])
        run = RunRef(run_id=request_id, organization_id=request["organization_id"])
        ready = _insert(connection, run, request, version)
        connection.execute(_MARK_DONE, {"id": request_id})
    return run, version, ready


def _give_up(connection: sql.Connection, request_id: UUID, tries: int, error: Exception) -> None:
    """Make a run of a request that has failed, and says why; without its inputs, any of which may be secret."""
    with connection.transaction():
        request = _lock(connection, request_id)
        if request is None:
            return
        run = RunRef(run_id=request_id, organization_id=request["organization_id"])
        new = _new_run(run, request, Priority.NORMAL, {})
        # What the error says may be of the inputs.
        message = (
            f"The run could not be started, {tries} tries ended with {type(error).__name__}. Beat's log says more."
        )
        start.insert_refused(connection, new, Reason.START_FAILED, message)
        connection.execute(_MARK_DONE, {"id": request_id})
    logger.error("Run %s could not be started and has failed", request_id)


def _lock(connection: sql.Connection, request_id: UUID) -> dict[str, Any] | None:
    with sql.cursor(connection, dict_row) as cursor:
        request: dict[str, Any] | None = cursor.execute(_TAKE, {"id": request_id}).fetchone()
    return request


def _insert(
    connection: sql.Connection, run: RunRef, request: Mapping[str, Any], version: CompiledVersion
) -> list[Ready]:
    """Insert the run; one whose inputs cannot be taken has failed, and says why."""
    given, inputs, problems = _read(request["inputs"], version)
    new = _new_run(run, request, version.definition.priority or Priority.NORMAL, given if problems else inputs)
    if not problems:
        return start.insert_run(connection, new, version)
    logger.warning("The inputs of run %s cannot be taken, it has failed", run.run_id)
    message = "\n".join(["The inputs do not fit the workflow:", *(problem.unplaced for problem in problems)])
    start.insert_refused(connection, new, Reason.INPUTS_REFUSED, message)
    return []


def _new_run(run: RunRef, request: Mapping[str, Any], priority: Priority, inputs: Mapping[str, Any]) -> NewRun:
    return NewRun(
        run=run,
        environment_id=request["environment_id"],
        workflow_id=request["workflow_id"],
        version_id=request["workflow_version_id"],
        user_id=None,
        trigger_type="sql",
        priority=priority,
        inputs=inputs,
        times=StartTimes(start_at=request["start_at"], deadline_at=request["deadline_at"]),
    )


def _read(
    text: str, version: CompiledVersion
) -> tuple[dict[str, Any], dict[str, Any], tuple[Problem, ...] | list[Problem]]:
    """Return the inputs as they were given, as the run gets them, and what is wrong with them.

    Of those given, only the ones that the workflow knows: what it does not know it cannot know to be secret.
    """
    schemas = version.definition.inputs
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        message = "they hold a number too long, or values too deep, to be read"
        return {}, {}, [Problem(code="unreadable", path=(), message=message)]
    known = {name: value for name, value in given.items() if name in schemas}
    try:
        return known, resolve_inputs(schemas, given), ()
    except InputsInvalid as error:
        return known, {}, error.problems
