"""Celery tasks of somebody's that run long, and again."""

import time

from celery import shared_task


@shared_task(name="skewed.wait")
def wait(seconds):
    """Take longer than the first look at a call; return what the worker takes for the time."""
    time.sleep(seconds)
    return time.time()


@shared_task(name="skewed.again", bind=True)
def again(self):
    """Fail at the first try."""
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return "again"
