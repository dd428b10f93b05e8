"""When a worker's process without an attempt is stuck."""

from types import SimpleNamespace

import pytest

from workflows.dispatch import stuck_process
from workflows.dispatch.lost_process import EngineRequest
from workflows.dispatch.stuck_process import LOOK_SECONDS, LOOKS, StuckProcesses

AFTER = LOOK_SECONDS + 1


def request(message_id="m", pid=7):
    """A message of the engine that a process works on."""
    kind = type("Taken", (EngineRequest,), {"id": message_id, "worker_pid": pid})
    return kind.__new__(kind)


@pytest.fixture
def worker(monkeypatch):
    """What a worker holds, which of it has no attempt, the time, and which processes were killed."""
    made = SimpleNamespace(held=[request()], without={"m"}, now=0.0, killed=[])
    monkeypatch.setattr(stuck_process.drain, "held_requests", lambda: made.held)
    monkeypatch.setattr(stuck_process, "_find_without_attempt", lambda _, held: made.without & {r.id for r in held})
    monkeypatch.setattr(stuck_process.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(stuck_process, "_kill", made.killed.append)
    return made


def look(worker, stuck, times):
    for _ in range(times):
        worker.now += AFTER
        stuck.end(None)


def test_process_is_killed_after_many_looks_without_an_attempt(worker):
    stuck = StuckProcesses()
    look(worker, stuck, LOOKS - 1)
    assert worker.killed == []

    look(worker, stuck, 1)

    assert worker.killed == [7]


def test_process_with_an_attempt_in_between_is_counted_anew(worker):
    stuck = StuckProcesses()
    look(worker, stuck, LOOKS - 1)
    worker.without = set()
    look(worker, stuck, 1)
    worker.without = {"m"}

    look(worker, stuck, LOOKS - 1)

    assert worker.killed == []


def test_another_process_with_the_same_message_is_counted_anew(worker):
    stuck = StuckProcesses()
    look(worker, stuck, LOOKS - 1)
    worker.held = [request(pid=8)]

    look(worker, stuck, LOOKS - 1)

    assert worker.killed == []


@pytest.mark.parametrize("held", [[], [request(pid=None)], [SimpleNamespace(id="m", worker_pid=7)]])
def test_message_that_no_process_has_or_that_is_no_engines_is_left(worker, held):
    worker.held = held

    look(worker, StuckProcesses(), LOOKS * 2)

    assert worker.killed == []


def test_looks_between_two_others_are_not_counted(worker):
    stuck = StuckProcesses()

    for _ in range((LOOKS - 2) * 10):
        worker.now += LOOK_SECONDS / 10
        stuck.end(None)

    assert worker.killed == []
