"""The transition tables, over the product of all statuses and events."""

import itertools

import pytest

from workflows.runs.statuses import (
    OPEN_TASK_STATUSES,
    RunEvent,
    RunStatus,
    TaskEvent,
    TaskStatus,
    next_run_status,
    next_task_status,
)

TASK_TABLE = {
    ("pending", "queue"): "queued",
    ("pending", "claim"): "running",
    ("pending", "skip"): "skipped",
    ("pending", "cancel"): "cancelled",
    ("queued", "claim"): "running",
    ("queued", "skip"): "skipped",
    ("queued", "cancel"): "cancelled",
    ("running", "succeed"): "succeeded",
    ("running", "fail"): "failed",
    ("running", "skip"): "skipped",
    ("running", "park"): "waiting",
    ("running", "requeue"): "queued",
    ("running", "cancel"): "cancelled",
    ("waiting", "queue"): "queued",
    ("waiting", "succeed"): "succeeded",
    ("waiting", "fail"): "failed",
    ("waiting", "park"): "waiting",
    ("waiting", "skip"): "skipped",
    ("waiting", "cancel"): "cancelled",
}
RUN_TABLE = {
    ("pending", "start"): "running",
    ("pending", "cancel"): "cancelled",
    ("running", "succeed"): "succeeded",
    ("running", "fail"): "failed",
    ("running", "cancel"): "cancelled",
}


@pytest.mark.parametrize(("status", "event"), list(itertools.product(TaskStatus, TaskEvent)))
def test_task_status_changes_exactly_as_the_table_says(status, event):
    assert next_task_status(status, event) == TASK_TABLE.get((status.value, event.value))


@pytest.mark.parametrize(("status", "event"), list(itertools.product(RunStatus, RunEvent)))
def test_run_status_changes_exactly_as_the_table_says(status, event):
    assert next_run_status(status, event) == RUN_TABLE.get((status.value, event.value))


def test_every_task_status_is_open_or_terminal():
    assert {status for status in TaskStatus if not status.is_terminal} == OPEN_TASK_STATUSES
    assert {"succeeded", "failed", "skipped", "cancelled"} == {s.value for s in TaskStatus if s.is_terminal}


def test_a_run_is_over_when_it_succeeded_failed_or_was_cancelled():
    assert {status.value for status in RunStatus if status.is_terminal} == {"succeeded", "failed", "cancelled"}
