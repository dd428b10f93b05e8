"""Old runs with all that belongs to them, and pruning them to the end."""

import datetime

from django.utils import timezone

from accounts.models import Organization
from executors.models import TaskLogLine
from maestro.core import sql
from tests.builders import start_run
from workflows.models import (
    TaskAttempt,
    TaskExecution,
    WorkflowRun,
)
from workflows.runs import retention
from workflows.runs.retention import OldRuns

ROWS = 1000
MAKE_LINES = """
INSERT INTO task_log_lines (organization_id, run_id, task_key, attempt, stream, level, message, created_at)
SELECT organization_id, id, 'a', 1, 'stdout', 'info', 'line ' || n, now()
FROM workflow_runs CROSS JOIN generate_series(1, %s) n WHERE id = %s
"""
MAKE_ATTEMPTS = """
INSERT INTO task_attempts (organization_id, task_execution_id, attempt, status, error_code, error_message, worker)
SELECT organization_id, id, 1, 'failed', '', '', '' FROM task_executions WHERE run_id = %s
"""
# A run that ended before, many times over, each a microsecond apart.
COPY_RUN = """
INSERT INTO workflow_runs (
    id, organization_id, environment_id, workflow_id, workflow_version_id, user_id, trigger_type, status, reason,
    hold, inputs, error_message, created_at, started_at, finished_at
)
SELECT gen_random_uuid(), organization_id, environment_id, workflow_id, workflow_version_id, user_id, trigger_type,
       status, reason, hold, inputs, error_message, created_at, started_at, finished_at + n * interval '1 microsecond'
FROM workflow_runs CROSS JOIN generate_series(1, %s) n WHERE id = %s
"""


def keep(actor, **days):
    """Let the actor's organization keep `runs`, `attempts` and `logs` for so many days; what is not named, for ever."""
    names = {"runs": "run_retention_days", "attempts": "attempt_retention_days", "logs": "log_retention_days"}
    Organization.objects.filter(id=actor.organization_id).update(**{names[one]: days.get(one) for one in names})


def end(run, *, days_ago, status="succeeded"):
    """Let a run have ended so long ago."""
    finished_at = timezone.now() - datetime.timedelta(days=days_ago)
    TaskExecution.objects.filter(run_id=run.id).update(status=status, finished_at=finished_at)
    WorkflowRun.objects.filter(id=run.id).update(status=status, finished_at=finished_at)
    return run


def old_run(actor, tasks=None, *, days_ago=100, lines=2, attempts=True):
    """A run that ended long ago, with log lines, and an attempt of each task."""
    run = end(start_run(actor, tasks or {"a": "", "b": "a"}), days_ago=days_ago)
    connection = sql.engine_connection()
    connection.execute(MAKE_LINES, (lines, run.id))
    if attempts:
        connection.execute(MAKE_ATTEMPTS, (run.id,))
    return run


def rows_of(run):
    """How many rows there are of a run: the run, its tasks, its attempts, its lines."""
    return (
        WorkflowRun.objects.filter(id=run.id).count(),
        TaskExecution.objects.filter(run_id=run.id).count(),
        TaskAttempt.objects.filter(task_execution__run_id=run.id).count(),
        TaskLogLine.objects.filter(run_id=run.id).count(),
    )


def prune_runs(connection, actor, rows=ROWS):
    """Prune an organization's runs to the end, in batches of at most so many rows; return their sizes."""
    sizes, old = [], OldRuns(actor.organization_id)
    while True:
        batch = old.prune(connection, rows)
        sizes.append(batch.deleted)
        if not batch.has_more:
            break
    while (batch := retention.prune_hidden_run(connection, rows)).has_more:
        sizes.append(batch.deleted)
    return sizes


def prune_all(step, connection, actor, rows=ROWS):
    """Do a step until it finds no more; return the sizes of its batches."""
    sizes = []
    while True:
        batch = step(connection, actor.organization_id, rows)
        sizes.append(batch.deleted)
        if not batch.has_more:
            return sizes
