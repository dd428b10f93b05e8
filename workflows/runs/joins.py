"""When a task may start: the join rules of the language as SQL for the engine, and how they count a status.

`workflows.definition.joins` says the same as a function; `tests/integration` compares them over every combination.
"""

from __future__ import annotations

from collections.abc import Sequence

from workflows.definition import joins
from workflows.definition.joins import End
from workflows.definition.spec import RunIf
from workflows.runs.statuses import Reason, TaskStatus

RUN = joins.Decision.RUN

# For a row `t` of task_executions, with its needs counted in `n`.
COUNT_NEEDS = """
    SELECT
        count(*) FILTER (WHERE u.status = 'succeeded' OR (u.status = 'failed' AND u.continue_on_error)) AS succeeded,
        count(*) FILTER (WHERE (u.status = 'failed' AND NOT u.continue_on_error) OR u.status = 'cancelled'
                            OR (u.status = 'skipped' AND u.reason = 'upstream_failed')) AS failed,
        count(*) FILTER (WHERE u.status IN ('succeeded', 'failed', 'skipped', 'cancelled')) AS done,
        max(u.finished_at) AS last_finished_at
    FROM task_executions u
    WHERE u.run_id = t.run_id AND u.task_key = ANY (t.needs) AND u.map_index IS NULL
"""
# The count visits every need; this finds an open one in a few steps, so that a wide join costs its last finisher only.
# `status || ''` keeps the planner to the needs themselves: by an index on the status it would read all open tasks.
MAY_BE_DECIDED = """
    (t.run_if IN ('any_succeeded', 'any_failed') OR NOT EXISTS (
        SELECT FROM task_executions o
        WHERE o.run_id = t.run_id AND o.task_key = ANY (t.needs) AND o.map_index IS NULL
          AND o.status || '' IN ('pending', 'queued', 'running', 'waiting')
    ))
"""
DECISION = """
    CASE
        WHEN t.map_index IS NOT NULL THEN 'run'
        WHEN t.run_if = 'any_succeeded' AND n.succeeded > 0 THEN 'run'
        WHEN t.run_if = 'any_failed' AND n.failed > 0 THEN 'run'
        WHEN n.done < cardinality(t.needs) THEN NULL
        WHEN cardinality(t.needs) = 0 OR t.run_if = 'all_done' THEN 'run'
        WHEN t.run_if = 'all_succeeded' AND n.succeeded = cardinality(t.needs) THEN 'run'
        WHEN t.run_if = 'none_failed' AND n.failed = 0 THEN 'run'
        WHEN n.failed > 0 THEN 'upstream_failed'
        ELSE 'upstream_skipped'
    END
"""


def decide_join(rule: RunIf, needs: Sequence[tuple[TaskStatus, str, bool]]) -> str | None:
    """Judge a join from the status, reason and `continue_on_error` of each need: `run`, the reason to skip, or None
    while it is open.
    """
    return joins.decide_join(rule, [_end(*need) for need in needs])


def _end(status: TaskStatus, reason: str, continues_on_error: bool) -> End:
    if not status.is_terminal:
        return End.OPEN
    if status is TaskStatus.SUCCEEDED or (status is TaskStatus.FAILED and continues_on_error):
        return End.SUCCEEDED
    is_skip = status is TaskStatus.SKIPPED and reason != Reason.UPSTREAM_FAILED
    return End.SKIPPED if is_skip else End.FAILED
