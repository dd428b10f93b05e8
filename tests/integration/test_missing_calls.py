"""Calls whose worker died before its lease listed them: no queue has them, and no worker."""

import datetime

import pytest
from celery import current_app
from kombu.utils.uuid import uuid

from executors.pools import lease
from tests.builders import statuses
from tests.integration.calls import LONG_AGO, QUEUE, call_of, due, execute, record, row, sent_calls, start
from tests.patience import wait_until
from workflows.dispatch import celery_calls, missing_calls
from workflows.dispatch.call_watch import CallWatch
from workflows.dispatch.missing_calls import OpenCall
from workflows.models import TaskExecution

pytestmark = pytest.mark.usefixtures("sent", "empty_queue")


@pytest.fixture
def run(actor):
    """A run that waits for a call."""
    started = start(actor)
    execute(started)
    return started


@pytest.fixture
def dead_worker(connection, run, worker_row, monkeypatch):
    """A worker that took from the queue of the call and was given up after it was made, having listed nothing."""
    monkeypatch.setattr(missing_calls, "RELIST", datetime.timedelta(0))
    lost = "UPDATE executor_workers SET queues = %s, lost_at = clock_timestamp() WHERE id = %s"
    connection.execute(lost, ([QUEUE], worker_row))
    yield worker_row
    connection.execute(lost, ([], worker_row))


@pytest.fixture
def other_worker(connection):
    """Another worker, which renews its lease only when a test says so."""
    worker_id = lease.register_worker(connection, name="other", pid=1, concurrency=1, queues=[QUEUE])
    yield worker_id
    lease.end_lease(connection, worker_id=worker_id)


def taken(broker):
    """Somebody takes the message of the call."""
    assert broker.rpop(QUEUE) is not None


def looks_again(watch, connection, run):
    """Look until every worker that lives has listed what it holds."""

    def looks():
        due(run)
        watch.look_at_calls(connection)
        return row(run).status != "waiting"

    wait_until(looks)


def renew(connection, worker_id, *held):
    assert lease.renew_lease(connection, worker_id=worker_id, concurrency=1, list_held=lambda: held)


def test_call_a_dead_worker_took_but_never_listed_is_made_again(connection, broker, run, dead_worker, other_worker):
    taken(broker)
    TaskExecution.objects.filter(run_id=run.id).update(started_at=LONG_AGO)
    watch = CallWatch()
    due(run)
    watch.look_at_calls(connection)
    assert row(run).status == "waiting"
    assert row(run).wake_at < datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
    renew(connection, other_worker)

    looks_again(watch, connection, run)

    assert statuses(run.id)["a"] == "queued (call_lost)"
    execute(run)
    assert sent_calls(broker) == [call_of(run).celery_id]
    due(run)
    watch.look_at_calls(connection)
    assert statuses(run.id)["a"] == "waiting (celery)"


def dated(run, seconds):
    """A time so long after the call, as messages say it; None says nothing."""
    return seconds and (row(run).started_at + datetime.timedelta(seconds=seconds)).isoformat()


def looked_at_for_long(connection, run, worker_id, *held):
    """Look again and again, while every worker lists what it holds."""
    watch = CallWatch()
    for _ in range(4):
        due(run)
        watch.look_at_calls(connection)
        renew(connection, worker_id, *held)
        connection.execute("UPDATE executor_workers SET held_at = clock_timestamp() WHERE lost_at IS NULL")


def test_call_that_still_waits_in_its_queue_is_left(connection, run, dead_worker, other_worker):
    looked_at_for_long(connection, run, other_worker)

    assert row(run).status == "waiting"


def test_call_behind_whose_place_in_its_queue_is_something_younger_is_made_again(
    connection, broker, run, dead_worker, other_worker
):
    taken(broker)
    current_app.send_task("x", task_id=uuid(), queue=QUEUE, headers={"queued_at": dated(run, 30)})

    looked_at_for_long(connection, run, other_worker)

    assert row(run).status == "queued"


@pytest.mark.parametrize("seconds", [10, None])
def test_call_that_may_wait_behind_what_is_in_its_queue_is_left(
    connection, broker, run, dead_worker, other_worker, seconds
):
    taken(broker)
    current_app.send_task("x", task_id=uuid(), queue=QUEUE, headers={"queued_at": dated(run, seconds)})

    looked_at_for_long(connection, run, other_worker)

    assert row(run).status == "waiting"


def test_call_that_a_living_worker_lists_is_left(connection, broker, run, dead_worker, other_worker):
    taken(broker)
    renew(connection, other_worker, call_of(run).celery_id)

    looked_at_for_long(connection, run, other_worker, call_of(run).celery_id)

    assert row(run).status == "waiting"


def test_call_is_left_until_every_living_worker_has_listed_what_it_holds(
    connection, broker, run, dead_worker, other_worker
):
    taken(broker)
    watch = CallWatch()
    for _ in range(4):
        due(run)
        watch.look_at_calls(connection)
        connection.execute(
            "UPDATE executor_workers SET held_at = clock_timestamp() WHERE lost_at IS NULL AND id <> %s",
            (other_worker,),
        )

    assert row(run).status == "waiting"


@pytest.mark.parametrize("change", ["queues = '{elsewhere}'", "lost_at = '2020-01-01'"])
def test_call_that_no_lost_worker_can_have_taken_is_left(connection, broker, run, dead_worker, other_worker, change):
    """It is with a worker of somebody else's, whose lease nobody knows."""
    taken(broker)
    connection.execute(f"UPDATE executor_workers SET {change} WHERE id = %s", (dead_worker,))

    looked_at_for_long(connection, run, other_worker)

    assert row(run).status == "waiting"


@pytest.mark.parametrize(("worker", "status"), [("test", "queued"), ("theirs", "waiting")])
def test_call_that_a_lost_worker_said_it_had_begun_is_made_again(
    connection, run, dead_worker, other_worker, worker, status
):
    record(run, "STARTED", {"pid": 1, "hostname": worker})

    looked_at_for_long(connection, run, other_worker)

    assert row(run).status == status


def test_call_that_is_tried_again_is_left(connection, broker, run, dead_worker, other_worker, monkeypatch):
    """Its message has another place in the queue than its date says."""
    taken(broker)
    retrying = {"status": "RETRY", "result": None, "queue": QUEUE}  # as a worker with `result_extended` says it
    monkeypatch.setattr(celery_calls, "read_state", lambda ref: retrying)

    looked_at_for_long(connection, run, other_worker)

    assert row(run).status == "waiting"


def test_call_of_a_worker_that_was_just_given_up_is_not_missed_yet(
    connection, broker, run, dead_worker, other_worker, monkeypatch
):
    """If it lives, it says under its next lease what it holds."""
    monkeypatch.setattr(missing_calls, "RELIST", datetime.timedelta(minutes=1))
    taken(broker)
    TaskExecution.objects.filter(run_id=run.id).update(started_at=LONG_AGO)
    due(run)

    CallWatch().look_at_calls(connection)

    assert row(run).wake_at > datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=4)


def test_call_that_ends_while_it_is_missed_ends_its_task(
    connection, broker, run, dead_worker, other_worker, monkeypatch
):
    taken(broker)

    def ended_meanwhile(self, connection, calls):
        record(run, "SUCCESS", "thumbnail")
        return {call.celery_id for call in calls}

    monkeypatch.setattr(missing_calls.MissingCalls, "find", ended_meanwhile)
    due(run)

    CallWatch().look_at_calls(connection)

    assert row(run).output == "thumbnail"


def test_call_made_again_is_not_taken_for_the_one_missed_before(connection, broker, run, dead_worker, other_worker):
    """Both have the same id."""
    taken(broker)
    watch = CallWatch()
    due(run)
    watch.look_at_calls(connection)
    connection.execute("UPDATE task_executions SET started_at = clock_timestamp() WHERE run_id = %s", (run.id,))
    connection.execute("UPDATE executor_workers SET lost_at = clock_timestamp() WHERE id = %s", (dead_worker,))
    connection.execute("UPDATE executor_workers SET held_at = clock_timestamp() WHERE lost_at IS NULL")
    due(run)

    watch.look_at_calls(connection)

    assert row(run).status == "waiting"


def test_only_the_last_of_many_missed_calls_are_remembered(actor, connection, broker, run, dead_worker, monkeypatch):
    """What ends meanwhile is never looked at again."""
    monkeypatch.setattr(missing_calls, "MOST_REMEMBERED", 1)
    another = start(actor)
    execute(another)
    broker.delete(QUEUE)
    connection.execute("UPDATE executor_workers SET lost_at = clock_timestamp() WHERE id = %s", (dead_worker,))
    missing = missing_calls.MissingCalls()

    for each in (run, another):
        state = celery_calls.read_state(call_of(each))
        since = row(each).started_at
        call = OpenCall(celery_id=call_of(each).celery_id, task_id=row(each).id, since=since, state=state)
        assert missing.find(connection, [call]) == set()

    assert list(missing._missed_at) == [call_of(another).celery_id]
