"""The yardstick: the same graphs as plain Celery canvas, no-op tasks, same worker settings, nothing kept anywhere."""

import os
import time

import redis
from celery import Celery, chain, chord, group

URL = os.environ["BROKER_URL"]
app = Celery("raw", broker=URL, backend=URL, set_as_current=False)
app.conf.update(
    accept_content=["json"],
    broker_transport_options={"visibility_timeout": 24 * 3600},
    task_acks_late=True,
    task_default_queue="raw",
    task_ignore_result=True,
    task_reject_on_worker_lost=True,
    task_send_sent_event=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
)
server = redis.Redis.from_url(URL)
ENDED, STARTED = "raw:ended", "raw:started"


@app.task
def noop():
    """Do nothing."""


@app.task
def end():
    """Count an ended graph."""
    server.incr(ENDED)


@app.task
def stamp():
    """Say when a task body began."""
    server.set(STARTED, repr(time.time()))


def diamond():
    """Build 1 → 8 → 1."""
    return chain(noop.si(), group(noop.si() for _ in range(8)), end.si(), app=app)


def fan(width):
    """Build 1 → width → 1; the header is sent by the finished source, as an application would."""
    return chord([noop.si() for _ in range(width)], end.si())


def row(length):
    """Build a chain."""
    return chain(*(noop.si() for _ in range(length - 1)), end.si())
