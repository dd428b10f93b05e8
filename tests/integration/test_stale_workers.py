"""A worker that is killed and one that stands still: others take over what they ran, within half a minute."""

import os
import signal
from datetime import timedelta
from uuid import uuid4

import pytest
from celery import current_app

from executors.models import Worker
from executors.pools import lease
from tests.builders import start_run, statuses, wait_for_end
from tests.integration.conftest import WorkerProcess, beat_process
from tests.patience import PATIENCE_SECONDS, wait_until
from workflows.models import TaskAttempt, TaskExecution
from workflows.runs.counters import read_counters

pytestmark = [pytest.mark.usefixtures("beat"), pytest.mark.alone]

# From the last sign of a worker to the next attempt, on a machine that is well: the lease, and looks of beat.
TAKE_OVER = timedelta(seconds=30)
LONG = '[ "$MAESTRO_ATTEMPT" -gt 1 ] || sleep 100'


@pytest.fixture(scope="module")
def beat(database, tmp_path_factory):
    """The product's own beat: how long it waits is what the test is about."""
    with beat_process(tmp_path_factory.mktemp("beat") / "beat.log") as process:
        yield process


@pytest.fixture
def make_worker(database, tmp_path):
    """Starts workers with one process each, in process groups of their own."""
    started = []

    def make(name):
        running = WorkerProcess(tmp_path / f"{name}.log", name=f"{name}-{uuid4().hex[:6]}", concurrency=1)
        running.start()
        started.append(running)
        return running

    yield make
    for running in started:
        if running.is_running():
            os.killpg(running.pid, signal.SIGKILL)
            running.stop(signal.SIGKILL)


@pytest.fixture
def rest(worker):
    """Lets the suite's own worker take nothing, until it is told to go on."""
    control = current_app.control

    def take(*, messages):
        order = control.add_consumer if messages else control.cancel_consumer
        assert order("maestro", destination=[worker.name], reply=True, timeout=PATIENCE_SECONDS)

    yield take
    take(messages=True)


def test_others_take_over_from_a_killed_and_from_a_stopped_worker_which_works_on(actor, make_worker, rest):
    killed, stopped = make_worker("killed"), make_worker("stopped")
    before = read_counters()
    rest(messages=False)
    run = start_run(actor, {key: {"uses": "shell", "with": {"command": LONG}} for key in ("a", "b")})
    wait_until(lambda: set(statuses(run.id).values()) == {"running"})
    of_worker = {row.worker: row.task_key for row in TaskExecution.objects.filter(run_id=run.id)}
    assert set(of_worker) == {killed.name, stopped.name}

    os.killpg(killed.pid, signal.SIGKILL)
    os.killpg(stopped.pid, signal.SIGSTOP)
    rest(messages=True)

    assert wait_for_end(run.id).status == "succeeded"
    assert lease.LEASE + timedelta(seconds=lease.WATCH_SECONDS) < TAKE_OVER
    for given_up in Worker.objects.filter(name__in=[killed.name, stopped.name]):
        # Not before its lease was over, and on a slow machine not much later.
        assert lease.LEASE <= given_up.lost_at - given_up.heartbeat_at < 2 * TAKE_OVER
    assert read_counters()["lost_attempts"] - before["lost_attempts"] == 2

    os.killpg(stopped.pid, signal.SIGCONT)
    late = TaskAttempt.objects.filter(task_execution__run_id=run.id, late_at__isnull=False)
    # Its command would have gone on for more than a minute, in the only process this worker has.
    wait_until(late.exists)
    assert [(attempt.worker, attempt.late_status) for attempt in late] == [(stopped.name, "cancelled")]
    assert read_counters()["fenced_writes"] - before["fenced_writes"] == 1
    wait_until(lambda: Worker.objects.filter(name=stopped.name, lost_at=None).exists())

    rest(messages=False)
    again = start_run(actor, {"a": "", "b": "a"})
    assert wait_for_end(again.id).status == "succeeded"
    rows = TaskExecution.objects.filter(run_id=again.id)
    assert {(row.worker, row.attempt, row.platform_failures) for row in rows} == {(stopped.name, 1, 0)}
