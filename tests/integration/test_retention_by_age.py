"""Pruning log lines and attempts that go before their run."""

import datetime

import pytest
from django.utils import timezone

from executors.models import TaskLogLine
from tests.builders import start_run
from tests.integration.old_history import ROWS, keep, old_run, prune_all, rows_of
from tests.integration.schedules import HOLDER, take, task_of
from workflows.dispatch import execution
from workflows.filters import LogFilter
from workflows.models import (
    TaskExecution,
    WorkflowRun,
)
from workflows.runs import retention, selectors

pytestmark = pytest.mark.usefixtures("sent")


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
