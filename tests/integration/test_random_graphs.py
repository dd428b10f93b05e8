"""Random graphs through real workers come to what the reference interpreter says, each task once and none too early.

`pytest tests/integration/test_random_graphs.py --graphs 2000` runs more than the suite does. Nothing recovers here: no
beat runs, so a wake-up that is lost would leave its run open and fail the test.
"""

import contextlib
import math
import time
import uuid

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.builders import wait_for_end
from tests.integration.conftest import WorkerProcess
from tests.patience import PATIENCE_SECONDS, POLL_SECONDS
from tests.reference import CHILDREN, ends_without, interpret
from tests.strategies import graphs
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.definition.spec import RunIf
from workflows.errors import RunAlreadyFinished, SignalNotAwaited
from workflows.models import TaskExecution, WorkflowRun
from workflows.parking import selectors
from workflows.parking import services as parking
from workflows.parking.approval import Outcome
from workflows.runs import services as runs
from workflows.runs.joins import RUN, decide_join
from workflows.runs.statuses import TaskStatus

pytestmark = pytest.mark.alone

# Runs that go on at the same time.
BATCH = 8
DEFAULT_GRAPHS = 48


@pytest.fixture
def roomy_worker(database, tmp_path):
    """A worker in which the slow tasks of a batch leave room for all others."""
    running = WorkerProcess(tmp_path / "worker.log", name="roomy", concurrency=BATCH + 2)
    running.start()
    yield running
    running.stop()


@pytest.mark.usefixtures("roomy_worker")
def test_random_graphs_end_as_the_reference_says(actor, pytestconfig, tmp_path):
    @settings(
        max_examples=math.ceil(pytestconfig.getoption("graphs") / BATCH),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=pytestconfig.getoption("graphs") == DEFAULT_GRAPHS,
        database=None,
        report_multiple_bugs=False,
        # Shrinking would start thousands of runs; the graphs are small as they are.
        phases=[Phase.generate],
        print_blob=True,
    )
    @given(st.lists(graphs(), min_size=BATCH, max_size=BATCH))
    def run_all(batch):
        started = {_start(actor, tasks, tmp_path): tasks for tasks in batch}
        _attend(actor, started, tmp_path)
        for run_id, tasks in started.items():
            _check(tasks, wait_for_end(run_id))

    for child in CHILDREN.values():
        catalog.apply_definition(actor=actor, document=Document.of(child))
    run_all()


def _start(actor, tasks, gates):
    value = {
        "schema_version": 1,
        "name": f"g-{uuid.uuid4().hex[:12]}",
        "tasks": {},
    }
    for key, task in tasks.items():
        value.setdefault(task.section, {})[key] = task.as_definition(gates)
    workflow = catalog.apply_definition(actor=actor, document=Document.of(value)).workflow
    run_id = runs.start_run(actor=actor, reference=str(workflow.id), inputs={}).id
    for key, task in tasks.items():
        if task.uses == "signal":
            # Skipped by now, it waits for nobody.
            with contextlib.suppress(SignalNotAwaited, RunAlreadyFinished):
                parking.send_signal(actor=actor, run_id=run_id, name=key)
    return run_id


def _attend(actor, started, gates):
    """Approve or reject whatever waits for that, and let a slow task go once all have ended that do not need it, until
    all runs have ended.
    """
    held = {
        run_id: {(run_id, key) for key in ends_without(tasks, slow)}
        for run_id, tasks in started.items()
        if (slow := _slow_of(tasks)) is not None
    }
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while WorkflowRun.objects.filter(id__in=started, finished_at=None).exists():
            for waiting in selectors.list_approvals(actor=actor):
                if waiting.run_id not in started:  # of a batch that failed
                    continue
                outcome = Outcome.REJECTED if started[waiting.run_id][waiting.task_key].fails else Outcome.APPROVED
                parking.decide_approval(actor=actor, run_id=waiting.run_id, task_key=waiting.task_key, outcome=outcome)
            going_on = TaskExecution.objects.filter(run_id__in=held, finished_at=None).values_list("run_id", "task_key")
            rest = {run_id: others.intersection(going_on) for run_id, others in held.items()}
            for run_id in [run_id for run_id, others in rest.items() if not others]:
                _let_go(gates, run_id)
                del held[run_id]
            assert time.monotonic() < deadline, f"still open, though no slow task keeps these back: {rest}"
            time.sleep(POLL_SECONDS)
    finally:
        for run_id in held:
            _let_go(gates, run_id)


def _let_go(gates, run_id):
    (gates / str(run_id)).touch()


def _slow_of(tasks):
    return next((key for key, task in tasks.items() if task.is_slow), None)


def _check(tasks, run):
    status, ends = interpret(tasks)
    rows = {row.task_key: row for row in TaskExecution.objects.filter(run_id=run.id)}
    assert {key: (row.status, row.reason) for key, row in rows.items()} == ends
    assert run.status == status
    for key, row in rows.items():
        task = tasks[key]
        assert row.attempt == (0 if row.status == TaskStatus.SKIPPED and row.reason != "condition" else 1), key
        if row.started_at is not None:
            _check_start(task, row, rows)


def _check_start(task, row, rows):
    """A task starts after its join was decided."""
    if not task.needs:
        return
    decided_at = min(
        moment
        for moment in (rows[need].finished_at for need in task.needs)
        if decide_join(RunIf(row.run_if), [_seen_at(rows[need], moment) for need in task.needs]) == RUN
    )
    assert row.started_at >= decided_at, row.task_key


def _seen_at(row, moment):
    if row.finished_at <= moment:
        return TaskStatus(row.status), row.reason, row.continue_on_error
    return TaskStatus.RUNNING, "", False
