"""Reads what a campaign left in the database and the broker."""

from __future__ import annotations

from typing import Any

import psycopg
import redis
from psycopg.rows import dict_row

from executors.pools.queues import queue_of
from maestro.chaos.rows import AttemptRow, Leftovers, LogLine, RepeatedLine, RunRow, SignalRow, TaskRow

CONNECT_SECONDS = 5
# Lists of the broker that are no queues of tasks: answers to remote control, and Celery's own bookkeeping.
_NO_QUEUES = ("_kombu", "unacked")

_RUNS = """
SELECT r.id::text, w.name AS workflow, r.status, r.reason, r.outputs, r.error_message, r.created_at, r.start_at,
       r.started_at, r.deadline_at, r.finished_at, coalesce(p.run_id::text, '') AS parent_id,
       coalesce(p.task_key, '') AS parent_task, coalesce(r.parent_attempt, 0) AS parent_attempt, r.is_awaited
FROM workflow_runs r JOIN workflows w ON w.id = r.workflow_id LEFT JOIN task_executions p ON p.id = r.parent_task_id
ORDER BY r.created_at, r.id
"""
_TASKS = """
SELECT id, run_id::text, task_key, status, reason, attempt, tries, output, error_code, error_message, worker,
       created_at, queued_at, started_at, finished_at
FROM task_executions ORDER BY position, id
"""
_ATTEMPTS = """
SELECT task_execution_id, attempt, status, error_code, error_message, worker, started_at, finished_at
FROM task_attempts ORDER BY task_execution_id, attempt
"""
_HOLDERS = "SELECT name FROM executor_workers WHERE lost_at IS NULL AND cardinality(held) > 0 ORDER BY name"
_LINES = """
SELECT task_key, attempt, stream, message, created_at FROM task_log_lines WHERE run_id = %s ORDER BY id
"""
_REPEATED_LINES = """
SELECT run_id::text, task_key, attempt, message, count(*) AS times
FROM task_log_lines GROUP BY 1, 2, 3, 4 HAVING count(*) > 1 ORDER BY 1, 2, 3, 4
"""
_SIGNALS = """
SELECT s.run_id::text, s.name, coalesce(t.task_key, '') AS taken_by
FROM run_signals s LEFT JOIN task_executions t ON t.id = s.task_execution_id ORDER BY s.id
"""
_COUNTS = """
SELECT count(*) FILTER (WHERE parent_task_id IS NULL),
       count(finished_at) FILTER (WHERE parent_task_id IS NULL),
       count(*) FILTER (WHERE finished_at IS NULL)
           + (SELECT count(*) FROM run_requests WHERE done_at IS NULL)
FROM workflow_runs
"""


def read_runs(database_url: str) -> tuple[RunRow, ...]:
    """Read every run with its tasks and attempts. Raises psycopg.OperationalError."""
    with _connect(database_url) as connection:
        runs = _rows(connection, _RUNS)
        tasks = _rows(connection, _TASKS)
        attempts = _rows(connection, _ATTEMPTS)
    history: dict[int, list[AttemptRow]] = {}
    for row in attempts:
        history.setdefault(row.pop("task_execution_id"), []).append(AttemptRow(**row))
    of_run: dict[str, list[TaskRow]] = {}
    for row in tasks:
        past = tuple(history.get(row.pop("id"), ()))
        of_run.setdefault(row.pop("run_id"), []).append(TaskRow(**row, history=past))
    return tuple(RunRow(**row, tasks=tuple(of_run.get(row["id"], ()))) for row in runs)


def read_lines(database_url: str, run_id: str) -> tuple[LogLine, ...]:
    """Read what the tasks of a run wrote. Raises psycopg.OperationalError."""
    with _connect(database_url) as connection:
        return tuple(LogLine(**row) for row in _rows(connection, _LINES, (run_id,)))


def read_repeated_lines(database_url: str) -> tuple[RepeatedLine, ...]:
    """Read what stands twice in the log of an attempt. Raises psycopg.OperationalError."""
    with _connect(database_url) as connection:
        return tuple(RepeatedLine(**row) for row in _rows(connection, _REPEATED_LINES))


def read_signals(database_url: str) -> tuple[SignalRow, ...]:
    """Read what was sent to runs. Raises psycopg.OperationalError."""
    with _connect(database_url) as connection:
        return tuple(SignalRow(**row) for row in _rows(connection, _SIGNALS))


def count_runs(database_url: str) -> tuple[int, int, int]:
    """Return how many runs somebody has started, how many of them have ended, and how many are open with those that
    tasks have started or somebody has asked for. Raises psycopg.OperationalError.
    """
    with _connect(database_url) as connection:
        row = connection.execute(_COUNTS).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def read_leftovers(database_url: str, broker: redis.Redis) -> Leftovers:
    """Look at what is left in the broker and held by workers. Raises psycopg.OperationalError, redis.RedisError."""
    with _connect(database_url) as connection:
        holders = tuple(row["name"] for row in _rows(connection, _HOLDERS))
    queues: dict[str, int] = {}
    for key in broker.scan_iter(_type="list"):
        name = key.decode()
        if not name.startswith(_NO_QUEUES) and "pidbox" not in name:
            queue = queue_of(name)
            queues[queue] = queues.get(queue, 0) + broker.llen(name)
    return Leftovers(waiting_messages=queues, holding_workers=holders, unacknowledged=broker.hlen("unacked"))


def _connect(database_url: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(database_url, connect_timeout=CONNECT_SECONDS, autocommit=True)


def _rows(
    connection: psycopg.Connection[tuple[Any, ...]], statement: str, parameters: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, parameters).fetchall()
