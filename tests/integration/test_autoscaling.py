"""A worker that has more processes when work waits, and fewer when none does."""

import pytest

from executors.models import Worker
from tests.builders import start_run, wait_for_end
from tests.integration.conftest import WorkerProcess
from tests.patience import wait_until
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


def until(path):
    """A task that goes on until there is such a file."""
    return {"uses": "shell", "with": {"command": f"until [ -e '{path}' ]; do sleep 0.1; done"}}


def registered(worker):
    return Worker.objects.get(name=worker.name, lost_at=None).concurrency


def running(run):
    return TaskExecution.objects.filter(run_id=run.id, status="running").count()


def test_processes_come_with_the_work_and_go_without(actor, scaled, tmp_path):
    go_on = tmp_path / "go-on"
    assert registered(scaled) == 1
    run = start_run(actor, {f"t{number}": until(go_on) for number in range(28)})

    wait_until(lambda: running(run) >= MOST)
    assert running(run) == MOST
    go_on.touch()
    assert wait_for_end(run.id).status == "succeeded"
    wait_until(lambda: registered(scaled) == 1)
    assert set(TaskExecution.objects.filter(run_id=run.id).values_list("attempt", flat=True)) == {1}


def test_a_task_that_has_waited_too_long_gets_a_process_whatever_others_seem_to_have_free(
    actor, scaled, worker_row, tmp_path
):
    go_on = tmp_path / "go-on"
    long = start_run(actor, {"long": until(go_on)})
    wait_until(lambda: running(long) == 1)

    late = wait_for_end(start_run(actor, {"late": ""}).id)

    assert (late.status, running(long)) == ("succeeded", 1)
    go_on.touch()
    assert wait_for_end(long.id).status == "succeeded"
