"""A worker that notes which messages it takes: `celery -A tests.integration.noting worker`."""

import functools
import json
import os

import redis
from celery import signals

from maestro.celery import app

__all__ = ["app"]

NOTES = "notes"


@functools.cache
def _broker():
    return redis.Redis.from_url(os.environ["BROKER_URL"])


@signals.task_prerun.connect
def note(task_id, task, **_):
    _broker().rpush(NOTES, json.dumps([task_id, task.request.delivery_info["priority"]]))
