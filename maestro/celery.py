"""The Celery application. Its options are Django settings: `maestro/settings/components/tasks.py`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import kombu
from celery import Celery
from celery.app.amqp import AMQP
from celery.app.task import Task

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maestro.settings")


# Longest pause between two tries to connect to a broker that is away. Celery's grows to 30 seconds, for which a worker
# would do nothing although the broker is back.
LONGEST_PAUSE_SECONDS = 2.0


class PromptConnection(kombu.Connection):
    """A connection to the broker that is soon there again when the broker is."""

    def _ensure_connection(
        self,
        errback: Callable[..., object] | None = None,
        max_retries: int | None = None,
        interval_start: float = 2,
        interval_step: float = 2,
        interval_max: float = 30,
        **options: Any,
    ) -> Any:
        pause = min(interval_max, LONGEST_PAUSE_SECONDS)
        return super()._ensure_connection(
            errback, max_retries, min(interval_start, pause), interval_step, pause, **options
        )


class NamedMessages(AMQP):
    """Messages whose `task-sent` event has the name for people (`shadow`), as all later events of a task have."""

    Connection = PromptConnection

    def as_task_v2(self, *args: Any, **kwargs: Any) -> Any:
        """Make the message of a task."""
        message = super().as_task_v2(*args, **kwargs)
        if message.sent_event and message.headers.get("shadow"):
            message.sent_event["name"] = message.headers["shadow"]
        return message


app = Celery("maestro", amqp=NamedMessages)
app.set_default()
# Read when first needed: settings import this module, so that every process that has settings has this application.
app.config_from_object("maestro.celery_options:OPTIONS")
# For every task, also one with a base class of its own, that does not say another.
Task.Request = "workflows.dispatch.hushed_calls:CallRequest"
app.autodiscover_tasks(["workflows.dispatch"])
app.steps["worker"].update(
    {
        "executors.pools.bootsteps:LeaseStep",
        "executors.pools.bootsteps:ProcessWatchStep",
        "executors.pools.consumer_watch:ConsumerWatchStep",
        "executors.pools.drain:DrainStep",
        "workflows.dispatch.time_limit_step:TimeLimitStep",
    }
)
app.steps["consumer"].update(
    {
        "executors.pools.autoscaling:PrefetchStep",
        "executors.pools.consumer_watch:CanaryStep",
        "workflows.dispatch.stopped_worker:GiveBackStep",
    }
)
