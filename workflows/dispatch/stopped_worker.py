"""A worker was told to stop: what it could not finish is given back before the broker gets its messages back (rule 16
of the engine protocol).

In this order, because a message that finds its row still running does nothing.
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from workflows.dispatch import leases


class GiveBackStep(bootsteps.StartStopStep):
    """Ends the worker's lease between the end of its processes and that of its connection to the broker."""

    requires = {"celery.worker.consumer.tasks:Tasks"}

    def __init__(self, consumer: Any, **_: Any) -> None:
        consumer.controller.lease.give_back = leases.give_back
        super().__init__(consumer)

    def shutdown(self, consumer: Any) -> None:
        """End the lease; Celery shuts down the consumer after the pool, and the step this one requires after it."""
        consumer.controller.lease.end(_unacknowledged(consumer))


def _unacknowledged(consumer: Any) -> frozenset[str]:
    """Return the ids of the messages that the broker gets back when the consumer's channel is closed."""
    if consumer.task_consumer is None:
        return frozenset()
    qos = consumer.task_consumer.channel.qos
    delivered = dict(qos._delivered)  # noqa: SLF001 - kombu says it nowhere else
    return frozenset(
        message.headers.get("id", "")
        for tag, message in delivered.items()
        if tag not in qos._dirty  # noqa: SLF001
    )
