"""The lease of a worker ends once, and last; without processes for its tasks a worker does not start."""

import threading
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest
from celery.concurrency import prefork, solo, thread
from celery.exceptions import ImproperlyConfigured

from executors.pools import bootsteps, drain
from executors.pools.bootsteps import LeaseStep, ProcessWatchStep


@pytest.mark.parametrize("pool", [solo.TaskPool, thread.TaskPool])
def test_worker_without_processes_for_its_tasks_is_refused(pool):
    with pytest.raises(ImproperlyConfigured, match="--pool prefork"):
        ProcessWatchStep(SimpleNamespace(pool_cls=pool, steps=[]))


def test_worker_with_processes_for_its_tasks_is_accepted():
    ProcessWatchStep(SimpleNamespace(pool_cls=prefork.TaskPool, steps=[]))


@pytest.fixture
def ends(monkeypatch):
    """What the end of a lease does, in order."""
    done = []
    monkeypatch.setattr(bootsteps.sql, "engine_connection", lambda: None)
    monkeypatch.setattr(bootsteps.lease, "end_lease", lambda _, *, worker_id: done.append(("ended", worker_id)))
    return done


@pytest.fixture
def step(ends):
    """The lease of a worker that gives back what it runs."""
    step = LeaseStep(SimpleNamespace(steps=[]))
    step._worker_id = uuid4()
    step.give_back = lambda _, *, worker_id, restored: ends.append(("gave back", worker_id, restored))
    return step


def test_lease_ends_once_after_what_was_run_is_given_back(step, ends):
    """A worker that does not end by itself ends its lease while that is being ended."""
    step.end({"m"})
    step.end(())

    assert ends == [("gave back", step._worker_id, {"m"}), ("ended", step._worker_id)]


def test_lease_of_a_worker_that_was_given_up_ends_as_the_one_it_takes_meanwhile(step, ends):
    renewed = uuid4()

    def take_another():
        step._stopped.wait(10)
        step._worker_id = renewed

    step._thread = threading.Thread(target=take_another, daemon=True)
    step._thread.start()

    step.end(())

    assert ends == [("gave back", renewed, ()), ("ended", renewed)]


def test_lease_is_left_to_expire_when_nothing_could_be_given_back(step, ends):
    def be_away(*_, **__):
        raise psycopg.OperationalError("away")

    step.give_back = be_away

    step.end(())

    assert ends == []


def test_worker_that_has_no_lease_yet_ends_none(step, ends):
    step._worker_id = None

    step.end(())

    assert ends == []


def test_worker_holds_what_it_gives_back_until_its_lease_ends(monkeypatch):
    monkeypatch.setattr(drain, "given_back", {"given back"})
    monkeypatch.setattr(drain, "held_requests", lambda: [SimpleNamespace(id="held")])

    assert set(bootsteps._held_messages()) == {"held", "given back"}
