"""A Celery application that knows nothing of Maestro, as a team has it: `celery -A tests.integration.foreign_app`."""

import datetime
import os

from celery import Celery

app = Celery("foreign", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
app.conf.task_default_queue = "foreign"


@app.task(name="foreign.double", ignore_result=True)
def double(number, *, plus=0):
    """Return JSON."""
    return number * 2 + plus


@app.task(name="foreign.fail")
def fail(text):
    """Raise."""
    raise ValueError(text)


@app.task(name="foreign.today")
def today():
    """Return what is no JSON, though Celery can write it."""
    return datetime.date(2013, 2, 8)


@app.task(name="foreign.unwritable")
def unwritable():
    """Return what Celery cannot write."""
    return object()


@app.task(name="foreign.large")
def large():
    """Return more than a row keeps."""
    return "x" * (1024 * 1024)


@app.task(name="foreign.flaky", bind=True)
def flaky(self, path):
    """Fail at the first try."""
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return path


@app.task(name="foreign.exit")
def leave():
    """End the process that runs it."""
    os._exit(1)
