"""A drain looks at what others change meanwhile, and has a last means when something keeps a worker from ending."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace
from weakref import WeakSet

import pytest
from celery.worker import state

from executors.pools import drain


@pytest.fixture
def start_child():
    """Starts processes of a pool that do not end by themselves, and may ignore that they are told to."""
    context = multiprocessing.get_context("fork")
    started = []

    def sleep(ignores, is_ready):
        signal.signal(signal.SIGTERM, signal.SIG_IGN if ignores else signal.SIG_DFL)
        is_ready.set()
        time.sleep(600)

    def start(*, ignores=False):
        is_ready = context.Event()
        started.append(context.Process(target=sleep, args=(ignores, is_ready)))
        started[-1].start()
        assert is_ready.wait(30)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.fixture
def dead(start_child):
    """The id of a process that has ended, and whose pool knows."""
    process = start_child()
    process.kill()
    process.join()
    return process.pid


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


@pytest.fixture
def draining(monkeypatch):
    """A drain, and its worker, whose event loop answers at once; nothing is told to stop, nothing runs."""
    for name, value in {"should_stop": None, "should_terminate": None, "reserved_requests": WeakSet()}.items():
        monkeypatch.setattr(state, name, value)
    monkeypatch.setattr(drain, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(drain, "given_back", set())
    done = []

    def call(work, *given):
        done.append("called")
        work(*given)

    consumer = SimpleNamespace(
        task_consumer=SimpleNamespace(cancel=lambda: done.append("takes nothing")), connection_errors=(OSError,)
    )
    pool = SimpleNamespace(close=lambda: done.append("starts no process"), info={"processes": []})
    hub = SimpleNamespace(call_soon=call)
    return drain.DrainStep(SimpleNamespace(steps=[])), SimpleNamespace(consumer=consumer, hub=hub, pool=pool, done=done)


@pytest.fixture
def running():
    """A message that is being worked on; nobody else keeps it."""
    request = Request()
    request.id, request.worker_pid = "message", None
    return request


def test_idle_worker_is_told_to_stop_at_once(draining):
    step, worker = draining

    assert step._finishes_within(worker, 60)
    assert (state.should_stop, worker.done) == (os.EX_OK, ["called", "takes nothing"])


@pytest.mark.parametrize("should_stop", [None, os.EX_OK], ids=["told by a signal", "stopping already"])
def test_what_runs_is_waited_for_until_its_time_is_up(draining, running, should_stop):
    step, worker = draining
    state.should_stop = should_stop
    state.reserved_requests.add(running)

    assert not step._finishes_within(worker, 0.05)
    assert state.should_stop == should_stop


def test_second_signal_ends_the_wait(draining, running):
    step, worker = draining
    state.reserved_requests.add(running)
    step._asked.put(signal.SIGTERM)

    assert not step._finishes_within(worker, 1)
    assert worker.done == ["called", "takes nothing"], "no second look"


@pytest.mark.parametrize("is_idle", [True, False], ids=["idle", "busy"])
def test_worker_whose_event_loop_stands_still_is_told_to_stop_only_when_nothing_runs(
    draining, running, monkeypatch, is_idle
):
    monkeypatch.setattr(drain, "DEAF_SECONDS", 0)
    step, worker = draining
    worker.hub.call_soon = lambda *_: None
    if not is_idle:
        state.reserved_requests.add(running)

    assert step._finishes_within(worker, 60 if is_idle else 0.05) is is_idle


def refuse():
    raise ConnectionRefusedError


@pytest.mark.parametrize("consumer", [None, SimpleNamespace(cancel=refuse)], ids=["lost", "being lost"])
def test_broker_that_is_away_does_not_keep_a_worker_from_stopping(draining, consumer):
    step, worker = draining
    worker.consumer.task_consumer = consumer

    assert step._finishes_within(worker, 60)


@pytest.mark.parametrize(("sent", "seconds"), [(signal.SIGTERM, 7), (signal.SIGQUIT, 0)])
def test_quit_leaves_out_the_time_to_finish(draining, monkeypatch, settings, sent, seconds):
    settings.MAESTRO_DRAIN_SECONDS = 7
    given = []
    monkeypatch.setattr(drain, "_draining", threading.Event())
    monkeypatch.setattr(drain, "EXIT_SECONDS", 0)
    monkeypatch.setattr(drain, "end_by_force", lambda _: None)
    monkeypatch.setattr(os, "_exit", lambda _: None)
    step, worker = draining
    step._finishes_within = lambda _, seconds: given.append((seconds, drain.is_draining())) is None
    step._asked.put(sent)

    step._conduct(worker)

    assert given == [(seconds, True)]


def test_what_runs_is_marked_then_stopped_and_the_worker_ends_after_it(
    draining, running, start_child, dead, monkeypatch
):
    obedient, stubborn, idle = start_child(), start_child(ignores=True), start_child()
    sent = []
    send = drain._send

    def send_and_wait(pids, number):
        sent.append((number, sorted(pids), set(drain.given_back), list(worker.done), state.should_terminate))
        send(pids, number)
        while number == drain.TERM_SIGNAL and not drain._has_ended(obedient.pid):
            time.sleep(0.01)

    monkeypatch.setattr(drain, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(drain, "_send", send_and_wait)
    step, worker = draining
    worker.pool.info = {"processes": [obedient.pid, stubborn.pid, idle.pid, dead]}
    others = [Request(), Request()]
    for request, pid in zip([running, *others], [obedient.pid, stubborn.pid, dead], strict=True):
        request.id, request.worker_pid = "message", pid
        state.reserved_requests.add(request)

    step._give_back(worker)

    before = ({"message"}, ["called", "starts no process"], None)
    assert sent == [
        (drain.TERM_SIGNAL, sorted([obedient.pid, stubborn.pid, dead]), *before),
        (signal.SIGKILL, [stubborn.pid], *before),
    ]
    assert state.should_terminate
    # The pool has yet to learn of it.
    obedient.join(10)
    assert (obedient.exitcode, idle.is_alive()) == (-signal.SIGTERM, True)


def test_processes_are_dead_before_the_lease_ends_by_force(draining, running, start_child, dead):
    _, worker = draining
    child = start_child(ignores=True)
    state.reserved_requests.add(running)
    ends = []

    def end(restored):
        child.join(10)
        ends.append((child.exitcode, restored, set(drain.given_back)))

    worker.pool.info = {"processes": [dead, child.pid]}
    worker.lease = SimpleNamespace(end=end)

    drain.end_by_force(worker)

    assert ends == [(-signal.SIGKILL, (), {"message"})]
