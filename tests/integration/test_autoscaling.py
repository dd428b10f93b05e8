"""A worker that has more processes when work waits, and fewer when none does."""

import time

import pytest

from executors.models import Worker
from tests.builders import start_run, wait_for_end
from tests.integration.conftest import WorkerProcess
from workflows.models import TaskExecution

pytestmark = pytest.mark.alone

MOST = 6


@pytest.fixture(scope="module")
def scaled(worker, tmp_path_factory):
    """The only worker: with 1 to 6 processes, quiet soon."""
    worker.stop()
    running = WorkerProcess(
        tmp_path_factory.mktemp("scaled") / "scaled.log",
        name="scaled",
        options=[f"--autoscale={MOST},1"],
        environment={"MAESTRO_AUTOSCALE_QUIET_SECONDS": "1"},
    )
    running.start()
    yield running
    running.stop()
    worker.start()


def pause(seconds):
    return {"uses": "noop", "with": {"duration": f"{seconds}s"}}


def registered(worker):
    return Worker.objects.get(name=worker.name, lost_at=None).concurrency


def running(run):
    return TaskExecution.objects.filter(run_id=run.id, status="running").count()


def most_seen(look, seconds=30):
    """Look again and again until the sixth slot is seen, or time is up."""
    deadline = time.monotonic() + seconds
    seen = [look()]
    while seen[-1] < MOST and time.monotonic() < deadline:
        time.sleep(0.05)
        seen.append(look())
    return max(seen)


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def test_processes_come_with_the_work_and_go_without(actor, scaled):
    assert registered(scaled) == 1
    run = start_run(actor, {f"t{number}": pause(1) for number in range(28)})

    assert most_seen(lambda: running(run)) == MOST
    assert wait_for_end(run.id, 60).status == "succeeded"
    wait_until(lambda: registered(scaled) == 1)
    assert set(TaskExecution.objects.filter(run_id=run.id).values_list("attempt", flat=True)) == {1}


def test_a_task_that_has_waited_too_long_gets_a_process_whatever_others_seem_to_have_free(actor, scaled, worker_row):
    long = start_run(actor, {"long": pause(8)})
    wait_until(lambda: running(long) == 1)

    late = wait_for_end(start_run(actor, {"late": pause(0.1)}).id, 60)

    assert late.finished_at < wait_for_end(long.id, 60).finished_at
