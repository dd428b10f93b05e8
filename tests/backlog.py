"""A long queue of waiting tasks: rows and their messages, as if that many runs of one task had been started."""

import datetime
import json
import uuid

from celery import current_app

from executors.pools.queues import key_of
from maestro.core.clock import format_time
from tests.builders import COPY_RUNS, start_run
from workflows.compiler import canvas
from workflows.compiler.canvas import CanvasScope
from workflows.definition.priority import Priority
from workflows.dispatch.advance import version_of_run

SLICE = 1000
PRIORITY = Priority.NORMAL.step
APART = datetime.timedelta(milliseconds=20)

# At even distances, the oldest an hour ago.
_COPY_AS_BACKLOG = f"""
WITH made AS (
    {COPY_RUNS}
)
INSERT INTO task_executions (
    run_id, organization_id, task_key, position, kind, needs, run_if, status, reason, attempt, tries,
    platform_failures, generation, hold, worker, queue, priority, error_code, error_message, created_at, queued_at
)
SELECT made.id, organization_id, task_key, position, kind, needs, run_if, status, reason, attempt, tries,
       platform_failures, generation, hold, worker, %(queue)s, priority, error_code, error_message, created_at,
       clock_timestamp() - interval '1 hour' + (row_number() OVER ()) * %(apart)s
FROM made CROSS JOIN task_executions t WHERE t.run_id = %(template)s
"""


def make_rows(connection, actor, queue, count, apart=APART):
    """Make so many queued tasks, and nothing in the broker."""
    template = start_run(actor, {"a": ""}, name="backlog")
    connection.execute(_COPY_AS_BACKLOG, {"template": template.id, "queue": queue, "count": count, "apart": apart})
    connection.execute("DELETE FROM task_executions WHERE run_id = %s", (template.id,))
    connection.execute("DELETE FROM workflow_runs WHERE id = %s", (template.id,))
    connection.execute("ANALYZE task_executions")
    connection.execute("ANALYZE workflow_runs")


def make_messages(connection, broker, queue):
    """Put the message of each queued task into the broker, like the engine's own, the oldest to be taken first."""
    rows = connection.execute(
        "SELECT run_id, organization_id, queued_at FROM task_executions WHERE status = 'queued' AND queue = %s"
        " ORDER BY queued_at",
        (queue,),
    ).fetchall()
    first = _message(connection, broker, *rows[0])
    for start in range(0, len(rows), SLICE):
        made = []
        for run_id, _, queued_at in rows[start : start + SLICE]:
            message = json.loads(first.replace(str(rows[0][0]).encode(), str(run_id).encode()))
            message["headers"]["queued_at"] = format_time(queued_at)
            made.append(json.dumps(message))
        broker.lpush(key_of(queue, PRIORITY), *made)


def take(connection, broker, queue, count):
    """Take so many messages as workers do, the oldest first, and end their tasks."""
    runs = [
        json.loads(message)["headers"]["id"].partition(".")[0]
        for message in broker.rpop(key_of(queue, PRIORITY), count)
    ]
    connection.execute(
        "UPDATE task_executions SET status = 'succeeded', finished_at = clock_timestamp() WHERE run_id = ANY (%s)",
        ([uuid.UUID(run_id) for run_id in runs],),
    )


def lose(broker, queue, first, count):
    """Let the broker lose so many messages, from the n-th on that would be taken."""
    key = key_of(queue, PRIORITY)
    messages = broker.lrange(key, 0, -1)[::-1]
    broker.delete(key)
    kept = messages[:first] + messages[first + count :]
    for start in range(0, len(kept), SLICE):
        broker.lpush(key, *kept[start : start + SLICE])


def _message(connection, broker, run_id, organization_id, queued_at):
    version = version_of_run(connection, run_id)
    scope = CanvasScope(
        run_id=run_id,
        organization_id=organization_id,
        workflow_name="backlog",
        priority=PRIORITY,
        generations={},
        queued_at={"a": queued_at},
    )
    name = f"made-{uuid.uuid4().hex}"
    with current_app.connection_for_write() as kept:
        kept.default_channel.queue_declare(name)
        canvas.compile_alone(version.plan, scope, 0).apply_async(
            queue=name, headers={"queued_at": format_time(queued_at)}
        )
    return broker.rpop(key_of(name, PRIORITY))
