"""Pruning beside everything else: two beats, locks, what the platform keeps itself, and how long it takes."""

import contextlib
import datetime
import signal
import subprocess
import sys
import threading
import time
from uuid import uuid4

import psycopg
import pytest
from django.db import connection as django_connection
from django.utils import timezone

from accounts.models import ApiRequest
from executors.models import TaskLogLine, Worker
from executors.pools import lease
from maestro.core import sql
from tests.builders import make_actor, start_run
from tests.integration.conftest import ROOT
from tests.integration.old_history import COPY_RUN, ROWS, keep, old_run, prune_runs, rows_of
from tests.integration.schedules import SUCCEEDED, connect, follow, held_open, take
from tests.patience import PATIENCE_SECONDS, wait_until
from workflows.dispatch import finish
from workflows.dispatch import retention as duty
from workflows.dispatch.retention import Pruning
from workflows.errors import RunNotFound
from workflows.models import (
    RetentionProgress,
    TaskExecution,
    WorkflowRun,
)
from workflows.runs import retention, selectors, services
from workflows.runs.retention import OldRuns

pytestmark = [pytest.mark.usefixtures("sent"), pytest.mark.alone]


def test_two_beats_share_the_work_and_neither_waits(actor, connection, other):
    keep(actor, runs=90)
    runs = [old_run(actor, days_ago=100 + number) for number in range(4)]

    with other.transaction():
        held = OldRuns(actor.organization_id).prune(other, 14)
        rest = OldRuns(actor.organization_id).prune(connection, ROWS)

    left = OldRuns(actor.organization_id).prune(connection, ROWS)
    assert (held.deleted, rest.deleted, left.deleted) == (14, 7, 7)
    assert [rows_of(run)[0] for run in runs] == [0] * 4


def test_two_beats_at_once_prune_each_row_once(actor):
    keep(actor, runs=90)
    run = old_run(actor)
    sql.engine_connection().execute(COPY_RUN, (500, run.id))
    together, deleted = threading.Barrier(2), []

    def beat():
        with connect() as own:
            old = OldRuns(actor.organization_id)
            together.wait(PATIENCE_SECONDS)
            while (batch := old.prune(own, 40)).has_more or batch.deleted:
                deleted.append(batch.deleted)

    beats = [threading.Thread(target=beat) for _ in range(2)]
    for one in beats:
        one.start()
    for one in beats:
        one.join()

    with connect() as own:
        deleted.append(OldRuns(actor.organization_id).prune(own, ROWS).deleted)
    assert sum(deleted) == 507
    assert not WorkflowRun.objects.filter(organization_id=actor.organization_id).exists()


def test_beat_that_finds_another_at_the_lines_of_an_organization_leaves_them(actor, connection, other):
    keep(actor, runs=90, logs=30)
    run = old_run(actor, days_ago=50, lines=3)
    retention.prune_lines(other, actor.organization_id, 1)

    with other.transaction():
        assert retention.prune_lines(other, actor.organization_id, 1).deleted == 1
        batch = retention.prune_lines(connection, actor.organization_id, ROWS)

    assert batch == retention.NOTHING
    assert rows_of(run)[3] == 1


def test_open_transaction_of_pruning_blocks_nothing_the_engine_does(actor, connection, other):
    """Of the same organization and workflow. What is blocked would wait for ever: the other transaction is ours."""
    keep(actor, runs=90, logs=30, attempts=30)
    old_run(actor)
    old_run(actor, days_ago=50)
    running = start_run(actor, {"a": "", "b": "a"})
    with django_connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '10s'")

    try:
        with other.transaction():
            assert OldRuns(actor.organization_id).prune(other, ROWS).deleted
            assert retention.prune_lines(other, actor.organization_id, ROWS).deleted
            assert retention.prune_attempts(other, actor.organization_id, ROWS).deleted

            assert start_run(actor, {"a": "", "b": "a"}).status == "running"
            for key in ("a", "b"):
                finish.finish(connection, take(connection, running, key), SUCCEEDED)
                follow(connection, running, key)
            cancelled = services.cancel_run(actor=actor, run_id=start_run(actor, {"a": ""}).id)
    finally:
        with django_connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")

    assert (WorkflowRun.objects.get(id=running.id).status, cancelled.status) == ("succeeded", "cancelled")


def test_pruning_does_not_wait_for_whoever_holds_a_row(actor, connection, other):
    keep(actor, runs=90)
    earlier, run, old = old_run(actor, days_ago=101), old_run(actor), OldRuns(actor.organization_id)
    with other.transaction():
        other.execute("SELECT FROM task_executions WHERE run_id = %s FOR UPDATE", (run.id,))

        with pytest.raises(psycopg.errors.LockNotAvailable):
            old.prune(connection, ROWS)

    assert rows_of(run) == (1, 2, 2, 2)
    assert connection.execute("SHOW lock_timeout").fetchone() == ("15s",)
    old.prune(connection, ROWS)
    assert rows_of(earlier) == rows_of(run) == (0, 0, 0, 0)


def test_run_that_is_pruned_while_somebody_cancels_it_is_not_found(actor, connection, other):
    keep(actor, runs=90)
    run = old_run(actor)

    def cancel():
        try:
            services.cancel_run(actor=actor, run_id=run.id)
        finally:
            django_connection.close()

    with held_open(other, ("SELECT FROM workflow_runs WHERE id = %s FOR UPDATE", (run.id,))) as meanwhile:
        cancelling = meanwhile(cancel)
        assert OldRuns(actor.organization_id).prune(other, ROWS).deleted

    assert isinstance(cancelling.exception(10), RunNotFound)


def test_every_reference_to_what_is_pruned_has_an_index(connection):
    """Or deleting one row would read the whole table that refers to it."""
    bare = connection.execute(
        """
        SELECT c.conrelid::regclass::text, a.attname
        FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f'
          AND c.confrelid::regclass::text IN ('workflow_runs', 'task_executions', 'task_attempts', 'executor_workers')
          AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])
        """
    ).fetchall()

    assert bare == []


def test_look_for_what_is_old_reads_the_beginning_of_an_index(actor, connection):
    connection.execute(COPY_RUN, (2000, old_run(actor, days_ago=1).id))
    connection.execute("ANALYZE workflow_runs")

    plan = connection.execute("EXPLAIN " + retention._FIND_WORK, {"after": uuid4(), "limit": 10}).fetchall()

    text = "\n".join(row[0] for row in plan)
    assert text.count("Scan using idx_workflow_runs_organization_finished on workflow_runs") == 3, text
    assert text.count("on workflow_runs") == 3, text


def test_worker_that_is_long_gone_is_forgotten_unless_something_depends_on_it(actor, connection):
    def gone(days, **values):
        worker_id = lease.register_worker(connection, name="gone", pid=1, concurrency=1, queues=["maestro"])
        lost_at = timezone.now() - datetime.timedelta(days=days) if days else None
        Worker.objects.filter(id=worker_id).update(lost_at=lost_at, **values)
        return worker_id

    alive, lately, long_ago, running_on, calling = gone(None), gone(6), gone(8), gone(8), gone(8, held=["call"])
    run = start_run(actor, {"a": "", "b": ""})
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(status="running", claim_worker_id=running_on)
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(
        status="waiting", reason="celery", started_at=timezone.now() - datetime.timedelta(days=9)
    )

    duty.prune_gone_workers(connection, ROWS)

    left = set(
        Worker.objects.filter(id__in=[alive, lately, long_ago, running_on, calling]).values_list("id", flat=True)
    )
    assert left == {alive, lately, running_on, calling}
    services.cancel_run(actor=actor, run_id=run.id)
    TaskExecution.objects.filter(run_id=run.id).update(status="cancelled")
    lease.end_lease(connection, worker_id=alive)


def test_api_requests_are_kept_for_thirty_days(connection, database):
    def recorded(days):
        return ApiRequest.objects.create(
            method="GET",
            endpoint="/x",
            status_code=200,
            duration_seconds=0,
            request_id=uuid4(),
            created_at=timezone.now() - datetime.timedelta(days=days),
        ).id

    old, young = [recorded(31), recorded(40)], recorded(29)

    sizes = [duty.prune_api_requests(connection, 1) for _ in range(3)]

    assert sizes == [1, 1, 0]
    assert [one.id for one in ApiRequest.objects.filter(id__in=[*old, young])] == [young]


def test_duty_prunes_everything_that_is_old(actor, connection):
    keep(actor, runs=90, attempts=30, logs=30)
    old = old_run(actor, days_ago=91)
    large = old_run(actor, {f"t{number}": "" for number in range(30)}, days_ago=95, lines=2000)
    middle, young = old_run(actor, days_ago=50), old_run(actor, days_ago=20)
    pruning = Pruning()

    deadline = time.monotonic() + PATIENCE_SECONDS
    while rows_of(large)[0] and time.monotonic() < deadline:
        pruning._look_due_at = 0
        pruning.prune(connection)

    assert rows_of(old) == rows_of(large) == (0, 0, 0, 0)
    assert rows_of(middle) == (1, 2, 0, 0)
    assert rows_of(young) == (1, 2, 2, 2)
    progress = RetentionProgress.objects.get(organization_id=actor.organization_id)
    assert progress.lines_pruned_until == WorkflowRun.objects.get(id=middle.id).finished_at


def test_small_backlog_is_pruned_beside_a_large_one(connection, database):
    """Batch by batch in turn: after as many batches as there are turns, everybody has had one."""
    large, small = make_actor(), make_actor()
    for actor in (large, small):
        keep(actor, runs=90)
    connection.execute(COPY_RUN, (5000, old_run(large).id))
    run = old_run(small)
    now = iter(range(1_000_000))
    pruning = Pruning(clock=lambda: next(now) * duty.BUDGET_SECONDS / 10)

    for _ in range(20):
        pruning.prune(connection)
        if not rows_of(run)[0]:
            break

    assert rows_of(run)[0] == 0
    assert WorkflowRun.objects.filter(organization_id=large.organization_id).count() > 1000
    prune_runs(connection, large)


@contextlib.contextmanager
def beat_process(log):
    command = [sys.executable, "-m", "celery", "-A", "maestro", "beat", "--pidfile=", "-s", "unused"]
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_beat_that_is_killed_while_it_prunes_is_followed_by_another_that_goes_on(actor, connection, tmp_path):
    keep(actor, runs=90)
    run = old_run(actor, attempts=False, lines=60_000)
    keys = {f"t{number}": "" for number in range(20)}
    other_run = old_run(actor, keys, lines=20_000)

    def lines_left():
        return TaskLogLine.objects.filter(organization_id=actor.organization_id).count()

    with beat_process(tmp_path / "beat.log") as beat:
        wait_until(lambda: lines_left() < 79_000, "the first beat prunes nothing")
        beat.send_signal(signal.SIGKILL)
        beat.wait()
    left = lines_left()
    assert 0 < left < 79_000
    assert TaskExecution.objects.filter(run_id=run.id).count() == 2
    assert list(selectors.list_runs(actor=actor)) == []

    with beat_process(tmp_path / "beat.log"):
        wait_until(lambda: rows_of(run)[0] + rows_of(other_run)[0] == 0, f"not all of {left} lines went", seconds=400)

    assert rows_of(run) == rows_of(other_run) == (0, 0, 0, 0)
