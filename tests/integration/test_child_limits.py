"""Processes of a worker that are replaced after so many tasks, or so much memory. No beat runs here."""

from collections import Counter

import psutil
import pytest

from tests.builders import start_run, wait_for_end
from tests.integration.conftest import WorkerProcess
from tests.patience import wait_until
from workflows.models import TaskExecution

pytestmark = pytest.mark.alone

MODULE = "tests.integration.long_tasks"
MOST_TASKS = 3
MOST_MEBIBYTES = 400


@pytest.fixture
def limited(resting_worker, tmp_path, monkeypatch, settings):
    """The only worker that takes something, whose processes do not live long."""
    settings.MAESTRO_TASK_MODULES = (MODULE,)
    monkeypatch.setenv("MAESTRO_TASK_MODULES", MODULE)
    monkeypatch.setenv("MAESTRO_MAX_TASKS_PER_CHILD", str(MOST_TASKS))
    monkeypatch.setenv("MAESTRO_MAX_MEMORY_PER_CHILD", str(MOST_MEBIBYTES))
    running = WorkerProcess(tmp_path / "limited.log", name="limited", concurrency=2)
    running.start()
    yield running
    running.stop()


def python(function, *needs, **arguments):
    return {"uses": "python", "needs": list(needs), "with": {"function": f"{MODULE}.{function}", "args": arguments}}


def test_processes_are_replaced_and_nothing_is_lost(actor, limited):
    children = {child.pid for child in psutil.Process(limited.pid).children()}
    many = start_run(actor, {f"t{number}": python("process_id") for number in range(20)})
    assert wait_for_end(many.id).status == "succeeded"
    leaking = start_run(
        actor, {"leak": python("leak", mebibytes=MOST_MEBIBYTES), "after": python("process_id", "leak")}
    )
    assert wait_for_end(leaking.id).status == "succeeded"

    rows = list(TaskExecution.objects.filter(run_id__in=[many.id, leaking.id]))
    by_process = Counter(row.output for row in rows)
    outputs = {row.task_key: row.output for row in rows}
    assert {(row.attempt, row.platform_failures) for row in rows} == {(1, 0)}
    assert max(by_process.values()) <= MOST_TASKS
    assert len(set(by_process) - children) >= 5
    assert outputs["leak"] != outputs["after"]
    wait_until(lambda: not psutil.pid_exists(outputs["leak"]), "the process that was replaced is still there")
    assert "premature" not in limited.log.read_text()
