"""Pruning history: what goes, what stays, in which order, and who waits for it."""

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

from accounts.models import ApiRequest, Organization
from executors.models import TaskLogLine, Worker
from executors.pools import lease
from maestro.core import sql
from tests.builders import make_actor, start_run
from tests.integration.conftest import ROOT
from tests.integration.schedules import HOLDER, SUCCEEDED, connect, follow, held_open, take, task_of
from workflows.dispatch import execution, finish
from workflows.dispatch import retention as duty
from workflows.dispatch.retention import Pruning
from workflows.errors import RunNotFound
from workflows.filters import LogFilter
from workflows.models import (
    ApprovalDecision,
    RetentionProgress,
    RunSignal,
    TaskAttempt,
    TaskExecution,
    Workflow,
    WorkflowRun,
    WorkflowVersion,
)
from workflows.parking import services as waiting_services
from workflows.parking.approval import Outcome
from workflows.runs import retention, selectors, services
from workflows.runs.retention import OldRuns

pytestmark = pytest.mark.usefixtures("sent")

ROWS = 1000
_MAKE_LINES = """
INSERT INTO task_log_lines (organization_id, run_id, task_key, attempt, stream, level, message, created_at)
SELECT organization_id, id, 'a', 1, 'stdout', 'info', 'line ' || n, now()
FROM workflow_runs CROSS JOIN generate_series(1, %s) n WHERE id = %s
"""
_MAKE_ATTEMPTS = """
INSERT INTO task_attempts (organization_id, task_execution_id, attempt, status, error_code, error_message, worker)
SELECT organization_id, id, 1, 'failed', '', '', '' FROM task_executions WHERE run_id = %s
"""
# A run that ended before, many times over, each a microsecond apart.
_COPY_RUN = """
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
    connection.execute(_MAKE_LINES, (lines, run.id))
    if attempts:
        connection.execute(_MAKE_ATTEMPTS, (run.id,))
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


def test_run_that_is_old_goes_with_all_its_rows_and_nothing_else(actor, connection):
    keep(actor, runs=90)
    old, young = old_run(actor, days_ago=91), old_run(actor, days_ago=89)

    prune_runs(connection, actor)

    assert rows_of(old) == (0, 0, 0, 0)
    assert rows_of(young) == (1, 2, 2, 2)
    assert Workflow.objects.filter(id=old.workflow_id).exists()
    assert WorkflowVersion.objects.filter(id=old.workflow_version_id).exists()


def test_each_organization_keeps_its_runs_as_long_as_it_says(connection, database):
    short, long, ever = make_actor(), make_actor(), make_actor()
    keep(short, runs=30)
    keep(long, runs=365)
    keep(ever)
    runs = {actor: old_run(actor, days_ago=100) for actor in (short, long, ever)}

    for actor in runs:
        prune_runs(connection, actor)

    assert [rows_of(run)[0] for run in runs.values()] == [0, 1, 1]


def test_new_organization_keeps_runs_for_ninety_days_and_their_logs_for_thirty(actor):
    organization = Organization.objects.get(id=actor.organization_id)

    kept = organization.run_retention_days, organization.attempt_retention_days, organization.log_retention_days
    assert kept == (90, 30, 30)


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_database_refuses_what_is_no_time_to_keep_runs(actor, connection, days):
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "UPDATE organizations SET run_retention_days = %s WHERE id = %s", (days, actor.organization_id)
        )


def test_run_that_is_open_stays_however_old_it_is(actor, connection):
    keep(actor, runs=1, attempts=1, logs=1)
    run = start_run(actor, {"a": ""})
    connection.execute(_MAKE_LINES, (2, run.id))
    connection.execute(_MAKE_ATTEMPTS, (run.id,))
    WorkflowRun.objects.filter(id=run.id).update(created_at=timezone.now() - datetime.timedelta(days=500))
    TaskExecution.objects.filter(run_id=run.id).update(finished_at=timezone.now() - datetime.timedelta(days=500))

    prune_runs(connection, actor)
    prune_all(retention.prune_lines, connection, actor)
    prune_all(retention.prune_attempts, connection, actor)

    assert rows_of(run) == (1, 1, 1, 2)


def test_run_that_was_opened_again_stays(actor, connection, other):
    keep(actor, runs=1)
    run = old_run(actor)
    with other.transaction():
        other.execute("UPDATE workflow_runs SET status = 'running', finished_at = NULL WHERE id = %s", (run.id,))
        prune_runs(connection, actor)

    prune_runs(connection, actor)

    assert rows_of(run) == (1, 2, 2, 2)


def family(actor):
    """A run and the child run that its task `a` started, each knowing the other."""
    parent, child = old_run(actor), old_run(actor)
    task = TaskExecution.objects.get(run_id=parent.id, task_key="a")
    TaskExecution.objects.filter(id=task.id).update(child_run=child)
    WorkflowRun.objects.filter(id=child.id).update(parent_task=task, parent_generation=0)
    return parent, child


def reopen(run):
    WorkflowRun.objects.filter(id=run.id).update(status="running", finished_at=None)


def test_child_run_stays_while_the_run_that_started_it_is_open(actor, connection):
    keep(actor, runs=1)
    parent, child = family(actor)
    reopen(parent)

    prune_runs(connection, actor)

    assert (rows_of(parent)[0], rows_of(child)[0]) == (1, 1)


def test_run_stays_while_a_run_that_it_started_is_open(actor, connection):
    keep(actor, runs=1)
    parent, child = family(actor)
    reopen(child)

    prune_runs(connection, actor)

    assert (rows_of(parent)[0], rows_of(child)[0]) == (1, 1)


@pytest.mark.parametrize("rows", [1, 7, ROWS])
def test_family_whose_runs_all_ended_goes(actor, connection, rows):
    keep(actor, runs=1)
    parent, child = family(actor)

    prune_runs(connection, actor, rows)

    assert rows_of(parent) == rows_of(child) == (0, 0, 0, 0)


def test_child_run_that_is_older_than_its_parent_goes_alone(actor, connection):
    keep(actor, runs=90)
    parent, child = family(actor)
    end(parent, days_ago=10)

    prune_runs(connection, actor)

    assert (rows_of(parent)[0], rows_of(child)[0]) == (1, 0)
    assert TaskExecution.objects.get(run_id=parent.id, task_key="a").child_run_id is None


def test_child_run_that_ended_later_stays_without_its_parent(actor, connection):
    keep(actor, runs=90)
    parent, child = family(actor)
    end(child, days_ago=10)

    prune_runs(connection, actor)

    assert (rows_of(parent)[0], rows_of(child)[0]) == (0, 1)
    assert WorkflowRun.objects.get(id=child.id).parent_task_id is None


def test_items_of_a_task_go_before_the_task(actor, connection):
    keep(actor, runs=90)
    run = old_run(actor, {"a": ""}, attempts=False)
    connection.execute(
        """
        INSERT INTO task_executions (
            run_id, organization_id, task_key, position, kind, needs, run_if, status, reason, attempt, tries,
            platform_failures, generation, hold, worker, queue, priority, error_code, error_message, created_at,
            map_index, parent_id
        )
        SELECT run_id, organization_id, task_key, position, kind, needs, run_if, status, reason, attempt, tries,
               platform_failures, generation, hold, worker, queue, priority, error_code, error_message, created_at,
               n, id
        FROM task_executions CROSS JOIN generate_series(0, 4) n WHERE run_id = %s
        """,
        (run.id,),
    )
    assert TaskExecution.objects.filter(run_id=run.id).count() == 6

    sizes = prune_runs(connection, actor, rows=2)

    assert rows_of(run) == (0, 0, 0, 0)
    assert max(sizes) == 2


@pytest.mark.parametrize("rows", [1, 4, ROWS])
def test_signals_and_decisions_go_with_their_run(actor, connection, rows):
    keep(actor, runs=90)
    waiting = {"uses": "signal"}
    asking = {"uses": "approval", "with": {"message": "Go on?"}}
    run = start_run(actor, {"a": waiting, "b": asking, "c": waiting})
    for key in ("a", "b"):
        execution.execute_task(task_of(run, key), HOLDER, canvas_ends=True)
    for name in ("a", "c"):
        waiting_services.send_signal(actor=actor, run_id=run.id, name=name)
    waiting_services.decide_approval(actor=actor, run_id=run.id, task_key="b", outcome=Outcome.APPROVED)
    end(run, days_ago=100)

    sizes = prune_runs(connection, actor, rows=rows)

    assert rows_of(run) == (0, 0, 0, 0)
    assert not RunSignal.objects.filter(organization_id=actor.organization_id).exists()
    assert not ApprovalDecision.objects.filter(organization_id=actor.organization_id).exists()
    # Of each of the two that waited: for what, and what came of it.
    lines = 4
    assert (sum(sizes), max(sizes) <= rows) == (1 + 3 + 2 + 1 + lines, True)


def test_large_run_is_hidden_at_once_and_goes_in_slices(actor, connection):
    keep(actor, runs=90)
    run = old_run(actor, {f"t{number}": "" for number in range(25)}, lines=30)
    small = old_run(actor)

    first = OldRuns(actor.organization_id).prune(connection, 10)

    assert rows_of(run) == (1, 25, 25, 30)
    assert first.deleted <= 10
    assert list(selectors.list_runs(actor=actor).filter(id=run.id)) == []
    for ask in (selectors.get_run, services.cancel_run):
        with pytest.raises(RunNotFound):
            ask(actor=actor, run_id=run.id)
    sizes = prune_runs(connection, actor, rows=10)
    assert rows_of(run) == rows_of(small) == (0, 0, 0, 0)
    assert first.deleted + sum(sizes) == 1 + 25 + 25 + 30 + 1 + 2 + 2 + 2
    assert max(sizes) <= 10


def test_large_run_whose_pruning_has_begun_goes_although_runs_are_now_kept_for_ever(actor, connection):
    keep(actor, runs=90)
    run = old_run(actor, {f"t{number}": "" for number in range(25)})
    OldRuns(actor.organization_id).prune(connection, 10)
    retention.prune_hidden_run(connection, 10)
    keep(actor)

    prune_runs(connection, actor)

    assert rows_of(run) == (0, 0, 0, 0)


def test_log_lines_go_by_age_while_their_run_stays(actor, connection):
    keep(actor, runs=90, logs=30)
    old, young = old_run(actor, days_ago=31), old_run(actor, days_ago=29)

    prune_all(retention.prune_lines, connection, actor)

    assert rows_of(old) == (1, 2, 2, 0)
    assert rows_of(young) == (1, 2, 2, 2)


def test_attempts_go_by_age_while_their_run_stays(actor, connection):
    keep(actor, runs=90, attempts=30)
    old, young = old_run(actor, days_ago=31), old_run(actor, days_ago=29)

    prune_all(retention.prune_attempts, connection, actor)

    assert rows_of(old) == (1, 2, 0, 2)
    assert rows_of(young) == (1, 2, 2, 2)


def test_history_that_is_kept_as_long_as_its_run_stays(actor, connection):
    keep(actor, runs=90)
    run = old_run(actor, days_ago=89)

    prune_all(retention.prune_lines, connection, actor)
    prune_all(retention.prune_attempts, connection, actor)

    assert rows_of(run) == (1, 2, 2, 2)


@pytest.mark.parametrize("rows", [1, 3, 8, ROWS])
def test_many_lines_go_in_batches_and_none_is_left_out(actor, connection, rows):
    keep(actor, runs=90, logs=30)
    runs = [
        old_run(actor, days_ago=days, lines=lines) for days, lines in ((60, 0), (50, 20), (50, 1), (40, 7), (31, 4))
    ]

    sizes = prune_all(retention.prune_lines, connection, actor, rows)

    assert [rows_of(run)[3] for run in runs] == [0] * 5
    assert sum(sizes) == 32
    assert max(sizes) <= rows


def test_runs_that_ended_in_the_same_microsecond_all_lose_their_lines(actor, connection):
    keep(actor, runs=90, logs=30)
    runs = [old_run(actor, days_ago=50) for _ in range(6)]
    WorkflowRun.objects.filter(organization_id=actor.organization_id).update(
        finished_at=timezone.now() - datetime.timedelta(days=50)
    )

    prune_all(retention.prune_lines, connection, actor, 8)

    assert [rows_of(run)[3] for run in runs] == [0] * 6


def test_lines_of_runs_that_grow_old_later_go_later(actor, connection):
    keep(actor, runs=90, logs=30)
    first, second = old_run(actor, days_ago=50), old_run(actor, days_ago=29)
    prune_all(retention.prune_lines, connection, actor)
    keep(actor, runs=90, logs=28)

    prune_all(retention.prune_lines, connection, actor)

    assert (rows_of(first)[3], rows_of(second)[3]) == (0, 0)


def test_log_that_is_not_kept_is_told_from_one_that_is_empty(actor, connection):
    keep(actor, runs=90, logs=30)
    old, young, open_run = old_run(actor, days_ago=31), old_run(actor, days_ago=29), start_run(actor, {"a": ""})

    def told():
        logs = [selectors.read_log(actor=actor, run=run, wanted=LogFilter()) for run in (old, young, open_run)]
        return [log.is_pruned for log in logs]

    assert told() == [True, False, False]
    prune_all(retention.prune_lines, connection, actor)
    keep(actor)
    assert told() == [True, False, False]


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
    sql.engine_connection().execute(_COPY_RUN, (500, run.id))
    together, deleted = threading.Barrier(2), []

    def beat():
        with connect() as own:
            old = OldRuns(actor.organization_id)
            together.wait(30)
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


def test_attempt_that_outlives_its_run_leaves_no_lines(actor, connection, monkeypatch):
    run = start_run(actor, {"a": {"uses": "shell", "with": {"command": "echo still here"}}})
    claimed = take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).delete()
    WorkflowRun.objects.filter(id=run.id).delete()

    monkeypatch.setattr(execution, "claim_surely", lambda task, holder: claimed)
    store, stored = execution._store_lines, []
    monkeypatch.setattr(execution, "_store_lines", lambda *a, **named: (stored.append(a), store(*a, **named)))
    execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=True)

    assert stored
    assert TaskLogLine.objects.filter(run_id=run.id).count() == 0


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
    connection.execute(_COPY_RUN, (2000, old_run(actor, days_ago=1).id))
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

    deadline = time.monotonic() + 60
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
    connection.execute(_COPY_RUN, (5000, old_run(large).id))
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


def wait_until(is_so, what, seconds=90):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


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
        wait_until(lambda: rows_of(run)[0] + rows_of(other_run)[0] == 0, f"{lines_left()} of {left} lines are left")

    assert rows_of(run) == rows_of(other_run) == (0, 0, 0, 0)
