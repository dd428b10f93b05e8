"""Runs that other applications have asked for inside a transaction of their own (rule 1c of the engine protocol): each
request that has committed becomes a run, once.
"""

from __future__ import annotations

import datetime
import json
import logging
import time
from collections.abc import Mapping
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

logger = logging.getLogger(__name__)

MAX_PER_LOOK = 500
# Of each half second: other duties wait meanwhile.
BUDGET_SECONDS = 0.25
KEPT = datetime.timedelta(hours=24)

_FIND_OPEN = "SELECT id FROM run_requests WHERE done_at IS NULL ORDER BY created_at LIMIT %(limit)s"
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


def take_requests(connection: sql.Connection) -> int:
    """Make runs of what was asked for, the oldest first. Returns how many."""
    with sql.cursor(connection, scalar_row) as cursor:
        request_ids = cursor.execute(_FIND_OPEN, {"limit": MAX_PER_LOOK}).fetchall()
    taken, ends_at = 0, time.monotonic() + BUDGET_SECONDS
    for request_id in request_ids:
        if time.monotonic() > ends_at:
            break
        with each.run_of(request_id):
            taken += _take(connection, request_id)
    return taken


def prune_run_requests(connection: sql.Connection, rows: int) -> int:
    """Delete at most so many requests that became runs more than a day ago; return how many. Their keys are free."""
    return connection.execute(_DELETE_OLD, {"kept": KEPT, "rows": rows}).rowcount


def _take(connection: sql.Connection, request_id: UUID) -> bool:
    """Make a run of a request, in the transaction that marks it as done. Tells whether this call did."""
    with connection.transaction():
        with sql.cursor(connection, dict_row) as cursor:
            request = cursor.execute(_TAKE, {"id": request_id}).fetchone()
        if request is None:
            return False
        version = cache.get_version(connection, request["workflow_version_id"])
        run = RunRef(run_id=request_id, organization_id=request["organization_id"])
        ready = _insert(connection, run, request, version)
        connection.execute(_MARK_DONE, {"id": request_id})
    if ready:
        start.send_first(connection, run, version, ready)
    return True


def _insert(
    connection: sql.Connection, run: RunRef, request: Mapping[str, Any], version: CompiledVersion
) -> list[Ready]:
    """Insert the run; one whose inputs cannot be taken has failed, and says why."""
    given, inputs, problems = _read(request["inputs"], version)
    new = NewRun(
        run=run,
        environment_id=request["environment_id"],
        workflow_id=request["workflow_id"],
        version_id=request["workflow_version_id"],
        user_id=None,
        trigger_type="sql",
        priority=version.definition.priority or Priority.NORMAL,
        inputs=given if problems else inputs,
        times=StartTimes(start_at=request["start_at"], deadline_at=request["deadline_at"]),
    )
    if not problems:
        return start.insert_run(connection, new, version)
    logger.warning("The inputs of run %s cannot be taken, it has failed", run.run_id)
    message = "\n".join(["The inputs do not fit the workflow:", *(problem.unplaced for problem in problems)])
    start.insert_refused(connection, new, message)
    return []


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
