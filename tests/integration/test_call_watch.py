"""Looks at calls: ends that nobody told, and calls that the broker or their worker lost."""

import threading
from collections import Counter

import pytest
from celery import current_app

from executors.pools import lease
from tests.builders import start_run, statuses
from tests.integration.calls import (
    CALL,
    ENDED,
    LONG_AGO,
    QUEUE,
    call_of,
    due,
    execute,
    key_of,
    record,
    row,
    sent_calls,
    start,
)
from tests.integration.schedules import connect, hold, task_of
from workflows.dispatch import celery_calls, settle
from workflows.dispatch.broker import BrokerAway
from workflows.dispatch.call_watch import CallWatch
from workflows.dispatch.messages import CallRef
from workflows.models import TaskAttempt, TaskExecution, WorkflowRun

pytestmark = pytest.mark.usefixtures("sent", "empty_queue")


@pytest.mark.parametrize(
    ("status", "result", "ends_as", "message"),
    [
        ("SUCCESS", "thumbnail", "succeeded", ""),
        ("FAILURE", ValueError("no image"), "failed", "ValueError: no image"),
        ("REVOKED", ValueError("x"), "failed", "Somebody revoked the Celery task, or it expired."),
    ],
)
def test_end_nobody_told_is_found(actor, connection, status, result, ends_as, message):
    run = start(actor)
    execute(run)
    record(run, status, result)
    due(run)

    assert CallWatch().look_at_calls(connection) >= 1

    assert (row(run).status, row(run).error_message) == (ends_as, message)


@pytest.mark.parametrize("status", ["SENT", "STARTED", "RETRY", "PROGRESS"])
def test_call_that_has_not_ended_is_looked_at_later_and_later(actor, connection, status):
    run = start(actor)
    execute(run)
    record(run, status)
    intervals = []
    for age in ("1 second", "1 minute", "1 day"):
        due(run)
        connection.execute(
            "UPDATE task_executions SET started_at = clock_timestamp() - %s::interval WHERE run_id = %s", (age, run.id)
        )
        CallWatch().look_at_calls(connection)
        left = connection.execute(
            "SELECT wake_at - clock_timestamp() FROM task_executions WHERE run_id = %s AND task_key = 'a'", (run.id,)
        ).fetchone()[0]
        intervals.append(round(left.total_seconds()))

    assert intervals == [5, 30, 300]
    assert row(run).status == "waiting"


def test_look_keeps_the_record_from_expiring(actor, connection, broker):
    run = start(actor)
    execute(run)
    broker.expire(key_of(run), 60)
    due(run)

    CallWatch().look_at_calls(connection)

    assert broker.ttl(key_of(run)) > 3600


def test_call_the_broker_lost_is_made_again(actor, connection, broker, sent):
    run = start(actor)
    execute(run)
    broker.delete(QUEUE, key_of(run))
    due(run)

    CallWatch().look_at_calls(connection)

    assert statuses(run.id)["a"] == "queued (call_lost)"
    assert sent[-1] == "a"
    assert TaskAttempt.objects.get(task_execution=row(run)).error_code == "call_lost"
    execute(run)
    assert statuses(run.id)["a"] == "waiting (celery)"
    assert sent_calls(broker) == [call_of(run).celery_id]


def test_call_another_beat_made_again_meanwhile_is_not_taken_back(actor, connection, broker, monkeypatch):
    run = start(actor)
    execute(run)
    due(run)

    def made_again_meanwhile(ref):
        TaskExecution.objects.filter(run_id=run.id, task_key="a").update(attempt=2)

    monkeypatch.setattr(celery_calls, "read_state", made_again_meanwhile)

    CallWatch().look_at_calls(connection)

    assert row(run).status == "waiting"


def test_call_whose_end_is_told_during_the_look_is_not_taken_back(actor, connection, monkeypatch):
    run = start(actor)
    execute(run)
    due(run)
    monkeypatch.setattr(celery_calls, "read_state", lambda ref: settle.settle(connection, ref, ENDED) and None)

    CallWatch().look_at_calls(connection)

    assert row(run).status == "succeeded"


def test_call_that_is_lost_again_and_again_fails_its_task(actor, connection, broker):
    run = start(actor)
    for _ in range(3):
        execute(run)
        broker.delete(key_of(run))
        due(run)
        CallWatch().look_at_calls(connection)

    assert (row(run).status, row(run).reason, row(run).error_code) == ("failed", "quarantined", "call_lost")
    assert row(run).error_message.startswith(
        "The broker or a worker lost the call of this task, which has lost 3 attempts now and is quarantined"
    )
    assert WorkflowRun.objects.get(id=run.id).status == "failed"


def test_call_of_a_task_that_must_not_run_twice_is_not_made_again(actor, connection, broker):
    run = start_run(actor, {"a": CALL | {"on_worker_lost": "fail"}, "b": "a"})
    execute(run)
    broker.delete(QUEUE, key_of(run))
    due(run)

    CallWatch().look_at_calls(connection)

    assert (row(run).status, row(run).reason, row(run).error_code) == ("failed", "call_lost", "call_lost")
    assert row(run).error_message == (
        'The broker or a worker lost the call of this task, which is not run again: its on_worker_lost is "fail".'
    )
    assert WorkflowRun.objects.get(id=run.id).status == "failed"


def test_lost_call_of_a_paused_run_is_left_until_it_goes_on(actor, connection, broker):
    run = start(actor)
    execute(run)
    connection.execute(*hold(run, 1))
    broker.delete(key_of(run))
    due(run)

    CallWatch().look_at_calls(connection)

    assert row(run).status == "waiting"


def give_up(connection, run, worker_id, *, ago="1 minute"):
    """The worker that held the run's call was given up, after the call was made."""
    connection.execute(
        "UPDATE executor_workers SET held = %s, lost_at = clock_timestamp() - %s::interval WHERE id = %s",
        (["x", call_of(run).celery_id], ago, worker_id),
    )
    TaskExecution.objects.filter(run_id=run.id).update(started_at=LONG_AGO)


@pytest.mark.parametrize("status", ["SENT", "STARTED", "RETRY"])
def test_call_that_died_with_its_worker_is_made_again(actor, connection, broker, worker_row, status):
    run = start(actor)
    execute(run)
    record(run, status)
    give_up(connection, run, worker_row)
    due(run)

    CallWatch().look_at_calls(connection)

    assert statuses(run.id)["a"] == "queued (call_lost)"
    broker.delete(QUEUE)
    execute(run)
    assert sent_calls(broker) == [call_of(run).celery_id]
    due(run)
    CallWatch().look_at_calls(connection)
    assert statuses(run.id)["a"] == "waiting (celery)"


def test_call_that_ended_before_its_worker_died_is_not_made_again(actor, connection, worker_row):
    run = start(actor)
    execute(run)
    record(run, "SUCCESS", "thumbnail")
    give_up(connection, run, worker_row)
    due(run)

    CallWatch().look_at_calls(connection)

    assert row(run).output == "thumbnail"


def test_call_that_another_worker_holds_is_not_made_again(actor, connection, worker_row):
    run = start(actor)
    execute(run)
    give_up(connection, run, worker_row)
    alive = lease.register_worker(connection, name="alive", pid=1, concurrency=1, queues=["maestro"])
    lease.renew_lease(connection, worker_id=alive, concurrency=1, list_held=lambda: [call_of(run).celery_id])
    due(run)

    CallWatch().look_at_calls(connection)
    lease.end_lease(connection, worker_id=alive)

    assert row(run).status == "waiting"


def test_call_that_a_stopped_worker_has_given_back_is_not_made_again(actor, connection, worker_row):
    run = start(actor)
    execute(run)
    lease.renew_lease(connection, worker_id=worker_row, concurrency=1, list_held=lambda: [call_of(run).celery_id])
    lease.end_lease(connection, worker_id=worker_row)
    connection.execute(
        "UPDATE executor_workers SET lost_at = lost_at - interval '1 minute' WHERE id = %s", (worker_row,)
    )
    TaskExecution.objects.filter(run_id=run.id).update(started_at=LONG_AGO)
    due(run)

    CallWatch().look_at_calls(connection)

    assert row(run).status == "waiting"


def test_worker_that_was_just_given_up_may_still_hold_its_call(actor, connection, worker_row):
    run = start(actor)
    execute(run)
    give_up(connection, run, worker_row, ago="1 second")
    due(run)

    CallWatch().look_at_calls(connection)

    assert row(run).status == "waiting"


def test_message_a_dead_worker_took_is_not_delivered_again(actor, broker):
    run = start(actor)
    execute(run)
    with current_app.connection_for_read() as dying:
        message = dying.SimpleQueue(QUEUE).get(timeout=5)
        assert message.headers["id"] == call_of(run).celery_id
        assert broker.hlen("unacked") >= 1

        celery_calls.forget(call_of(run))

        assert broker.hget("unacked", message.delivery_tag) is None
        assert broker.zscore("unacked_index", message.delivery_tag) is None


def test_record_nobody_can_read_says_nothing(actor, connection, broker):
    run = start(actor)
    execute(run)
    broker.set(key_of(run), b"\x80\x04pickle")
    due(run)

    CallWatch().look_at_calls(connection)

    assert row(run).status == "waiting"


def test_result_that_looks_like_a_type_of_celerys_is_found(actor, connection):
    """No worker can read the message by which it is told."""
    run = start(actor)
    execute(run)
    strange = {"__type__": "strange", "__value__": 1}
    record(run, "SUCCESS", strange)
    due(run)

    CallWatch().look_at_calls(connection)

    assert (row(run).status, row(run).output) == ("succeeded", strange)


def test_nothing_is_concluded_while_the_broker_is_away(actor, connection, monkeypatch):
    run = start(actor)
    execute(run)
    due(run)

    def away(ref):
        raise BrokerAway("planted")

    monkeypatch.setattr(celery_calls, "read_state", away)

    assert CallWatch().look_at_calls(connection) == 0
    assert row(run).status == "waiting"


def test_two_beats_at_once_ask_for_each_call_once(actor, monkeypatch):
    run = start_run(actor, {f"a{number}": CALL for number in range(20)})
    for number in range(20):
        execute(run, f"a{number}")
    due(run)
    asked, together = [], threading.Barrier(2)
    monkeypatch.setattr(celery_calls, "read_state", lambda ref: asked.append(ref.celery_id) or {"status": "SENT"})

    def beat():
        with connect() as own:
            together.wait()
            CallWatch().look_at_calls(own)

    beats = [threading.Thread(target=beat) for _ in range(2)]
    for one in beats:
        one.start()
    for one in beats:
        one.join()

    own = {CallRef(task=task_of(run, f"a{number}"), tries=0).celery_id for number in range(20)}
    assert Counter(celery_id for celery_id in asked if celery_id in own) == dict.fromkeys(own, 1)
