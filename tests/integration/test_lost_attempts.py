"""What becomes of a task whose attempts are lost: run again, failed, or quarantined."""

from uuid import uuid4

import pytest

from executors.pools import lease
from tests.builders import start_run, statuses
from tests.integration.schedules import row, task_of
from workflows.dispatch import claim, leases
from workflows.dispatch.messages import Holder
from workflows.models import WorkflowRun
from workflows.runs import services as runs

pytestmark = pytest.mark.usefixtures("sent")

ONCE = {"on_worker_lost": "fail"}


def take(connection, run, key="a", *, worker_id=None, generation=0):
    """Claim a task for a worker nobody knows, or the one that is given."""
    holder = Holder(worker="gone", worker_id=worker_id or uuid4())
    claimed = claim.claim(connection, task_of(run, key, generation), holder, uuid4())
    assert claimed is not None
    return claimed


def lose(connection, run, key="a", **more):
    """Let a task's worker die while it runs the task."""
    claimed = take(connection, run, key, **more)
    leases.take_back_lost(connection)
    return claimed


def test_task_whose_worker_is_lost_again_and_again_is_quarantined_and_says_why(actor, connection):
    run = start_run(actor, {"a": "", "b": "a"})

    for _ in range(3):
        assert statuses(run.id)["a"].startswith("queued")
        lose(connection, run)

    ended = WorkflowRun.objects.get(id=run.id)
    assert statuses(run.id) == {"a": "failed (quarantined)", "b": "skipped (upstream_failed)"}
    assert row(run, "a").error_code == "worker_lost"
    assert ended.error_message == (
        "Task a failed: The worker was lost while it ran this task, which has lost 3 attempts now and is quarantined: "
        "it is not tried again. Find out what ends it, its use of memory for example, before you run it again; the "
        "count starts anew then."
    )
    assert [attempt.error_code for attempt in row(run, "a").attempts.all()] == ["worker_lost"] * 3


@pytest.mark.parametrize(("most", "words"), [(1, "has lost 1 attempt now"), (2, "has lost 2 attempts now")])
def test_operator_says_how_many_attempts_may_be_lost(actor, connection, settings, most, words):
    settings.MAESTRO_MAX_LOST_ATTEMPTS = most
    run = start_run(actor, {"a": ""})

    for _ in range(most):
        lose(connection, run)

    assert statuses(run.id) == {"a": "failed (quarantined)"}
    assert words in row(run, "a").error_message


def test_only_its_own_losses_quarantine_a_task(actor, connection):
    run = start_run(actor, {"a": "", "b": ""})
    for _ in range(2):
        lose(connection, run, "a")

    lose(connection, run, "b")

    assert statuses(run.id) == {"a": "queued (worker_lost)", "b": "queued (worker_lost)"}


def test_failures_of_the_users_code_are_not_counted_as_losses(actor, connection):
    run = start_run(actor, {"a": ""})
    for _ in range(2):
        lose(connection, run)

    assert (row(run, "a").platform_failures, row(run, "a").tries) == (2, 0)


def test_task_that_must_not_run_twice_fails_at_its_first_loss(actor, connection):
    run = start_run(actor, {"a": ONCE, "b": "a"})

    lose(connection, run)

    assert statuses(run.id) == {"a": "failed (worker_lost)", "b": "skipped (upstream_failed)"}
    assert row(run, "a").error_message == (
        'The worker was lost while it ran this task, which is not run again: its on_worker_lost is "fail".'
    )


def test_stop_of_a_worker_is_no_loss_for_a_task_that_must_not_run_twice(actor, connection, worker_row):
    run = start_run(actor, {"a": ONCE})
    take(connection, run, worker_id=worker_row)

    lease.end_lease(connection, worker_id=worker_row)
    leases.take_back_lost(connection)

    assert statuses(run.id) == {"a": "queued (worker_stopped)"}
    assert row(run, "a").platform_failures == 0


@pytest.mark.parametrize("task", [{}, ONCE], ids=["retry", "fail"])
def test_cancel_comes_before_what_a_loss_asks_for(actor, connection, settings, task):
    settings.MAESTRO_MAX_LOST_ATTEMPTS = 1
    run = start_run(actor, {"a": task})
    take(connection, run)
    runs.cancel_run(actor=actor, run_id=run.id)

    leases.take_back_lost(connection)

    assert statuses(run.id) == {"a": "cancelled"}


def test_retry_may_be_written_out(actor, connection):
    run = start_run(actor, {"a": {"on_worker_lost": "retry"}})

    lose(connection, run)

    assert statuses(run.id) == {"a": "queued (worker_lost)"}
