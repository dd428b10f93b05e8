"""A drain looks at what others change meanwhile, and has a last means when something keeps a worker from ending."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from celery.worker import state

from executors.pools import drain


@pytest.fixture
def child():
    """A process of a pool that does not end by itself."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    process.start()
    yield process
    process.kill()
    process.join()


class Request:
    """A message that was taken; only such objects can be held weakly."""


@pytest.fixture
def busy_loop():
    """A thread that takes and ends messages without a pause, as the event loop of a busy worker does."""
    is_over = threading.Event()
    kept, requests = [[Request() for _ in range(50)] for _ in range(2)]
    state.reserved_requests.update(kept)

    def take_and_end():
        while not is_over.is_set():
            state.reserved_requests.update(requests)
            for request in requests:
                state.reserved_requests.discard(request)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    loop = threading.Thread(target=take_and_end)
    loop.start()
    yield kept
    is_over.set()
    loop.join()
    sys.setswitchinterval(interval)


def test_what_a_busy_worker_holds_can_be_listed(busy_loop):
    assert all(set(busy_loop) <= set(drain.held_requests()) for _ in range(2000))


def test_worker_ends_although_its_drain_fails(monkeypatch):
    codes = []
    ended = threading.Event()
    monkeypatch.setattr(drain, "EXIT_SECONDS", 0)
    monkeypatch.setattr(os, "_exit", lambda code: (codes.append(code), ended.set()))
    step = drain.DrainStep(SimpleNamespace(steps=[]))
    # No hub: the first thing that the drain needs of it fails.
    worker = SimpleNamespace(lease=SimpleNamespace(end=lambda restored: None))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)}
    try:
        step.start(worker)
        os.kill(os.getpid(), signal.SIGTERM)
        assert ended.wait(10)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        drain._draining.clear()

    assert codes == [os.EX_UNAVAILABLE]


def test_processes_are_dead_before_the_lease_ends(child):
    ends = []

    def end(restored):
        child.join(10)
        ends.append((child.exitcode, restored))

    pool = SimpleNamespace(info={"processes": [child.pid]})
    drain.end_by_force(SimpleNamespace(pool=pool, lease=SimpleNamespace(end=end)))

    assert ends == [(-9, ())]
