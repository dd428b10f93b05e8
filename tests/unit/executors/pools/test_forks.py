"""Forks of a worker's parent, and the threads that are at work in it."""

import contextlib
import os
import threading
import time
from types import SimpleNamespace

import pytest

from executors.pools import bootsteps, consumer_watch
from executors.pools import forks as module
from executors.pools.forks import Forks, forks
from workflows.dispatch import lost_process, time_limit_step

SOON = 0.2
PATIENCE_SECONDS = 30


@contextlib.contextmanager
def in_thread(work):
    """Run something in a thread; its event says that it has ended."""
    ended = threading.Event()

    def run():
        work()
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    yield ended
    thread.join(PATIENCE_SECONDS)
    assert ended.is_set()


def fork_once(own):
    own.before_fork()
    own.after_fork_in_parent()


def test_fork_waits_for_a_thread_at_work(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", PATIENCE_SECONDS)
    own = Forks()
    with contextlib.ExitStack() as forking:
        with own.held_off():
            has_forked = forking.enter_context(in_thread(lambda: fork_once(own)))
            assert not has_forked.wait(SOON)
        assert has_forked.wait(PATIENCE_SECONDS)


def test_no_thread_begins_to_work_before_a_fork_that_waits(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", PATIENCE_SECONDS)
    own = Forks()
    order = []

    def fork():
        fork_once(own)
        order.append("forked")

    def work():
        with own.held_off():
            order.append("worked")

    with contextlib.ExitStack() as threads:
        with own.held_off():
            threads.enter_context(in_thread(fork))
            while not own._is_awaited:
                time.sleep(0.01)
            has_worked = threads.enter_context(in_thread(work))
            assert not has_worked.wait(SOON)
        assert has_worked.wait(PATIENCE_SECONDS)
    assert order[0] == "forked"


def test_fork_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.1)
    own = Forks()
    with own.held_off(), in_thread(lambda: fork_once(own)) as has_forked:
        assert has_forked.wait(PATIENCE_SECONDS)
    with own.held_off():
        pass


@pytest.mark.parametrize("times", range(3))
def test_lock_that_a_thread_at_work_holds_is_free_in_the_new_process(times):
    lock, is_held = threading.Lock(), threading.Event()

    def work():
        with forks.held_off(), lock:
            is_held.set()
            time.sleep(SOON)

    with in_thread(work):
        assert is_held.wait(PATIENCE_SECONDS)
        pid = os.fork()
        if pid == 0:
            with forks.held_off():
                os._exit(0 if lock.acquire(timeout=1) else 1)
        _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0


class Once:
    """A stop that comes after one look."""

    def __init__(self):
        self._answers = iter((False, True))

    def wait(self, _):
        return next(self._answers)


def renew_lease(monkeypatch, note):
    step = object.__new__(bootsteps.LeaseStep)
    step._stopped, step._renew = Once(), lambda _: note()
    step._run(None)


def look_for_messages(monkeypatch, note):
    monkeypatch.setattr(consumer_watch, "_Looker", lambda _: SimpleNamespace(look=note))
    step = object.__new__(consumer_watch.ConsumerWatchStep)
    step._stopped = Once()
    step._run(None)


def look_at_time_limits(monkeypatch, note):
    monkeypatch.setattr(time_limit_step, "get_incarnation", lambda: "w")
    monkeypatch.setattr(time_limit_step, "state", SimpleNamespace(active_requests={1}))
    step = object.__new__(time_limit_step.TimeLimitStep)
    step._stopped, step._look = Once(), lambda _: note()
    step._run()


def take_back_attempt(monkeypatch, note):
    monkeypatch.setattr(lost_process, "get_incarnation", lambda: "w")
    monkeypatch.setattr(lost_process.sql, "engine_connection", lambda: None)
    monkeypatch.setattr(lost_process.leases, "take_back_of_process", lambda *_, **__: note())
    lost_process._ask("run", "message", "cause")


@pytest.mark.parametrize("work", [renew_lease, look_for_messages, look_at_time_limits, take_back_attempt])
def test_thread_of_the_parent_holds_off_forks_while_it_works(monkeypatch, work):
    seen = []

    work(monkeypatch, lambda: seen.append(forks._at_work))

    assert (seen, forks._at_work) == ([1], 0)
