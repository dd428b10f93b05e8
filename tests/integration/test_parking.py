"""Tasks that wait for a Celery task somebody else runs: how they park, and every way in which their call ends them."""

import base64
import json

import psycopg
import pytest
from celery import current_app
from celery.exceptions import Ignore, Reject

from examples import celery_tasks
from executors.base import TaskError, TaskResult
from tests.builders import start_run, statuses
from tests.integration.calls import (
    CALL,
    ENDED,
    FAILED,
    PARKED,
    QUEUE,
    call_of,
    execute,
    lose_attempt,
    record,
    row,
    sent_calls,
    start,
)
from tests.integration.schedules import HOLDER, held_open, hold, rerun, take, task_of
from workflows.dispatch import celery_calls, execution, finalise, finish, recovery, settle, tasks
from workflows.dispatch.messages import CallRef
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs
from workflows.runs.statuses import TaskStatus

pytestmark = pytest.mark.usefixtures("sent", "empty_queue")


@pytest.fixture
def revoked(monkeypatch):
    """Ids of the calls that were revoked."""
    ids = []
    monkeypatch.setattr(current_app.control, "revoke", ids.extend)
    return ids


def test_task_that_calls_waits_and_its_worker_is_free(actor, broker):
    run = start(actor)

    execute(run)

    assert statuses(run.id) == {"a": "waiting (celery)", "b": "pending"}
    assert row(run).wake_at > row(run).started_at
    assert sent_calls(broker) == [call_of(run).celery_id]
    assert WorkflowRun.objects.get(id=run.id).status == "running"


def test_callbacks_carry_ids_only(actor, broker):
    run = start(actor)

    execute(run)

    embedded = json.loads(broker.lrange(QUEUE, 0, 0)[0])
    args, kwargs, embed = json.loads(base64.b64decode(embedded["body"]))
    assert (args, kwargs) == (["a.png"], {})
    expected = {
        "run_id": str(run.id),
        "organization_id": str(run.organization_id),
        "task": ["a", None, 0],
        "tries": 0,
    }
    assert [callback["kwargs"] for callback in (*embed["callbacks"], *embed["errbacks"])] == [expected] * 2
    assert {callback["options"]["queue"] for callback in (*embed["callbacks"], *embed["errbacks"])} == {"maestro"}


def test_end_of_the_call_ends_the_task_and_queues_what_follows(actor, connection, sent):
    run = start(actor)
    execute(run)

    assert settle.settle(connection, call_of(run), ENDED)

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
    assert (row(run).output, row(run).wake_at, sent[-1]) == ("thumbnail", None, "b")


def test_failure_of_the_call_counts_as_a_try(actor, connection):
    run = start(actor)
    execute(run)

    settle.settle(connection, call_of(run), FAILED)

    assert (row(run).status, row(run).tries, row(run).error_code) == ("failed", 1, "x")
    assert WorkflowRun.objects.get(id=run.id).status == "failed"


def test_error_of_a_call_does_not_show_the_secrets_of_its_run(actor, connection):
    secret = {"type": "string", "writeOnly": True}
    run = start_run(actor, {"a": CALL}, inputs={"password": secret}, given={"password": "hunter22"})
    execute(run)

    refused = TaskResult(error=TaskError(code="x", message="bad password hunter22"))
    settle.settle(connection, call_of(run), refused)

    assert row(run).error_message == "bad password ••••••"


def test_call_that_ends_before_its_attempt_parks_ends_the_task_once(actor, connection, monkeypatch):
    run = start(actor)
    begin = celery_calls.begin

    def end_at_once(*arguments, **options):
        begin(*arguments, **options)
        settle.settle(connection, call_of(run), ENDED)

    monkeypatch.setattr(celery_calls, "begin", end_at_once)

    execute(run)

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
    assert row(run).output == "thumbnail"


@pytest.mark.parametrize("late", [ENDED, FAILED], ids=["doubled", "contradicting"])
def test_second_end_of_a_call_changes_nothing(actor, connection, late):
    run = start(actor)
    execute(run)
    settle.settle(connection, call_of(run), TaskResult(output="first"))
    before = row(run)

    assert settle.settle(connection, call_of(run), late) is False
    assert (row(run).status, row(run).output, row(run).finished_at) == ("succeeded", "first", before.finished_at)


@pytest.mark.parametrize(
    "stale", [{"generation": 0, "tries": 0}, {"generation": 1, "tries": 1}], ids=["before a rerun", "of another try"]
)
def test_end_of_another_call_changes_nothing(actor, connection, stale):
    run = start(actor)
    execute(run)
    connection.execute(*rerun(run, "a"))
    execution.execute_task(task_of(run, "a", 1), HOLDER, canvas_ends=True)

    assert settle.settle(connection, call_of(run, **stale), ENDED) is False
    assert row(run).status == "waiting"


def test_end_told_for_another_organization_changes_nothing(actor, connection):
    run = start(actor)
    execute(run)
    foreign = CallRef(
        task=task_of(WorkflowRun(id=run.id, organization_id=start(actor).id), "a"),
        tries=0,
    )

    assert settle.settle(connection, foreign, ENDED) is False
    assert row(run).status == "waiting"
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(status="succeeded")
    settle.settle(connection, foreign, ENDED)
    assert row(run, "b").status == "pending"


def test_end_that_waited_for_a_cancel_changes_nothing(actor, connection, other):
    run = start(actor)
    execute(run)
    cancel = ("UPDATE task_executions SET hold = 2, status = 'cancelled' WHERE run_id = %s", (run.id,))

    with held_open(other, cancel) as meanwhile:
        settling = meanwhile(lambda: settle.settle(connection, call_of(run), ENDED))

    assert settling.result() is False
    assert row(run).status == "cancelled"


def test_end_that_waited_for_a_rerun_changes_nothing(actor, connection, other):
    run = start(actor)
    execute(run)
    again = ("UPDATE task_executions SET generation = 1, status = 'running' WHERE run_id = %s", (run.id,))

    with held_open(other, again) as meanwhile:
        settling = meanwhile(lambda: settle.settle(connection, call_of(run), ENDED))

    assert settling.result() is False
    assert row(run).status == "running"


def test_failure_of_a_call_under_a_cancel_is_the_cancellation(actor, connection):
    run = start(actor)
    take(connection, run, "a")
    connection.execute(*hold(run, 2))

    settle.settle(connection, call_of(run), FAILED)

    assert row(run).status == "cancelled"


def test_end_that_was_written_but_not_answered_still_queues_what_follows(actor, connection, sent, monkeypatch):
    run = start(actor)
    execute(run)
    version_of, asked = settle.cache.get_version, []

    def lose_connection_once(*arguments):
        asked.append(arguments)
        if len(asked) == 1:
            raise psycopg.OperationalError("the connection is lost")
        return version_of(*arguments)

    monkeypatch.setattr(settle.cache, "get_version", lose_connection_once)

    tasks.call_succeeded.run(
        "thumbnail", run_id=str(run.id), organization_id=str(run.organization_id), task=["a", None, 0], tries=0
    )

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}


def test_cancel_ends_what_waits_and_revokes_its_call(actor, revoked):
    run = start(actor)
    execute(run)

    runs.cancel_run(actor=actor, run_id=run.id)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)", "b": "cancelled"}
    assert (WorkflowRun.objects.get(id=run.id).status, row(run).wake_at) == ("cancelled", None)
    assert revoked == [call_of(run).celery_id]


def test_cancel_ends_although_the_call_cannot_be_revoked(actor, monkeypatch):
    run = start(actor)
    execute(run)

    def away(ids):
        raise ConnectionRefusedError

    monkeypatch.setattr(current_app.control, "revoke", away)
    monkeypatch.setattr(celery_calls.broker, "note_away", lambda: None)

    assert runs.cancel_run(actor=actor, run_id=run.id).status == "cancelled"


def test_call_that_was_made_during_a_cancel_is_revoked(actor, connection, revoked, monkeypatch):
    run = start(actor)
    begin = celery_calls.begin

    def cancel_meanwhile(*arguments, **options):
        begin(*arguments, **options)
        runs.cancel_run(actor=actor, run_id=run.id)

    monkeypatch.setattr(celery_calls, "begin", cancel_meanwhile)

    execute(run)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)", "b": "cancelled"}
    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"
    assert revoked == [call_of(run).celery_id]


def test_attempt_parks_under_a_pause(actor, connection):
    run = start(actor)
    claimed = take(connection, run, "a")
    connection.execute(*hold(run, 1))

    parked = finish.finish(connection, claimed, PARKED)

    assert (parked.status, parked.finished_at) == (TaskStatus.WAITING, None)


def test_redelivered_message_of_a_waiting_task_makes_no_call(actor, broker):
    run = start(actor)
    execute(run)

    execute(run)

    assert len(sent_calls(broker)) == 1
    assert row(run).attempt == 1


def test_attempt_that_lost_its_claim_does_not_park_what_another_runs(actor, connection):
    run = start(actor)
    claimed = take(connection, run, "a")
    lose_attempt(connection, run)
    take(connection, run, "a")

    assert finish.finish(connection, claimed, PARKED) is None
    assert row(run).status == "running"


@pytest.mark.parametrize(
    ("status", "result", "ends_as", "calls"),
    [
        ("SENT", None, "waiting", 1),
        ("STARTED", {"pid": 1}, "waiting", 0),
        ("RETRY", OSError("away"), "waiting", 0),
        ("SUCCESS", "thumbnail", "succeeded", 0),
        ("FAILURE", ValueError("no image"), "failed", 0),
    ],
)
def test_second_attempt_asks_what_became_of_the_first_ones_call(
    actor, connection, broker, status, result, ends_as, calls
):
    run = start(actor)
    take(connection, run, "a")
    record(run, status, result)
    lose_attempt(connection, run)

    execute(run)

    assert row(run).status == ends_as
    assert row(run).attempt == 2
    assert sent_calls(broker) == [call_of(run).celery_id] * calls


def test_call_never_overwrites_what_a_worker_says_of_an_earlier_one(actor, monkeypatch):
    run = start(actor)
    record(run, "SUCCESS", "thumbnail")

    with monkeypatch.context() as patched:
        # The worker stores its result right after the attempt has asked.
        patched.setattr(celery_calls, "read_state", lambda ref: None)
        execute(run)

    assert celery_calls.read_state(call_of(run))["status"] == "SUCCESS"


def test_attempt_outlasts_a_broker_that_is_away_for_a_moment(actor, broker, monkeypatch):
    run = start(actor)
    send, answers = current_app.send_task, iter([ConnectionResetError(), None])

    def recover(*arguments, **options):
        error = next(answers)
        if error is not None:
            raise error
        return send(*arguments, **options)

    monkeypatch.setattr(current_app, "send_task", recover)
    monkeypatch.setattr(celery_calls.broker, "AWAY_SECONDS", 0.01)
    monkeypatch.setattr(celery_calls, "RETRY_SECONDS", 0.02)

    execute(run)

    assert (row(run).status, row(run).attempt) == ("waiting", 1)
    assert sent_calls(broker) == [call_of(run).celery_id]


def test_queue_that_is_something_else_fails_its_task_and_nobody_elses(actor, broker):
    broker.set("something", "else")
    elsewhere = {"task": "team.resize", "queue": "something"}
    run, other = start_run(actor, {"a": {"uses": "celery", "with": elsewhere}}), start(actor)

    execute(run)
    execute(other)

    assert (row(run).status, row(run).error_code) == ("failed", "celery_queue_refused")
    assert row(other).status == "waiting"
    broker.delete("something")


@pytest.mark.parametrize("name", ["args", "kwargs"])
def test_arguments_no_worker_could_read_fail_the_task(actor, broker, name):
    strange = {"__type__": "strange", "__value__": 1}
    options = {"task": "team.resize", "queue": QUEUE, name: [strange] if name == "args" else {"size": strange}}
    run = start_run(actor, {"a": {"uses": "celery", "with": options}})

    execute(run)

    assert (row(run).status, row(run).error_code) == ("failed", "celery_arguments_refused")
    assert row(run).error_message.startswith(f"with.{name}: an object of nothing but __type__")
    assert sent_calls(broker) == []


def test_attempt_that_waits_for_a_broker_that_is_away_heeds_a_cancel(actor, broker, monkeypatch):
    run = start(actor)
    asked = []

    def refuse(*_, **__):
        if not asked:
            runs.cancel_run(actor=actor, run_id=run.id)
        asked.append("a call")
        raise ConnectionResetError

    monkeypatch.setattr(current_app, "send_task", refuse)
    monkeypatch.setattr(celery_calls.broker, "note_away", lambda: None)
    monkeypatch.setattr(celery_calls, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(execution, "CANCEL_CHECK_SECONDS", 0.05)

    execute(run)

    assert statuses(run.id) == {"a": "cancelled (unconfirmed)", "b": "cancelled"}
    assert WorkflowRun.objects.get(id=run.id).status == "cancelled"
    assert sent_calls(broker) == []


def test_call_the_broker_does_not_take_is_made_by_another_attempt(actor, connection, broker, monkeypatch):
    run = start(actor)
    monkeypatch.setattr(celery_calls, "PATIENCE_SECONDS", 0)

    def refuse(*_, **__):
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(current_app, "send_task", refuse)
        patched.setattr(celery_calls.broker, "note_away", lambda: None)
        with pytest.raises(Reject):
            tasks.execute.run(run_id=str(run.id), organization_id=str(run.organization_id), tasks=[["a", None, 0]])
    assert row(run).status == "running"
    lose_attempt(connection, run)
    execute(run)

    assert sent_calls(broker) == [call_of(run).celery_id]
    assert row(run).status == "waiting"


def test_second_delivery_while_the_call_is_made_starts_nothing(actor, connection, broker):
    run = start(actor)
    take(connection, run, "a")

    with pytest.raises(Ignore):
        execute(run)

    assert sent_calls(broker) == []


def test_task_no_worker_of_maestro_knows_is_told_at_once(actor):
    known = celery_tasks.list_airports.name
    run = start_run(actor, {"a": {"uses": "celery", "with": {"task": known.removesuffix("s")}}})

    execute(run)

    assert row(run).error_code == "celery_task_unknown"
    assert f"Did you mean {known}?" in row(run).error_message


def test_run_does_not_end_while_a_task_waits(actor, connection):
    run = start(actor)
    execute(run)

    assert finalise.finalise_run(connection, run.id) is False
    recovery.ReadySweep().recover(connection)
    assert statuses(run.id) == {"a": "waiting (celery)", "b": "pending"}
