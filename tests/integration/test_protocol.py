"""The ways in which the naive engine protocol broke, each as one deterministic schedule on PostgreSQL.

One transaction is held open while the other meets it; which row is waited for, and what is seen after the wait, is what
the guards are about. V-numbers are those of docs/explanation/protocol.md. Nothing is sent: messages are collected, so
that the test alone decides what happens when.
"""

from uuid import uuid4

import psycopg
import pytest
from celery.exceptions import Ignore
from psycopg.pq import TransactionStatus

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
    take,
    task_of,
)
from workflows.dispatch import claim, execution, finalise, finish, leases, recovery
from workflows.dispatch.messages import Holder, TaskRef
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs
from workflows.runs.statuses import TaskStatus

pytestmark = pytest.mark.usefixtures("sent")


@pytest.mark.parametrize("value", [1, 2], ids=["pause", "cancel"])
def test_v1_claim_that_waited_for_a_pause_or_cancel_does_not_start(actor, connection, other, value):
    run = start_run(actor, {"a": ""})

    with held_open(other, hold(run, value)) as meanwhile:
        claiming = meanwhile(lambda: take(connection, run, "a"))

    assert claiming.result() is None
    assert statuses(run.id) == {"a": "queued"}


def test_v2_failure_under_a_cancel_is_the_cancellation(actor, connection, other):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")

    with held_open(other, hold(run, 2)) as meanwhile:
        finishing = meanwhile(lambda: finish.finish(connection, claimed, FAILED))

    assert finishing.result() == finish.Finished(
        status=TaskStatus.CANCELLED, hold=2, finished_at=TaskExecution.objects.get(run_id=run.id).finished_at
    )


def test_v3_claim_that_waited_for_a_rerun_of_its_need_does_not_start(actor, connection, other):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a")

    with held_open(other, rerun(run, "a", "b")) as meanwhile:
        claiming = meanwhile(lambda: take(connection, run, "b"))

    assert claiming.result() is None
    assert statuses(run.id) == {"a": "pending", "b": "pending"}


def test_v4_skip_that_was_judged_before_a_rerun_is_not_written(actor, connection, other, sent):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a", FAILED)

    with held_open(other, rerun(run, "a", "b")) as meanwhile:
        advancing = meanwhile(lambda: follow(connection, run, "a"))

    advancing.result()
    assert statuses(run.id) == {"a": "pending", "b": "pending"}


def test_v5_run_reopened_while_it_is_being_finalised_stays_open(actor, connection, other):
    run = start_run(actor, {"a": ""})
    do(connection, run, "a")
    lock = ("SELECT FROM workflow_runs WHERE id = %s FOR UPDATE", (run.id,))

    with held_open(other, lock, rerun(run, "a")) as meanwhile:
        finalising = meanwhile(lambda: finalise.finalise_run(connection, run.id))

    assert finalising.result() is False
    assert WorkflowRun.objects.get(id=run.id).status == "running"


def test_v6_cancel_ends_the_run_when_the_last_finisher_looked_before_its_commit(actor, connection, other):
    run = start_run(actor, {"a": "", "b": "a"})
    claimed = take(connection, run, "a")
    cancel_b = (
        "UPDATE task_executions SET status = 'cancelled', hold = 2 WHERE run_id = %s AND task_key = 'b'",
        (run.id,),
    )

    with held_open(other, ("UPDATE workflow_runs SET hold = 2 WHERE id = %s", (run.id,)), cancel_b) as meanwhile:
        finish.finish(connection, claimed, SUCCEEDED)
        looking = meanwhile(lambda: finalise.finalise_run(connection, run.id))
        assert looking.result() is False

    runs.cancel_run(actor=actor, run_id=run.id)
    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"


def test_v6_cancel_looks_after_its_own_commit(actor, connection, monkeypatch):
    run = start_run(actor, {"a": ""})
    seen = []

    def look(own, run_id):
        seen.append(own.info.transaction_status)
        # What anybody else sees at this moment.
        seen.append(connection.execute("SELECT hold FROM workflow_runs WHERE id = %s", (run_id,)).fetchone()[0])
        return finalise_run(own, run_id)

    finalise_run = finalise.finalise_run
    monkeypatch.setattr(finalise, "finalise_run", look)

    runs.cancel_run(actor=actor, run_id=run.id)

    assert seen == [TransactionStatus.IDLE, 2]


def test_v7_message_of_a_task_that_was_cancelled_meanwhile_ends_the_run(actor, connection):
    run = start_run(actor, {"a": "", "b": "a"})
    claimed = take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(status="skipped", reason="user")
    finish.finish(connection, claimed, SUCCEEDED)

    execution.execute_task(task_of(run, "b"), HOLDER, canvas_ends=True)

    assert WorkflowRun.objects.get(id=run.id).status == "succeeded"


def test_v8_stale_message_queues_the_row_it_is_too_old_for(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a")
    connection.execute(*rerun(run, "b"))

    execution.execute_task(task_of(run, "b", generation=0), HOLDER, canvas_ends=True)

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
    assert sent[-1] == "b"


def test_v9_finish_that_changed_nothing_still_looks_at_what_follows(actor, connection, monkeypatch, sent):
    run = start_run(actor, {"a": "", "b": "a"})
    answers = []

    def commit_then_lose_the_answer(*arguments):
        answers.append(finish.finish(*arguments))
        if len(answers) == 1:
            raise psycopg.OperationalError("the connection is lost")
        return answers[-1]

    monkeypatch.setattr(execution, "finish", commit_then_lose_the_answer)

    execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=False)

    assert answers[1] is None
    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}


def test_v10_claim_whose_commit_was_not_answered_is_found_by_its_token(actor, connection, monkeypatch):
    run = start_run(actor, {"a": ""})
    written = claim.claim
    calls = []

    def commit_then_lose_the_connection(*arguments):
        calls.append(written(*arguments))
        if len(calls) == 1:
            raise psycopg.OperationalError("the connection is lost")
        return calls[-1]

    monkeypatch.setattr(claim, "claim", commit_then_lose_the_connection)

    claimed = claim.claim_surely(task_of(run, "a"), HOLDER)

    assert len(calls) == 1
    assert claimed == calls[0]
    assert TaskExecution.objects.get(run_id=run.id).attempt == 1


def test_v10_claim_that_was_rolled_back_is_made_again(actor, monkeypatch):
    run = start_run(actor, {"a": ""})
    calls = lose_connection_at_first_claim(monkeypatch)

    claimed = claim.claim_surely(task_of(run, "a"), HOLDER)

    assert claimed is not None
    assert (len(calls), claimed.attempt) == (2, 1)


def test_v10_claim_that_is_written_after_the_first_look_is_found_by_the_second(actor, connection, monkeypatch):
    run = start_run(actor, {"a": ""})
    written = claim.claim
    late = []

    def lose_the_connection_while_the_server_still_works(own, *arguments):
        if not late:
            late.append(arguments)
            raise psycopg.OperationalError("the connection is lost")
        written(connection, *late.pop())
        return written(own, *arguments)

    monkeypatch.setattr(claim, "claim", lose_the_connection_while_the_server_still_works)

    claimed = claim.claim_surely(task_of(run, "a"), HOLDER)

    assert claimed is not None
    assert (claimed.attempt, TaskExecution.objects.get(run_id=run.id).claim_token) == (1, claimed.claim_token)


def test_v10_attempt_that_its_live_worker_does_not_hold_is_taken_back(actor, connection, worker_row, sent):
    run = start_run(actor, {"a": "", "b": ""})
    for key in ("a", "b"):
        holder = Holder(worker="test", worker_id=worker_row, message_id=f"message-of-{key}")
        assert claim.claim(connection, task_of(run, key), holder, uuid4())
    held = ["message-of-a", "an-older-message-of-b"]
    connection.execute(
        "UPDATE executor_workers SET held = %s, held_at = clock_timestamp() WHERE id = %s", (held, worker_row)
    )

    leases.take_back_lost(connection)

    rows = {row.task_key: row for row in TaskExecution.objects.filter(run_id=run.id)}
    assert (rows["a"].status, rows["b"].status, rows["b"].reason) == ("running", "queued", "worker_lost")
    assert (rows["b"].platform_failures, rows["b"].tries, rows["b"].attempt) == (1, 0, 1)
    assert sent[-1] == "b"
    assert [attempt.status for attempt in rows["b"].attempts.all()] == ["lost"]


def test_claim_newer_than_the_list_of_what_is_held_is_left_alone(actor, connection, worker_row):
    run = start_run(actor, {"a": ""})
    connection.execute("UPDATE executor_workers SET held_at = clock_timestamp() WHERE id = %s", (worker_row,))
    claim.claim(connection, task_of(run, "a"), Holder(worker="test", worker_id=worker_row), uuid4())

    leases.take_back_lost(connection)

    assert statuses(run.id) == {"a": "running"}


def test_attempt_of_a_worker_that_was_given_up_is_queued_again(actor, connection, worker_row):
    run = start_run(actor, {"a": ""})
    holder = Holder(worker="test", worker_id=worker_row, message_id="held")
    claim.claim(connection, task_of(run, "a"), holder, uuid4())
    connection.execute(
        "UPDATE executor_workers SET lost_at = clock_timestamp(), held = '{held}' WHERE id = %s", (worker_row,)
    )

    leases.take_back_lost(connection)

    assert statuses(run.id) == {"a": "queued (worker_lost)"}


def test_v14_result_of_a_claim_the_database_lost_is_not_accepted(actor, connection):
    run = start_run(actor, {"a": ""})
    lost = take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).update(status="queued", attempt=0, claim_token=None)
    second = take(connection, run, "a")

    assert (lost.attempt, second.attempt) == (1, 1)
    assert finish.finish(connection, lost, SUCCEEDED) is None
    assert statuses(run.id) == {"a": "running"}


def test_v15_attempt_goes_on_counting_over_a_rerun(actor, connection):
    run = start_run(actor, {"a": ""})
    do(connection, run, "a")
    connection.execute(*rerun(run, "a"))

    again = take(connection, run, "a", generation=1)

    assert again.attempt == 2


def test_v16_ready_task_is_recovered_while_another_task_waits(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": "a", "c": ""})
    do(connection, run, "a")
    take(connection, run, "c")
    TaskExecution.objects.filter(run_id=run.id, task_key="c").update(status="waiting", reason="signal")

    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(finished_at="2020-01-01T00:00:00Z")

    recovery.ReadySweep().recover(connection)

    assert statuses(run.id)["b"] == "queued"
    assert sent[-1] == "b"


def test_two_last_finishers_end_the_run_once(actor, connection, other):
    run = start_run(actor, {"a": "", "b": ""})
    first, second = take(connection, run, "a"), take(connection, run, "b")
    finish.finish(connection, first, SUCCEEDED)
    finish.finish(connection, second, SUCCEEDED)
    lock = ("SELECT FROM workflow_runs WHERE id = %s FOR UPDATE", (run.id,))

    with held_open(other, lock) as meanwhile:
        ending = meanwhile(lambda: finalise.finalise_run(connection, run.id))

    assert ending.result() is True
    assert finalise.finalise_run(other, run.id) is False


def test_message_of_another_organization_finds_nothing(actor, connection):
    run = start_run(actor, {"a": ""})
    foreign = TaskRef(run_id=run.id, organization_id=uuid4(), task_key="a", map_index=None, generation=0)

    assert claim.claim(connection, foreign, HOLDER, uuid4()) is None


def test_second_delivery_of_a_running_task_starts_nothing(actor, connection):
    run = start_run(actor, {"a": ""})
    take(connection, run, "a")

    with pytest.raises(Ignore):
        execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=True)

    assert TaskExecution.objects.get(run_id=run.id).attempt == 1
