import threading
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest
from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import Terminated, WorkerLostError
from celery.worker.request import Request

from executors.pools import drain
from workflows.dispatch import given_back, lost_process
from workflows.dispatch.given_back import GivenBackRequest
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


KILLED = WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 3.")


@pytest.fixture
def end(monkeypatch):
    """Lets what runs for a message end by an error; returns who does what then, in order."""
    done = []
    monkeypatch.setattr(lost_process, "WAIT_SECONDS", 60)
    monkeypatch.setattr(lost_process, "get_incarnation", uuid4)
    monkeypatch.setattr(lost_process.sql, "engine_connection", lambda: None)
    monkeypatch.setattr(lost_process.leases, "take_back_of_process", lambda *_, **__: done.append("taken back"))
    monkeypatch.setattr(given_back.state, "task_ready", lambda _: done.append("left to the broker"))
    monkeypatch.setattr(Request, "on_failure", lambda *_, **__: done.append("Celery's"))
    monkeypatch.setattr(drain, "given_back", {"given back"})

    def fail(kind, error, *, message_id="message", **state):
        request = object.__new__(kind)
        request.id, request._kwargs = message_id, {"run_id": str(uuid4())}
        for name, value in state.items():
            setattr(request, name, value)
        request.on_failure(SimpleNamespace(exception=error))
        return done

    return fail


@pytest.mark.parametrize("error", [KILLED, ExceptionWithTraceback(KILLED, None), SystemExit(7)])
def test_attempt_of_a_dead_process_is_taken_back_before_its_message_goes_back(end, error):
    assert end(lost_process.EngineRequest, error) == ["taken back", "Celery's"]


def test_attempt_whose_process_lives_is_not_taken_back(end):
    assert end(lost_process.EngineRequest, ValueError("the user's own")) == ["Celery's"]


@pytest.mark.parametrize("ended_by", ["_already_cancelled", "_already_revoked"])
def test_attempt_whose_process_the_worker_has_ended_is_not_taken_back_at_once(end, ended_by):
    assert end(lost_process.EngineRequest, KILLED, **{ended_by: True}) == ["Celery's"]


@pytest.mark.parametrize("kind", [lost_process.EngineRequest, GivenBackRequest])
@pytest.mark.parametrize("error", [KILLED, ExceptionWithTraceback(KILLED, None), Terminated(15), SystemExit(0)])
def test_message_that_is_given_back_is_left_to_the_broker_when_its_process_has_ended(end, kind, error):
    assert end(kind, error, message_id="given back") == ["left to the broker"]


@pytest.mark.parametrize("kind", [lost_process.EngineRequest, GivenBackRequest])
def test_message_that_is_given_back_but_fails_by_itself_has_failed(end, kind):
    assert end(kind, ValueError("the user's own"), message_id="given back") == ["Celery's"]


@pytest.mark.parametrize("error", [psycopg.OperationalError("away"), psycopg.errors.UndefinedTable("being moved")])
def test_message_goes_back_although_its_attempt_cannot_be_taken_back(end, monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(lost_process.sql, "engine_connection", fail)

    assert end(lost_process.EngineRequest, KILLED) == ["Celery's"]


def test_nothing_is_taken_back_before_the_worker_has_a_lease(end, monkeypatch):
    monkeypatch.setattr(lost_process, "get_incarnation", lambda: None)

    assert end(lost_process.EngineRequest, KILLED) == ["Celery's"]
