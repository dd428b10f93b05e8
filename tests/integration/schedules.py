"""Steps of the engine one at a time, and transactions held open while others meet them."""

import concurrent.futures
import os
import time
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg.rows import tuple_row

from tests.patience import PATIENCE_SECONDS
from workflows.dispatch import advance, claim, finish
from workflows.dispatch.finish import Outcome
from workflows.dispatch.messages import Holder, TaskRef
from workflows.dispatch.publish import RunRef
from workflows.models import TaskExecution
from workflows.runs.statuses import TaskStatus

HOLDER = Holder(worker="test", worker_id=None)
SUCCEEDED = Outcome(status=TaskStatus.SUCCEEDED)
FAILED = Outcome(status=TaskStatus.FAILED, error_code="x", error_message="x")


def connect():
    return psycopg.connect(
        os.environ["DATABASE_URL"],
        autocommit=True,
        row_factory=tuple_row,
        # A guard that is missing may wait for ever: then its test must fail, not hang.
        options="-c lock_timeout=15s",
    )


def task_of(run, key, generation=0):
    return TaskRef(
        run_id=run.id, organization_id=run.organization_id, task_key=key, map_index=None, generation=generation
    )


def row(run, key):
    return TaskExecution.objects.get(run_id=run.id, task_key=key, map_index=None)


def ref(run):
    return RunRef(run_id=run.id, organization_id=run.organization_id)


def take(connection, run, key, generation=0):
    return claim.claim(connection, task_of(run, key, generation), HOLDER, uuid4())


def do(connection, run, key, outcome=SUCCEEDED):
    """Claim and finish a task; nobody looks at what follows."""
    claimed = take(connection, run, key)
    assert claimed is not None
    assert finish.finish(connection, claimed, outcome) is not None


def lose_connection_at_first_claim(monkeypatch):
    """Let the connection die before the first claim is written; return the arguments of every claim."""
    written, calls = claim.claim, []

    def lose_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise psycopg.OperationalError("the connection is lost")
        return written(*arguments)

    monkeypatch.setattr(claim, "claim", lose_first)
    return calls


def follow(connection, run, key):
    advance.advance_from(connection, ref(run), advance.version_of_run(connection, run.id), [key])


@contextmanager
def held_open(connection, *statements):
    """Run statements in a transaction that commits only after the block; the block gets a function that runs work
    meanwhile.

    The work runs in a thread of its own; the transaction commits once PostgreSQL says that the work waits for it.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as thread, connection.transaction():
        for statement, parameters in statements:
            connection.execute(statement, parameters)
        pid = connection.info.backend_pid

        def meanwhile(work):
            future = thread.submit(work)
            with connect() as watcher:
                deadline = time.monotonic() + PATIENCE_SECONDS
                while not future.done():
                    waiting = watcher.execute(
                        "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", (pid,)
                    ).fetchone()
                    if waiting[0]:
                        break
                    assert time.monotonic() < deadline, "the work neither ended nor waited"
                    time.sleep(0.01)
            return future

        yield meanwhile


def rerun(run, *keys):
    """What a rerun writes: the rows pending again, one generation on, also those that were pending."""
    return (
        """
        UPDATE task_executions SET status = 'pending', reason = '', generation = generation + 1, finished_at = NULL
        WHERE run_id = %s AND task_key = ANY (%s)
        """,
        (run.id, list(keys)),
    )


def hold(run, value):
    return "UPDATE task_executions SET hold = %s WHERE run_id = %s", (value, run.id)
