"""Pausing: nothing begins while a pause covers it, and everything goes on after it (rules 9b and 9c of the engine
protocol).

A pause is a row of `pauses`. What it covers is held: `hold = 1` on every open row, which claim, advance and wake-ups
obey. Whoever pauses, resumes or starts a run commits first and then looks: one of any two looks second.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import scalar_row, tuple_row

from maestro.core import sql
from workflows.dispatch import advance, children, each, holds, signals
from workflows.dispatch.holds import IS_COVERED
from workflows.runs.statuses import PauseScope

logger = logging.getLogger(__name__)

# Runs that are held, or let go, in one transaction.
SLICE = 200

_RUNS_OF_ORGANIZATION = """
SELECT r.id FROM workflow_runs r JOIN pauses p ON p.organization_id = r.organization_id
WHERE p.id = %(pause_id)s AND r.status IN ('pending', 'running') AND r.hold < 2 AND r.id > %(after)s
ORDER BY r.id LIMIT %(limit)s
"""
_RUNS_WITH_CHILDREN = """
WITH RECURSIVE line (run_id) AS (
    SELECT r.id FROM workflow_runs r JOIN pauses p ON p.run_id = r.id OR p.workflow_id = r.workflow_id
    WHERE p.id = %(pause_id)s AND r.status IN ('pending', 'running')
    UNION
    SELECT child.id
    FROM line JOIN task_executions t ON t.run_id = line.run_id AND t.status = 'waiting' AND t.reason = 'child_run'
         JOIN workflow_runs child
           ON child.id = t.child_run_id AND child.is_awaited AND child.status IN ('pending', 'running')
)
SELECT run_id FROM line WHERE run_id > %(after)s ORDER BY run_id LIMIT %(limit)s
"""
# Who began to pause or resume has died. The pause of a run covers what is there, and what is started under that run's
# lock.
_UNSETTLED_PAUSES = """
SELECT id FROM pauses WHERE settled_at IS NULL AND coalesce(resumed_at, paused_at) < clock_timestamp() - %(grace)s
"""
# By the index on the time, whatever the planner expects: an organization may have a million open runs.
_UNHELD_STARTS = f"""
SELECT r.id
FROM (
    SELECT DISTINCT organization_id FROM pauses WHERE resumed_at IS NULL AND scope IN ('workflow', 'organization')
) paused CROSS JOIN LATERAL (
    SELECT * FROM workflow_runs
    WHERE organization_id = paused.organization_id AND created_at >= %(since)s AND created_at < %(until)s
    ORDER BY created_at DESC OFFSET 0
) r
WHERE r.status IN ('pending', 'running') AND r.hold = 0 AND {IS_COVERED}
LIMIT %(limit)s
"""
# A child began while its parent was resumed, and its starter died; or its hooks outlive the run that waited for it.
_HELD_ALONE = f"""
SELECT r.id FROM {children.OPEN_CHILDREN_WITH_PARENTS} CROSS JOIN LATERAL (SELECT c.*) r
WHERE r.hold = 1 AND NOT {IS_COVERED}
  AND NOT (t.status = 'waiting' AND t.reason = 'child_run' AND t.child_run_id = r.id AND t.hold = 1)
LIMIT %(limit)s
"""
_held_alone = children.rounds_of_open_children()
_SCOPE = "SELECT scope, resumed_at FROM pauses WHERE id = %(pause_id)s"
_NOTE_SETTLED = """
UPDATE pauses SET settled_at = clock_timestamp()
WHERE id = %(pause_id)s AND resumed_at IS NOT DISTINCT FROM %(resumed_at)s
"""
GRACE = datetime.timedelta(seconds=5)
# A start that died is found within seconds; who looks again after an outage of everything looks so far back.
STARTED_SINCE = datetime.timedelta(hours=1)
_FIRST = UUID(int=0)


def settle_pause(connection: sql.Connection, pause_id: UUID) -> None:
    """Hold what a pause covers; after its end, let go what no other pause covers."""
    given: dict[str, Any] = {"pause_id": pause_id, "after": _FIRST, "limit": SLICE}
    with sql.cursor(connection, tuple_row) as cursor:
        pause = cursor.execute(_SCOPE, given).fetchone()
    if pause is None:
        return  # its run, or its workflow, is gone
    has_parents = pause[0] in (PauseScope.RUN, PauseScope.WORKFLOW)
    statement = _RUNS_WITH_CHILDREN if has_parents else _RUNS_OF_ORGANIZATION
    while True:
        with sql.cursor(connection, scalar_row) as cursor:
            run_ids = cursor.execute(statement, given).fetchall()
        if not run_ids:
            break
        settle_runs(connection, run_ids)
        given["after"] = run_ids[-1]
    connection.execute(_NOTE_SETTLED, {"pause_id": pause_id, "resumed_at": pause[1]})


def settle_runs(connection: sql.Connection, run_ids: Sequence[UUID]) -> None:
    """Hold the runs and tasks that a pause covers, and let go those that none does; then start what is ready of these.

    Running tasks are held too: they go on, and what follows them waits.
    """
    for run_id in sql.repeat_if_victim(lambda: holds.settle(connection, run_ids)):
        with each.run_of(run_id):
            advance.kick(connection, run_id)
            signals.take(connection, run_id)


def settle_left_over(connection: sql.Connection) -> int:
    """Do what somebody who died had begun to pause or resume. Returns how many pauses."""
    with sql.cursor(connection, scalar_row) as cursor:
        pause_ids = cursor.execute(_UNSETTLED_PAUSES, {"grace": GRACE}).fetchall()
    for pause_id in pause_ids:
        settle_pause(connection, pause_id)
        logger.warning("Settled pause %s, which somebody had begun", pause_id)
    return len(pause_ids)


class UnheldStarts:
    """Holds the runs that somebody started during a pause who died between the commit and the look at pauses."""

    def __init__(self) -> None:
        self._since: datetime.datetime | None = None

    def hold(self, connection: sql.Connection) -> int:
        """Look at the runs that began since the last look, at first at those of the last hour. Returns how many.

        A start that took longer to commit may be left out: it is held before its first message is sent, which nobody
        but the search for lost ones does.
        """
        with sql.cursor(connection, scalar_row) as cursor:
            now: datetime.datetime | None = cursor.execute("SELECT clock_timestamp()").fetchone()
            assert now is not None
            until = now - GRACE
            since = until - STARTED_SINCE if self._since is None else self._since
            run_ids = cursor.execute(_UNHELD_STARTS, {"since": since, "until": until, "limit": SLICE}).fetchall()
        if run_ids:
            settle_runs(connection, sorted(run_ids))
            logger.warning("Held %d runs that were started while they were paused", len(run_ids))
        if len(run_ids) < SLICE:
            # Overlapping, because a start commits a little later than it says.
            self._since = until - GRACE
        return len(run_ids)


def settle_children(connection: sql.Connection) -> int:
    """Let children go that were held with their parent and that no pause covers any more. Returns how many."""
    run_ids: list[UUID] = _held_alone.look(connection, _HELD_ALONE, scalar_row, limit=SLICE)
    if run_ids:
        settle_runs(connection, sorted(run_ids))
        logger.warning("Let %d runs go that nothing has paused any more", len(run_ids))
    return len(run_ids)
