"""A worker in which faults are planted: `celery -A tests.integration.faulty worker`.

A task whose key says `x_<step>_<fault>` meets that fault at that step, once in a run. MAESTRO_FAULTS names the
directory in which what has happened is noted.
"""

import os
import re
import signal
import time
from pathlib import Path

import django
import psycopg
import redis
from django.conf import settings

from maestro.celery import app
from maestro.core import sql

# What follows imports models, which Celery would make ready only after it has loaded this module.
django.setup()

from executors.pools import lease  # noqa: E402
from workflows.dispatch import advance, celery_calls, claim, execution, publish, stuck_process  # noqa: E402
from workflows.dispatch.chord_counter import ChordCounter  # noqa: E402

__all__ = ["app"]

lease.HEARTBEAT_SECONDS = 0.5
stuck_process.LOOK_SECONDS, stuck_process.LOOKS = 0.5, 10
NOTES = Path(os.environ["MAESTRO_FAULTS"])
PLANTED = re.compile(r"x_(?P<step>[a-z_]+)_(?P<fault>flush|cut|killchild|killworker|unanswered|hang)")


def flush():
    redis.Redis.from_url(settings.CELERY_BROKER_URL).flushall()


def cut():
    """Break this process's connection from the server's side: its next statement fails."""
    pid = sql.engine_connection().info.backend_pid
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))


def killchild():
    os.kill(os.getpid(), signal.SIGKILL)


def killworker():
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def unanswered():
    """What was asked for is committed, but nobody answers."""
    raise psycopg.OperationalError("planted: the server closed the connection")


def hang():
    """Whatever a process may wait for without an end."""
    while True:
        time.sleep(60)


FAULTS = {fault.__name__: fault for fault in (flush, cut, killchild, killworker, unanswered, hang)}


def reach(step, run_id, task_key):
    planted = PLANTED.fullmatch(task_key)
    if planted is None or planted["step"] != step:
        return
    try:
        (NOTES / f"{run_id}.{task_key}").touch(exist_ok=False)
    except FileExistsError:
        return
    FAULTS[planted["fault"]]()


def around(module, name, *, identify, before=None, after=None):
    """Reach one step before and one after each call of a function."""
    inner = getattr(module, name)

    def wrapped(*args, **kwargs):
        run_id, keys = identify(*args, **kwargs)
        for key in keys:
            reach(before, run_id, key)
        result = inner(*args, **kwargs)
        for key in keys:
            reach(after, run_id, key)
        return result

    setattr(module, name, wrapped)


def ended_before(run, task_keys):
    """Keys of the tasks whose end made these ready."""
    return sql.with_engine_connection(
        lambda connection: [
            row[0]
            for row in connection.execute(
                "SELECT unnest(needs) FROM task_executions WHERE run_id = %s AND task_key = ANY (%s)", (run, task_keys)
            ).fetchall()
        ]
    )


around(execution, "claim_surely", identify=lambda t, h: (t.run_id, [t.task_key]), before="claim", after="run")
around(claim, "claim", identify=lambda c, t, h, token: (t.run_id, [t.task_key]), after="claimed")
around(execution, "_run", identify=lambda c: (c.run_id, [c.task_key]), after="finish")
around(execution, "finish", identify=lambda con, c, o: (c.run_id, [c.task_key]), after="finished")
around(advance, "advance_from", identify=lambda con, run, v, ended: (run.run_id, ended), before="advance", after="ack")
around(
    publish,
    "publish",
    identify=lambda run, v, ready, **_: (run.run_id, ended_before(run.run_id, [row.task_key for row in ready])),
    before="publish",
)


def named_by(message_id):
    run_id, task_key, *_ = message_id.split(".")
    return run_id, [task_key]


around(
    celery_calls,
    "begin",
    identify=lambda call, ref, **_: (ref.task.run_id, [ref.task.task_key]),
    before="call",
    after="called",
)


@app.task(name="faulty.die_once")
def die_once(note, is_listed):
    """Take the worker down, once its lease lists this task, or before."""
    try:
        (NOTES / note).touch(exist_ok=False)
    except FileExistsError:
        return
    time.sleep(is_listed * 2 * lease.HEARTBEAT_SECONDS)
    killworker()


around(
    ChordCounter,
    "on_chord_part_return",
    identify=lambda backend, request, *_, **__: named_by(request.id),
    before="count",
    after="counted",
)
