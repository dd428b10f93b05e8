"""The tick: duties that fail, duties the server ends for another's sake, and duties that two beats do at once."""

import threading
from collections import Counter
from uuid import uuid4

import psycopg
import pytest

from maestro.core import sql
from tests.builders import start_run, statuses
from tests.integration.schedules import connect, do, take
from workflows.dispatch import leases, lost_messages, recovery, tick
from workflows.dispatch.broker import QueueView
from workflows.dispatch.tick import Duty
from workflows.models import TaskExecution

LONG_AGO = "2020-01-01T00:00:00Z"

pytestmark = pytest.mark.usefixtures("database")


def duty(*errors):
    """A duty that fails so often, and what it was called with."""
    calls = []

    def work(connection):
        calls.append(connection)
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]

    return Duty(work=work, every_seconds=1), calls


def test_victim_of_a_deadlock_is_done_again_at_once():
    victim, calls = duty(psycopg.errors.DeadlockDetected())

    tick._do(victim)

    assert len(calls) == 2


def test_victim_is_not_done_again_for_ever():
    victim, calls = duty(*[psycopg.errors.DeadlockDetected()] * 99)

    tick._do(victim)

    assert len(calls) == sql.VICTIM_TRIES


def test_database_that_is_away_is_asked_on_a_new_connection_next_time():
    failing, calls = duty(psycopg.OperationalError("away"))

    tick._do(failing)
    tick._do(failing)

    assert calls[0] is not calls[1]


def test_duty_that_fails_otherwise_keeps_its_connection():
    failing, calls = duty(ValueError("a defect"))

    tick._do(failing)
    tick._do(failing)

    assert calls[0] is calls[1]


def lose_messages(connection, run):
    """Nobody sends what is queued."""
    TaskExecution.objects.filter(run_id=run.id, status="queued").update(queued_at=LONG_AGO)


def lose_workers(connection, run):
    """All first tasks run on a worker nobody knows."""
    for key in statuses(run.id):
        if key.startswith("first"):
            take(connection, run, key)
    TaskExecution.objects.filter(run_id=run.id, status="running").update(claim_worker_id=uuid4())


def lose_wake_ups(connection, run):
    """All first tasks ended, and nobody looked at what follows."""
    for key in statuses(run.id):
        if key.startswith("first"):
            do(connection, run, key)
    TaskExecution.objects.filter(run_id=run.id, status="succeeded").update(finished_at=LONG_AGO)


@pytest.mark.parametrize(
    ("lose", "duty", "prefix"),
    [
        (lose_messages, lost_messages.resend_lost, "first"),
        (lose_workers, leases.take_back_lost, "first"),
        (lose_wake_ups, lambda connection: recovery.ReadySweep().recover(connection), "then"),
    ],
    ids=["lost messages", "lost workers", "lost wake-ups"],
)
def test_two_beats_at_once_send_each_task_once(actor, connection, sent, monkeypatch, lose, duty, prefix):
    view = QueueView(is_empty=True, head_queued_at=None)
    for module in (lost_messages, recovery):
        monkeypatch.setattr(module, "look_at_queue", lambda *_: view)
    run = start_run(actor, {f"first{i}": "" for i in range(40)} | {f"then{i}": f"first{i}" for i in range(40)})
    lose(connection, run)
    sent.clear()
    together = threading.Barrier(2)

    def beat():
        with connect() as own:
            together.wait()
            for _ in range(3):
                duty(own)

    beats = [threading.Thread(target=beat) for _ in range(2)]
    for one in beats:
        one.start()
    for one in beats:
        one.join()

    counted = Counter(key for key in sent if key.startswith(prefix))
    assert counted == {f"{prefix}{i}": 1 for i in range(40)}
