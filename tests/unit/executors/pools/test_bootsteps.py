"""Workers that could not stop what they run do not start."""

from types import SimpleNamespace

import pytest
from celery.concurrency import prefork, solo, thread
from celery.exceptions import ImproperlyConfigured

from executors.pools.bootsteps import ProcessWatchStep


@pytest.mark.parametrize("pool", [solo.TaskPool, thread.TaskPool])
def test_worker_without_processes_for_its_tasks_is_refused(pool):
    with pytest.raises(ImproperlyConfigured, match="--pool prefork"):
        ProcessWatchStep(SimpleNamespace(pool_cls=pool, steps=[]))


def test_worker_with_processes_for_its_tasks_is_accepted():
    ProcessWatchStep(SimpleNamespace(pool_cls=prefork.TaskPool, steps=[]))
