"""A worker that takes no messages any more ends by itself, beside others that do; no other does."""

import contextlib
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import kombu
import psutil
import pytest
from celery import current_app

from tests.builders import start_run, statuses, wait_for_end
from tests.integration.conftest import WorkerProcess
from tests.patience import PATIENCE_SECONDS, wait_until
from tests.processes import is_alive

pytestmark = pytest.mark.alone


@pytest.fixture
def workers(worker, tmp_path):
    """Watched workers by name, beside one that is well."""
    # The loop of the deaf one, which does not hang, has any time to begin to stop.
    reactions = {"deaf": PATIENCE_SECONDS, "hanging": 3, "stopped": 3}
    started = {
        name: WorkerProcess(
            tmp_path / name,
            name=name,
            concurrency=1,
            application="tests.integration.deaf",
            environment={"REACTION_SECONDS": str(seconds)},
        )
        for name, seconds in reactions.items()
    }
    with ThreadPoolExecutor() as threads:
        list(threads.map(WorkerProcess.start, started.values()))
    yield started
    for each in started.values():
        each.stop(signal.SIGKILL)


def order(command, *workers):
    names = [each.name for each in workers]
    assert len(command("maestro", destination=names, reply=True, timeout=PATIENCE_SECONDS)) == len(names)


@contextlib.contextmanager
def resting(*workers):
    """Let these workers take nothing as long as the block runs."""
    order(current_app.control.cancel_consumer, *workers)
    try:
        yield
    finally:
        order(current_app.control.add_consumer, *workers)


@pytest.mark.usefixtures("beat")  # what a worker was being sent when its loop began to hang is lost
def test_worker_that_takes_no_messages_ends_and_one_that_stood_still_or_was_told_to_take_none_does_not(
    actor, connection, worker, workers, tmp_path
):
    deaf, hanging, stopped = workers.values()
    children = psutil.Process(hanging.pid).children(recursive=True)
    go_on = tmp_path / "go-on"

    # The loop of the one begins to hang while its only process is busy, and never learns that it no longer is.
    order(current_app.control.cancel_consumer, stopped)
    with resting(worker, deaf):
        task = {"uses": "shell", "with": {"command": f"until [ -e '{go_on}' ]; do sleep 0.1; done"}}
        runs = [start_run(actor, {"a": task, "b": "a"}, name="hanging").id]
        wait_until(lambda: statuses(runs[0])["a"] == "running")
        os.kill(hanging.pid, signal.SIGRTMIN + 1)
        wait_until(lambda: "It hangs." in hanging.log.read_text())
    go_on.touch()

    os.kill(deaf.pid, signal.SIGRTMIN)
    os.kill(stopped.pid, signal.SIGSTOP)
    runs += [start_run(actor, {"a": "", "b": "a"}, name=f"beside-{number}").id for number in range(4)]
    ends = deaf.wait(PATIENCE_SECONDS), hanging.wait(PATIENCE_SECONDS)
    os.kill(stopped.pid, signal.SIGCONT)

    assert ends == (os.EX_SOFTWARE, -signal.SIGKILL)
    assert re.search(
        r"takes no messages: one has waited in queue maestro\.canary\.deaf@localhost for \d+ s", deaf.log.read_text()
    )
    assert "The event loop of this worker hangs" in hanging.log.read_text()
    assert not any(map(is_alive, children))
    ended = connection.execute(
        "SELECT bool_and(has_stopped) FROM executor_workers WHERE name = ANY (%s)", ([deaf.name, hanging.name],)
    ).fetchone()
    assert ended == (True,)
    assert {wait_for_end(run_id).status for run_id in runs} == {"succeeded"}
    time.sleep(7)  # longer than it would take to be noticed
    assert stopped.is_running()
    assert "takes no messages" not in stopped.log.read_text()


def test_canary_that_comes_while_its_worker_stops_is_not_put_back(worker, broker, tmp_path):
    stopping = WorkerProcess(tmp_path / "stopping", name="stopping", concurrency=1)
    queue = f"maestro.canary.{stopping.name}"
    stopping.start()

    os.kill(stopping.pid, signal.SIGTERM)
    with current_app.connection_for_write() as connection:
        producer = kombu.Producer(connection)
        while not stopping.has_ended_within(0.01):
            producer.publish({}, routing_key=queue, serializer="json")
    broker.delete(queue)

    assert "undeliverable" not in stopping.log.read_text()
