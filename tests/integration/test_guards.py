"""Every guard of the statements by which tasks move on, each by the schedule that only it survives."""

from uuid import uuid4

import psycopg
import pytest
from celery import chord
from celery.exceptions import Reject
from django.db import connections

from executors.base import RunStop
from tests.builders import start_run, statuses
from tests.integration.schedules import (
    FAILED,
    HOLDER,
    SUCCEEDED,
    do,
    follow,
    held_open,
    hold,
    lose_connection_at_first_claim,
    rerun,
    row,
    take,
    task_of,
)
from workflows.compiler import canvas
from workflows.compiler.canvas import CanvasScope
from workflows.definition.priority import Priority
from workflows.dispatch import advance, cancellation, claim, execution, finalise, finish, holds, pausing, tasks
from workflows.dispatch.finish import Outcome
from workflows.dispatch.messages import Holder, TaskRef
from workflows.errors import RunAlreadyFinished, RunNotFound
from workflows.models import Pause, TaskExecution, WorkflowRun
from workflows.runs import services as runs
from workflows.runs.statuses import Reason, TaskStatus

pytestmark = pytest.mark.usefixtures("sent")

# Columns an inserted item takes from its parent.
COPIED = """
    position, kind, needs, run_if, reason, attempt, tries, platform_failures, generation, hold, worker, queue, priority,
    error_code, error_message
"""


def cancel_in_thread(actor, run):
    try:
        return runs.cancel_run(actor=actor, run_id=run.id)
    finally:
        connections.close_all()


def test_message_that_comes_before_its_join_is_decided_starts_nothing(actor, connection):
    run = start_run(actor, {"a": "", "b": "", "c": "a b"})
    do(connection, run, "a")

    assert take(connection, run, "c") is None
    assert statuses(run.id)["c"] == "pending"


def test_claim_skips_a_task_whose_join_says_so(actor, connection):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a", FAILED)

    claimed = take(connection, run, "b")

    assert claimed.status is TaskStatus.SKIPPED
    assert (row(run, "b").reason, row(run, "b").attempt) == ("upstream_failed", 0)


def test_task_of_a_run_that_is_not_running_is_not_claimed(actor, connection):
    run = start_run(actor, {"a": ""})
    WorkflowRun.objects.filter(id=run.id).update(status="pending")

    assert take(connection, run, "a") is None


def test_claim_leaves_later_commits_of_its_connection_synchronous(actor, connection):
    run = start_run(actor, {"a": ""})

    take(connection, run, "a")

    assert connection.execute("SHOW synchronous_commit").fetchone()[0] == "on"


def test_advance_does_not_queue_again_what_was_claimed_meanwhile(actor, connection, other):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a")
    claiming = ("UPDATE task_executions SET status = 'running' WHERE run_id = %s AND task_key = 'b'", (run.id,))

    with held_open(other, claiming) as meanwhile:
        advancing = meanwhile(lambda: follow(connection, run, "a"))

    advancing.result()
    assert statuses(run.id)["b"] == "running"


@pytest.mark.parametrize("value", [1, 2], ids=["pause", "cancel"])
def test_advance_that_waited_for_a_pause_or_cancel_queues_nothing(actor, connection, other, sent, value):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a")
    sent.clear()

    with held_open(other, hold(run, value)) as meanwhile:
        advancing = meanwhile(lambda: follow(connection, run, "a"))

    advancing.result()
    assert statuses(run.id)["b"] == "pending"
    assert sent == []


def test_advance_leaves_a_join_alone_that_is_not_decided(actor, connection):
    run = start_run(actor, {"a": "", "b": "", "c": "a b"})
    do(connection, run, "a")

    follow(connection, run, "a")

    assert statuses(run.id)["c"] == "pending"


def test_advance_follows_skips_to_the_end_of_the_run(actor, connection):
    run = start_run(actor, {"a": "", "b": "a", "c": "b", "d": "c"})
    do(connection, run, "a", FAILED)

    follow(connection, run, "a")

    assert set(statuses(run.id).values()) == {"failed", "skipped (upstream_failed)"}
    assert WorkflowRun.objects.get(id=run.id).status == "failed"


def test_task_that_ends_while_skips_are_still_followed_leaves_the_end_of_the_run_to_them(
    actor, connection, other, monkeypatch
):
    run = start_run(actor, {"a": "", "b": {"needs": ["a"], "run_if": "all_done"}, "c": "a", "d": "c"})
    do(connection, run, "a", FAILED)

    def run_at_once(*_, **__):
        do(other, run, "b")
        follow(other, run, "b")

    monkeypatch.setattr(advance.publish, "publish", run_at_once)
    follow(connection, run, "a")

    assert statuses(run.id)["d"] == "skipped (upstream_failed)"
    assert WorkflowRun.objects.get(id=run.id).status == "failed"


def test_message_of_a_pending_task_that_turns_out_skipped_ends_the_run(actor, connection):
    run = start_run(actor, {"a": "", "b": "a", "c": "b"})
    do(connection, run, "a", FAILED)
    connection.execute(*rerun(run, "b"))

    execution.execute_task(task_of(run, "b", generation=0), HOLDER, canvas_ends=True)

    assert statuses(run.id)["c"] == "skipped (upstream_failed)"
    assert WorkflowRun.objects.get(id=run.id).status == "failed"


def test_second_finish_of_one_claim_changes_nothing(actor, connection):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")
    finish.finish(connection, claimed, FAILED)
    before = row(run, "a").finished_at

    assert finish.finish(connection, claimed, SUCCEEDED) is None
    assert (row(run, "a").status, row(run, "a").finished_at) == ("failed", before)


def test_failure_counts_as_a_try_and_success_does_not(actor, connection):
    run = start_run(actor, {"a": "", "b": ""})
    do(connection, run, "a", FAILED)
    do(connection, run, "b")

    assert (row(run, "a").tries, row(run, "b").tries) == (1, 0)


def test_task_that_ends_under_a_cancel_inside_a_canvas_ends_the_run(actor, connection, monkeypatch):
    run = start_run(actor, {"a": "", "b": "a"})

    def cancelled_meanwhile(claimed):
        connection.execute(
            "UPDATE task_executions SET status = 'cancelled', hold = 2 WHERE run_id = %s AND task_key = 'b'", (run.id,)
        )
        connection.execute("UPDATE task_executions SET hold = 2 WHERE run_id = %s AND task_key = 'a'", (run.id,))
        connection.execute("UPDATE workflow_runs SET hold = 2 WHERE id = %s", (run.id,))
        return SUCCEEDED

    monkeypatch.setattr(execution, "_run", cancelled_meanwhile)

    execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=False)

    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"


def test_task_that_ends_its_canvas_advances_and_one_inside_does_not(actor, connection):
    for canvas_ends, expected in ((True, "queued"), (False, "pending")):
        run = start_run(actor, {"a": "", "b": "a"})

        execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=canvas_ends)

        assert statuses(run.id)["b"] == expected


def test_skip_that_ends_its_canvas_advances(actor, connection):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a", FAILED)

    execution.execute_task(task_of(run, "b"), HOLDER, canvas_ends=True)

    assert WorkflowRun.objects.get(id=run.id).status == "failed"


def test_claim_that_is_found_again_under_a_cancel_runs_nothing(actor, connection, monkeypatch):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")
    connection.execute(*hold(run, 2))
    found = claim._one(connection, claim._REREAD_CLAIM, task_of(run, "a"), HOLDER, claimed.claim_token)

    assert execution._run(found) == Outcome(status=TaskStatus.CANCELLED)


def test_message_of_another_organization_advances_nothing(actor, connection):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a")
    foreign = TaskRef(run_id=run.id, organization_id=uuid4(), task_key="b", map_index=None, generation=0)

    execution.execute_task(foreign, HOLDER, canvas_ends=True)

    assert statuses(run.id)["b"] == "pending"


@pytest.mark.parametrize(
    "change",
    ["hold = 2", "claim_token = gen_random_uuid()", "status = 'queued'"],
    ids=["cancel", "fenced", "taken back"],
)
def test_running_attempt_learns_that_it_should_stop(actor, connection, monkeypatch, change):
    monkeypatch.setattr(execution, "CANCEL_CHECK_SECONDS", 0)
    run = start_run(actor, {"a": ""})
    watch = execution._CancelWatch(take(connection, run, "a"))
    assert watch.is_cancelled() is False

    connection.execute(f"UPDATE task_executions SET {change} WHERE run_id = %s", (run.id,))

    assert watch.is_cancelled() is True


def test_run_with_a_waiting_task_does_not_end(actor, connection):
    run = start_run(actor, {"a": "", "b": ""})
    do(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(status="waiting", reason="signal")

    assert finalise.finalise_run(connection, run.id) is False


def test_cancel_reaches_every_open_task(actor, connection):
    run = start_run(actor, {"a": "", "b": "", "c": "", "d": "a"})
    take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(status="waiting", reason="signal")

    runs.cancel_run(actor=actor, run_id=run.id)

    rows = {key: (row(run, key).status, row(run, key).hold) for key in "abcd"}
    assert rows == {"a": ("running", 2), "b": ("cancelled", 2), "c": ("cancelled", 2), "d": ("cancelled", 2)}
    assert (WorkflowRun.objects.get(id=run.id).hold, WorkflowRun.objects.get(id=run.id).status) == (2, "running")


def test_cancel_reaches_rows_that_were_inserted_while_it_waited(actor, connection, other):
    run = start_run(actor, {"a": ""})
    touch = ("UPDATE task_executions SET worker = 'x' WHERE run_id = %s", (run.id,))
    expand = (
        f"""
        INSERT INTO task_executions (organization_id, run_id, task_key, map_index, status, {COPIED})
        SELECT organization_id, run_id, task_key, 0, 'pending', {COPIED} FROM task_executions WHERE run_id = %s
        """,
        (run.id,),
    )

    with held_open(other, touch, expand) as meanwhile:
        cancelling = meanwhile(lambda: cancel_in_thread(actor, run))

    cancelling.result()
    assert set(TaskExecution.objects.filter(run_id=run.id).values_list("status", flat=True)) == {"cancelled"}


def test_task_that_ends_while_its_run_is_cancelled_stays_as_it_ended(actor, connection, other):
    run = start_run(actor, {"a": "", "b": ""})
    ended = ("UPDATE task_executions SET status = 'skipped' WHERE run_id = %s AND task_key = 'a'", (run.id,))

    with held_open(other, ended) as meanwhile:
        cancelling = meanwhile(lambda: cancel_in_thread(actor, run))

    cancelling.result()
    assert (statuses(run.id), row(run, "a").hold) == ({"a": "skipped", "b": "cancelled"}, 0)


@pytest.mark.parametrize("operation", ["cancel", "pause", "stop"])
def test_operation_that_the_database_ends_for_the_sake_of_another_is_done_again(
    actor, connection, monkeypatch, operation
):
    run = start_run(actor, {"a": "", "b": ""})
    claimed = take(connection, run, "a")
    Pause.objects.create(organization_id=actor.organization_id, scope="run", run=run)
    work = {
        "cancel": lambda: cancellation.stop_run(connection, run.id, Reason.CANCELLING),
        "pause": lambda: pausing.settle_runs(connection, [run.id]),
        "stop": lambda: cancellation.finish_and_stop(connection, claimed, SUCCEEDED, RunStop(succeeds=True)),
    }
    module, name = (holds, "settle") if operation == "pause" else (cancellation, "_stop_tasks")
    real, calls = getattr(module, name), []

    def be_ended_once(*given):
        calls.append(name)
        if len(calls) == 1:
            raise psycopg.errors.DeadlockDetected
        return real(*given)

    monkeypatch.setattr(module, name, be_ended_once)

    work[operation]()

    assert row(run, "b").hold == (1 if operation == "pause" else 2)


def test_cancel_that_waited_for_the_end_of_the_run_is_refused(actor, connection, other):
    run = start_run(actor, {"a": ""})
    do(connection, run, "a")
    ending = ("UPDATE workflow_runs SET status = 'succeeded', finished_at = clock_timestamp() WHERE id = %s", (run.id,))

    with held_open(other, ending) as meanwhile:
        cancelling = meanwhile(lambda: cancel_in_thread(actor, run))

    with pytest.raises(RunAlreadyFinished):
        cancelling.result()
    assert WorkflowRun.objects.get(id=run.id).hold == 0


def test_cancel_that_waited_for_the_run_to_be_pruned_finds_none(actor, connection, other):
    run = start_run(actor, {"a": ""})
    deletions = [
        (f"DELETE FROM {table} WHERE {key} = %s", (run.id,))
        for table, key in (("task_executions", "run_id"), ("workflow_runs", "id"))
    ]

    with held_open(other, *deletions) as meanwhile:
        cancelling = meanwhile(lambda: cancel_in_thread(actor, run))

    with pytest.raises(RunNotFound):
        cancelling.result()


@pytest.mark.parametrize(("frontier", "chords"), [("abc", [True]), ("ab", [False, False]), ("a", [False])])
def test_only_a_frontier_that_owns_every_branch_becomes_a_chord(actor, connection, frontier, chords):
    run = start_run(actor, {"s": "", "a": "s", "b": "s", "c": "s", "j": "a b c"})
    version = advance.version_of_run(connection, run.id)
    scope = CanvasScope(
        run_id=run.id,
        organization_id=run.organization_id,
        workflow_name="x",
        priority=Priority.NORMAL.step,
        generations={},
        queued_at=dict.fromkeys(frontier, run.created_at),
    )

    canvases = canvas.compile_canvas(version.plan, scope, [version.positions[key] for key in frontier])

    assert [isinstance(one.signature, chord) for one in canvases] == chords


def test_claim_does_not_wait_for_the_disk_and_a_finish_does(actor, connection):
    """A walwriter or somebody else's commit may flush a claim at any time, but not twenty times in a row."""
    unflushed = "SELECT pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()"
    run = start_run(actor, {f"t{number}": "" for number in range(20)})
    after_claims, after_finishes = [], []
    for number in range(20):
        claimed = take(connection, run, f"t{number}")
        after_claims.append(connection.execute(unflushed).fetchone()[0])
        finish.finish(connection, claimed, SUCCEEDED)
        after_finishes.append(connection.execute(unflushed).fetchone()[0])

    assert any(after_claims)
    assert not all(after_finishes)


def test_message_goes_back_to_the_broker_when_the_database_stays_away(monkeypatch):
    def stay_away(*_, **__):
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(execution, "execute_task", stay_away)

    with pytest.raises(Reject) as refused:
        tasks.execute(run_id=str(uuid4()), organization_id=str(uuid4()), tasks=[["a", None, 0]])

    assert refused.value.requeue


def test_claim_made_after_the_worker_was_given_up_is_its_new_incarnations(actor, connection, monkeypatch):
    run = start_run(actor, {"a": ""})
    old, new = uuid4(), uuid4()
    incarnations = iter([old, new])
    monkeypatch.setattr(claim, "get_incarnation", lambda: next(incarnations))
    lose_connection_at_first_claim(monkeypatch)

    claim.claim_surely(task_of(run, "a"), Holder(worker="test", worker_id=old))

    assert row(run, "a").claim_worker_id == new


def test_claim_of_an_earlier_generation_is_not_found_again(actor, connection):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")
    connection.execute(*rerun(run, "a"))

    assert claim._one(connection, claim._REREAD_CLAIM, task_of(run, "a"), HOLDER, claimed.claim_token) is None
