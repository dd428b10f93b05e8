"""What the broker gets back when a worker's connection ends: all that was delivered and not acknowledged."""

from types import SimpleNamespace

from workflows.dispatch.stopped_worker import _unacknowledged


def test_broker_gets_back_what_was_delivered_and_not_acknowledged():
    delivered = {tag: SimpleNamespace(headers={"id": f"m{tag}"}) for tag in (1, 2, 3)}
    qos = SimpleNamespace(_delivered=delivered, _dirty={2})
    consumer = SimpleNamespace(task_consumer=SimpleNamespace(channel=SimpleNamespace(qos=qos)))

    assert _unacknowledged(consumer) == {"m1", "m3"}


def test_broker_gets_nothing_back_from_a_worker_that_has_lost_it():
    assert _unacknowledged(SimpleNamespace(task_consumer=None)) == frozenset()
