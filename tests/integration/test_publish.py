"""Sending: how messages are dated and named, and a broker that does not answer."""

import datetime
import json
import socket
import time

import pytest
from celery import current_app, signals
from kombu import Connection

from executors.pools import queues
from maestro.core import sql
from tests.builders import start_run
from tests.integration.schedules import ref
from workflows.compiler.canvas import SEND_QUEUED
from workflows.definition.priority import Priority
from workflows.dispatch import advance, broker, lost_messages, publish
from workflows.dispatch.broker import BrokerAway
from workflows.models import TaskExecution

pytestmark = pytest.mark.alone

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def unread(broker):
    """A queue from which nobody takes, as the queue that this process sends to; returns the headers in it, of one
    priority.
    """
    name = f"unread-{time.monotonic_ns()}"
    usual = current_app.conf.task_default_queue
    current_app.conf.task_default_queue = name

    def read(priority=Priority.NORMAL):
        messages = broker.lrange(queues.key_of(name, priority.step), 0, -1)
        return [json.loads(message)["headers"] for message in messages]

    yield read
    current_app.conf.task_default_queue = usual
    broker.delete(*queues.keys_of(name))


@pytest.fixture
def hanging_broker(monkeypatch):
    """A broker that accepts connections and never answers; returns what was connected to so far."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        options = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}

        def connect():
            connections.append(Connection(url, transport_options=options, connect_timeout=0.2))
            return connections[-1]

        monkeypatch.setattr(current_app, "connection_for_read", connect)
        monkeypatch.setattr(broker, "AWAY_SECONDS", 600)
        yield connections
    broker._away_until[0] = 0.0


def test_message_is_dated_and_named_as_its_row(actor, unread):
    run = start_run(actor, {"a": "", "b": "a"})

    (sent,) = unread()

    queued_at = TaskExecution.objects.get(run_id=run.id, task_key="a").queued_at
    microseconds = (queued_at - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(
        microseconds=1
    )
    assert sent["queued_at"] == f"{queued_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert sent["id"] == f"{run.id}.a.0.{microseconds}"


def test_lost_messages_spell_the_id_as_the_canvas_does(actor, connection, unread):
    run = start_run(actor, {"a": ""})

    spelt = connection.execute(
        f"SELECT {lost_messages._MESSAGE_ID} FROM task_executions t WHERE run_id = %s", (run.id,)
    ).fetchone()[0]

    assert spelt == unread()[0]["id"]


def test_message_sent_again_has_an_id_of_its_own(actor, connection, unread, monkeypatch):
    """Celery discards every message with the id of a revoked one."""
    run = start_run(actor, {"a": ""})
    TaskExecution.objects.filter(run_id=run.id).update(queued_at=LONG_AGO)
    view = broker.QueueView(is_empty=True, head_queued_at=None)
    monkeypatch.setattr(lost_messages, "look_at_queue", lambda *_: view)

    lost_messages.resend_lost(connection)

    ids = [sent["id"] for sent in unread() if sent["id"].startswith(str(run.id))]
    assert len(set(ids)) == 2


def test_what_celery_sends_on_inside_a_canvas_is_dated_by_the_end_before_it(monkeypatch):
    monkeypatch.setattr(publish, "_last_end", [])
    inherited = {"queued_at": "2020-01-01T00:00:00.000000Z"}
    undated = {}

    publish.note_end(datetime.datetime(2021, 5, 6, tzinfo=datetime.UTC))
    for headers in (inherited, undated):
        signals.before_task_publish.send(sender="any", headers=headers)

    assert [headers["queued_at"] for headers in (inherited, undated)] == ["2021-05-06T00:00:00.000000Z"] * 2


def test_many_first_tasks_are_dated_when_they_are_sent(actor, connection, unread):
    run = start_run(actor, {f"t{number}": "" for number in range(publish.MAX_SENT_AT_START + 1)})
    (asks_to_send,) = unread()
    TaskExecution.objects.filter(run_id=run.id).update(queued_at=LONG_AGO)

    publish.publish_queued(connection, ref(run), advance.version_of_run(connection, run.id))

    assert asks_to_send["task"] == SEND_QUEUED
    dates = {row.task_key: row.queued_at for row in TaskExecution.objects.filter(run_id=run.id)}
    assert min(dates.values()).year > 2020
    sent = {headers["id"].split(".")[1]: headers["queued_at"] for headers in unread()[:-1]}
    assert sent == {key: f"{date:%Y-%m-%dT%H:%M:%S.%fZ}" for key, date in dates.items()}


def test_broker_that_hangs_is_asked_once_and_then_left_alone_for_a_while(hanging_broker):
    with pytest.raises(BrokerAway):
        broker.look_at_queue("maestro", 3)

    with pytest.raises(BrokerAway):
        broker.look_at_queue("maestro", 3)

    assert len(hanging_broker) == 1
    assert broker.is_away()


def test_one_failed_send_spares_the_others_the_wait(actor, monkeypatch):
    tried = []

    def fail(*arguments, **options):
        tried.append(arguments)
        raise OSError("planted")

    monkeypatch.setattr(publish.Signature, "apply_async", fail)
    monkeypatch.setattr(broker, "_away_until", [0.0])
    monkeypatch.setattr(broker, "AWAY_SECONDS", 600)

    run = start_run(actor, {"a": "", "b": "", "c": ""})

    assert len(tried) == 1
    assert set(TaskExecution.objects.filter(run_id=run.id).values_list("status", flat=True)) == {"queued"}
    assert sql.request_connection().info.transaction_status.name == "IDLE"


@pytest.mark.parametrize("priority", [0, 3, 6, 9])
def test_messages_of_a_priority_are_looked_for_where_they_are_put(broker, priority):
    name = f"any-{time.monotonic_ns()}"
    with current_app.connection_for_write() as connection:
        connection.default_channel.queue_declare(name)
        connection.Producer().publish({}, routing_key=name, priority=priority)

    found = [key for key in queues.keys_of(name) if broker.llen(key)]

    broker.delete(*queues.keys_of(name))
    assert found == [queues.key_of(name, priority)]


@pytest.mark.parametrize("priority", list(Priority))
def test_worker_that_sends_many_first_tasks_is_asked_in_the_queue_of_these(actor, unread, priority):
    tasks = {f"t{number}": "" for number in range(publish.MAX_SENT_AT_START + 1)}

    start_run(actor, tasks, priority=priority.value)

    assert [headers["task"] for headers in unread(priority)] == [SEND_QUEUED]


@pytest.mark.parametrize(
    "garbage", [b"no json", b"[]", b"{}", b'{"headers": null}', b'{"headers": {"queued_at": "x"}}']
)
def test_message_of_somebody_else_says_nothing_about_the_queue(garbage):
    dated = json.dumps({"headers": {"queued_at": "2020-01-01T00:00:00Z"}}).encode()

    assert queues.queued_at_of_head([dated, garbage]) == LONG_AGO
    assert queues.queued_at_of_head([garbage]) is None
