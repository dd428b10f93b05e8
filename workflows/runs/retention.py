"""What is deleted of history, and in which order: one bounded transaction at a time. When and how much in a row is
decided in `workflows.dispatch.retention`.

Ages are counted from the end of a run, by the database's clock. A run goes with all its rows in one transaction; a
large one is first hidden (`pruned_at`), then taken away from its leaves to its root, so that whatever is left is found
again. Log lines and attempts that go before their run are found by how far the last batch came.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row, scalar_row, tuple_row

from maestro.core import sql

# Nobody waits for pruning, and pruning hardly waits for anybody; what it deleted may be deleted again after a crash.
_BOUND_TRANSACTION = """
SELECT set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '100ms', true),
       set_config('statement_timeout', '1s', true)
"""
# The runs an organization may lose, the oldest first. A run stays while the run that started it is open, or one that it
# started. OFFSET 0 keeps the planner from reading all open runs instead of the few this asks for. Sizes are counted no
# further than matters.
_FIND_OLD_RUNS = """
WITH old AS MATERIALIZED (
    SELECT r.id, r.finished_at FROM workflow_runs r
    WHERE r.organization_id = %(organization_id)s AND r.pruned_at IS NULL AND r.finished_at >= %(since)s
      AND r.finished_at < (
          SELECT now() - make_interval(days => run_retention_days) FROM organizations WHERE id = %(organization_id)s
      )
      AND r.status NOT IN ('pending', 'running')
      AND NOT EXISTS (
          SELECT FROM task_executions t JOIN workflow_runs parent ON parent.id = t.run_id
          WHERE t.id = r.parent_task_id AND parent.finished_at IS NULL OFFSET 0
      )
      AND NOT EXISTS (
          SELECT FROM task_executions t JOIN workflow_runs child ON child.parent_task_id = t.id
          WHERE t.run_id = r.id AND child.finished_at IS NULL OFFSET 0
      )
    ORDER BY r.finished_at LIMIT %(runs)s
    FOR UPDATE OF r SKIP LOCKED
)
SELECT id, finished_at,
       1 + (SELECT count(*) FROM (SELECT FROM task_log_lines WHERE run_id = old.id LIMIT %(rows)s) line)
         + (SELECT count(*) FROM (SELECT FROM task_executions WHERE run_id = old.id LIMIT %(rows)s) task)
         + (SELECT count(*) FROM (
               SELECT FROM task_executions t JOIN task_attempts a ON a.task_execution_id = t.id
               WHERE t.run_id = old.id LIMIT %(rows)s
           ) attempt)
         + (SELECT count(*) FROM (SELECT FROM run_signals WHERE run_id = old.id LIMIT %(rows)s) signal)
         + (SELECT count(*) FROM (
               SELECT FROM task_executions t JOIN approval_decisions d ON d.task_execution_id = t.id
               WHERE t.run_id = old.id LIMIT %(rows)s
           ) decision)
FROM old ORDER BY finished_at
"""
_HIDE_RUNS = "UPDATE workflow_runs SET pruned_at = clock_timestamp() WHERE id = ANY (%(run_ids)s)"
_FIND_HIDDEN_RUN = """
SELECT id FROM workflow_runs WHERE pruned_at IS NOT NULL ORDER BY pruned_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
# Run by run, whatever the planner expects of one that has half of all rows.
_DELETE_LINES = """
DELETE FROM task_log_lines WHERE id = ANY (ARRAY(
    SELECT line.id FROM unnest(%(run_ids)s::uuid[]) AS run (id) CROSS JOIN LATERAL (
        SELECT id FROM task_log_lines WHERE run_id = run.id ORDER BY id LIMIT %(rows)s
    ) line
    LIMIT %(rows)s
))
"""
_DELETE_ATTEMPTS = """
DELETE FROM task_attempts WHERE id = ANY (ARRAY(
    SELECT a.id FROM unnest(%(run_ids)s::uuid[]) AS run (id)
                     JOIN task_executions t ON t.run_id = run.id
                     JOIN task_attempts a ON a.task_execution_id = t.id
    LIMIT %(rows)s
))
"""
_DELETE_SIGNALS = """
DELETE FROM run_signals WHERE id = ANY (ARRAY(
    SELECT id FROM run_signals WHERE run_id = ANY (%(run_ids)s) LIMIT %(rows)s
))
"""
_DELETE_DECISIONS = """
DELETE FROM approval_decisions WHERE id = ANY (ARRAY(
    SELECT d.id FROM unnest(%(run_ids)s::uuid[]) AS run (id)
                     JOIN task_executions t ON t.run_id = run.id
                     JOIN approval_decisions d ON d.task_execution_id = t.id
    LIMIT %(rows)s
))
"""
# The items of a `for_each` task before the task itself, to which they refer.
_FIND_TASKS = """
SELECT task.id FROM unnest(%(run_ids)s::uuid[]) AS run (id) CROSS JOIN LATERAL (
    SELECT id FROM task_executions WHERE run_id = run.id ORDER BY parent_id IS NULL LIMIT %(rows)s
) task
LIMIT %(rows)s
"""
# A child run that is kept longer than the run that started it.
_FORGET_PARENTS = "UPDATE workflow_runs SET parent_task_id = NULL WHERE parent_task_id = ANY (%(task_ids)s)"
_DELETE_TASKS = "DELETE FROM task_executions WHERE id = ANY (%(task_ids)s)"
# A run that is kept longer than a child it started.
_FORGET_CHILDREN = "UPDATE task_executions SET child_run_id = NULL WHERE child_run_id = ANY (%(run_ids)s)"
_DELETE_PAUSES = "DELETE FROM pauses WHERE run_id = ANY (%(run_ids)s)"
_DELETE_RUNS = "DELETE FROM workflow_runs WHERE id = ANY (%(run_ids)s)"

_DELETE_LINES_OF_GONE_RUN = """
DELETE FROM task_log_lines
WHERE run_id = %(run_id)s AND NOT EXISTS (SELECT FROM workflow_runs WHERE id = %(run_id)s)
"""

_START_PROGRESS = """
INSERT INTO retention_progress (organization_id)
SELECT id FROM organizations WHERE id = %(organization_id)s ON CONFLICT DO NOTHING
"""
# Whoever holds this row prunes this organization. Runs that are old enough to go themselves take their rows with them.
_LOCK_PROGRESS = """
SELECT greatest(p.{until}, now() - make_interval(days => o.run_retention_days), '-infinity'),
       now() - make_interval(days => o.{days})
FROM retention_progress p JOIN organizations o ON o.id = p.organization_id
WHERE p.organization_id = %(organization_id)s
FOR UPDATE OF p SKIP LOCKED
"""
# With ties, so that what ended in the same microsecond is never left behind.
_FIND_ENDED_RUNS = """
SELECT id, finished_at FROM workflow_runs
WHERE organization_id = %(organization_id)s AND finished_at > %(after)s AND finished_at < %(before)s
ORDER BY finished_at FETCH FIRST %(runs)s ROWS WITH TIES
"""
_SET_PROGRESS = "UPDATE retention_progress SET {until} = %(until)s WHERE organization_id = %(organization_id)s"
# Of each kind, the first run that may have some. It is ordered by the column that decides, because any other index of
# the organization's runs would seem as good to the planner, and be read whole.
_FIND_WORK = """
SELECT o.id AS organization_id,
       coalesce((
           SELECT r.finished_at FROM workflow_runs r
           WHERE r.organization_id = o.id AND r.finished_at IS NOT NULL AND r.pruned_at IS NULL
           ORDER BY r.finished_at LIMIT 1
       ) < now() - make_interval(days => o.run_retention_days), false) AS has_runs,
       coalesce((
           SELECT r.finished_at FROM workflow_runs r
           WHERE r.organization_id = o.id AND r.finished_at > greatest(
               p.attempts_pruned_until, now() - make_interval(days => o.run_retention_days), '-infinity'
           )
           ORDER BY r.finished_at LIMIT 1
       ) < now() - make_interval(days => o.attempt_retention_days), false) AS has_attempts,
       coalesce((
           SELECT r.finished_at FROM workflow_runs r
           WHERE r.organization_id = o.id AND r.finished_at > greatest(
               p.lines_pruned_until, now() - make_interval(days => o.run_retention_days), '-infinity'
           )
           ORDER BY r.finished_at LIMIT 1
       ) < now() - make_interval(days => o.log_retention_days), false) AS has_lines
FROM organizations o LEFT JOIN retention_progress p ON p.organization_id = o.id
WHERE o.id > %(after)s ORDER BY o.id LIMIT %(limit)s
"""
_BEGINNING = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction came to."""

    deleted: int
    """Rows that are gone."""
    has_more: bool
    """Whether another one would find something, as far as this one knows."""


NOTHING = Batch(deleted=0, has_more=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OldHistory:
    """What an organization has that is older than it is kept."""

    organization_id: UUID
    """The organization."""
    has_runs: bool
    """Runs, with all that belongs to them."""
    has_attempts: bool
    """Runs that stay but may have attempts which do not."""
    has_lines: bool
    """Runs that stay but may have log lines which do not."""


@contextmanager
def bounded_transaction(connection: sql.Connection) -> Iterator[None]:
    """Do what follows in a transaction that hardly waits, for locks or the disk.

    Raises `psycopg.errors.LockNotAvailable` or `psycopg.errors.QueryCanceled`, with nothing done.
    """
    with connection.transaction():
        connection.execute(_BOUND_TRANSACTION)
        yield


def find_old_history(connection: sql.Connection, *, after: UUID, limit: int) -> list[OldHistory]:
    """Look at organizations in the order of their ids, from the one after `after`; return all that were looked at."""
    with sql.cursor(connection, class_row(OldHistory)) as cursor:
        return cursor.execute(_FIND_WORK, {"after": after, "limit": limit}).fetchall()


class OldRuns:
    """Deletes the runs of an organization that are older than it keeps them, with all their rows.

    It remembers how far it came: the index still leads to what was deleted, until the table is vacuumed. What it left
    out, because somebody held it, is for another one that starts anew.
    """

    def __init__(self, organization_id: UUID) -> None:
        self._organization_id = organization_id
        self._since = _BEGINNING

    def prune(self, connection: sql.Connection, rows: int) -> Batch:
        """Delete as many whole runs as have at most so many rows together; only hide those that have more."""
        runs, since = _runs_of(rows), self._since
        parameters = {"organization_id": self._organization_id, "since": since, "runs": runs, "rows": rows}
        with bounded_transaction(connection):
            with sql.cursor(connection, tuple_row) as cursor:
                found = cursor.execute(_FIND_OLD_RUNS, parameters).fetchall()
            small, large, total = [], [], 0
            for run_id, finished_at, size in found:
                if size > rows:
                    large.append(run_id)
                elif total + size > rows:
                    break
                else:
                    small.append(run_id)
                    total += size
                since = finished_at
            connection.execute(_HIDE_RUNS, {"run_ids": large})
            deleted = _delete_whole(connection, small, rows) if small else 0
        self._since = since
        return Batch(deleted=deleted, has_more=len(found) == runs or len(small) + len(large) < len(found))


def prune_hidden_run(connection: sql.Connection, rows: int) -> Batch:
    """Delete so many rows of a run that was hidden, whichever has waited longest and nobody is at."""
    with bounded_transaction(connection):
        with sql.cursor(connection, scalar_row) as cursor:
            run_id = cursor.execute(_FIND_HIDDEN_RUN).fetchone()
        if run_id is None:
            return NOTHING
        return Batch(deleted=_delete_whole(connection, [run_id], rows), has_more=True)


def delete_lines_of_gone_run(connection: sql.Connection, run_id: UUID) -> None:
    """Delete the lines of a run that is deleted: an attempt that was lost may write until it ends."""
    connection.execute(_DELETE_LINES_OF_GONE_RUN, {"run_id": run_id})


def prune_lines(connection: sql.Connection, organization_id: UUID, rows: int) -> Batch:
    """Delete log lines of runs that stay."""
    return _prune_of_runs(connection, organization_id, rows, _LINES)


def prune_attempts(connection: sql.Connection, organization_id: UUID, rows: int) -> Batch:
    """Delete attempts of runs that stay."""
    return _prune_of_runs(connection, organization_id, rows, _ATTEMPTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByAge:
    """A kind of history that may go before its run."""

    lock_progress: str
    set_progress: str
    delete: str


_LINES = _ByAge(
    lock_progress=_LOCK_PROGRESS.format(until="lines_pruned_until", days="log_retention_days"),
    set_progress=_SET_PROGRESS.format(until="lines_pruned_until"),
    delete=_DELETE_LINES,
)
_ATTEMPTS = _ByAge(
    lock_progress=_LOCK_PROGRESS.format(until="attempts_pruned_until", days="attempt_retention_days"),
    set_progress=_SET_PROGRESS.format(until="attempts_pruned_until"),
    delete=_DELETE_ATTEMPTS,
)


def _prune_of_runs(connection: sql.Connection, organization_id: UUID, rows: int, kind: _ByAge) -> Batch:
    parameters: dict[str, object] = {"organization_id": organization_id, "rows": rows, "runs": _runs_of(rows)}
    # Before, so that nobody waits for the row that another has just made.
    connection.execute(_START_PROGRESS, parameters)
    with bounded_transaction(connection), sql.cursor(connection, tuple_row) as cursor:
        span = cursor.execute(kind.lock_progress, parameters).fetchone()
        if span is None or span[1] is None:
            return NOTHING
        parameters |= {"after": span[0], "before": span[1]}
        runs = cursor.execute(_FIND_ENDED_RUNS, parameters).fetchall()
        if not runs:
            return NOTHING
        deleted = cursor.execute(kind.delete, parameters | {"run_ids": [run_id for run_id, _ in runs]}).rowcount
        if deleted < rows:
            cursor.execute(kind.set_progress, parameters | {"until": runs[-1][1]})
        return Batch(deleted=deleted, has_more=deleted == rows or len(runs) >= _runs_of(rows))


def _delete_whole(connection: sql.Connection, run_ids: Sequence[UUID], rows: int) -> int:
    """Delete runs, each after all that refers to it, but no more than so many rows. Returns how many."""
    parameters = {"run_ids": list(run_ids)}
    deleted = 0
    for statement in (_DELETE_LINES, _DELETE_ATTEMPTS, _DELETE_SIGNALS, _DELETE_DECISIONS):
        deleted += connection.execute(statement, parameters | {"rows": rows - deleted}).rowcount
        if deleted >= rows:
            return deleted
    with sql.cursor(connection, scalar_row) as cursor:
        task_ids = cursor.execute(_FIND_TASKS, parameters | {"rows": rows - deleted}).fetchall()
    connection.execute(_FORGET_PARENTS, {"task_ids": task_ids})
    deleted += connection.execute(_DELETE_TASKS, {"task_ids": task_ids}).rowcount
    if deleted >= rows:
        return deleted
    connection.execute(_FORGET_CHILDREN, parameters)
    deleted += connection.execute(_DELETE_PAUSES, parameters).rowcount
    return deleted + connection.execute(_DELETE_RUNS, parameters).rowcount


def _runs_of(rows: int) -> int:
    """Return how many runs have about so many rows: a run, a task and a log line or two."""
    return max(1, rows // 4)
