"""Pruning history: which runs go with all their rows, what stays, and in which order."""

import datetime

import psycopg
import pytest
from django.utils import timezone

from accounts.models import Organization
from tests.builders import make_actor, start_run
from tests.integration.old_history import (
    MAKE_ATTEMPTS,
    MAKE_LINES,
    ROWS,
    end,
    keep,
    old_run,
    prune_all,
    prune_runs,
    rows_of,
)
from tests.integration.schedules import HOLDER, task_of
from workflows.dispatch import execution
from workflows.errors import RunNotFound
from workflows.models import (
    ApprovalDecision,
    RunSignal,
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
    connection.execute(MAKE_LINES, (2, run.id))
    connection.execute(MAKE_ATTEMPTS, (run.id,))
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
