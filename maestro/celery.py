"""The Celery application. Its options are Django settings: `maestro/settings/components/tasks.py`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.app.task import Task

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "maestro.settings")


class NamedMessages(AMQP):
    """Messages whose `task-sent` event has the name for people (`shadow`), as all later events of a task have."""

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
        "executors.pools.drain:DrainStep",
    }
)
app.steps["consumer"].update(
    {"executors.pools.autoscaling:PrefetchStep", "workflows.dispatch.stopped_worker:GiveBackStep"}
)
