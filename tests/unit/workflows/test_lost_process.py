import threading
from uuid import uuid4

import pytest
from billiard.exceptions import WorkerLostError

from workflows.dispatch import lost_process
from workflows.dispatch.lost_process import describe_end


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 3."),
            "was killed by SIGKILL (as happens when memory runs out)",
        ),
        (WorkerLostError("Worker exited prematurely: signal 11 (SIGSEGV) Job: 0."), "was killed by SIGSEGV"),
        (WorkerLostError("Worker exited prematurely: signal 120 Job: 0."), "was killed by signal 120"),
        (WorkerLostError("Worker exited prematurely: exitcode 155 Job: 0."), "exited with status 155"),
        (WorkerLostError("Could not start worker processes"), "died"),
        (SystemExit(7), "exited with status 7"),
        (KeyboardInterrupt(), "was interrupted"),
        (ValueError("the user's own"), None),
    ],
)
def test_end_of_a_process_is_told_in_words(error, expected):
    assert describe_end(error) == expected


def test_attempt_that_could_not_be_taken_back_in_time_is_left_to_the_tick(monkeypatch):
    """Its message is delivered again by the same id: a late answer would be about the next attempt."""
    asked, database = [], threading.Event()
    monkeypatch.setattr(lost_process, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(lost_process, "_ask", lambda *arguments: asked.append(arguments))
    lost_process._threads.submit(database.wait)

    lost_process._take_back(uuid4(), "message", "died")
    database.set()
    lost_process._threads.submit(list).result()

    assert asked == []
