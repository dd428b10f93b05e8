"""Random graphs through real workers, and what the reference says of them."""

import itertools
import random
import time
import uuid

from tests.builders import wait_for_end
from tests.reference import ExpectedTask, interpret
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.definition.priority import Priority
from workflows.definition.spec import RunIf
from workflows.models import TaskExecution
from workflows.runs import services as runs

RUNS = 8
# From the last fault to the end of every run: the lease of a silent worker, a sweep, and the work itself.
RECOVERY_SECONDS = 30


def random_tasks(seed):
    """An irregular graph with failures and every join rule; tasks take a moment, so that faults meet them running."""
    chance = random.Random(seed)
    tasks = {}
    for number in range(chance.randint(6, 14)):
        needs = tuple(sorted(chance.sample(list(tasks), min(len(tasks), chance.randint(0, 3)))))
        rule = chance.choice([*RunIf, *[RunIf.ALL_SUCCEEDED] * 5]) if needs else RunIf.ALL_SUCCEEDED
        tasks[f"t{number}"] = ExpectedTask(needs=needs, rule=rule, fails=chance.random() < 0.15)
    return tasks


def start(actor, tasks, seconds=0.05, priority=Priority.NORMAL):
    value = {"schema_version": 1, "name": f"h-{uuid.uuid4().hex[:12]}", "tasks": {}}
    for key, task in tasks.items():
        value["tasks"][key] = task.as_definition()
        value["tasks"][key].setdefault("with", {})["duration"] = seconds
    workflow = catalog.apply_definition(actor=actor, document=Document.of(value)).workflow
    return runs.start_run(actor=actor, reference=str(workflow.id), inputs={}, priority=priority).id


def start_all(actor, seed):
    graphs = [random_tasks(seed * 100 + number) for number in range(RUNS)]
    of_graphs = zip(graphs, itertools.cycle(Priority))
    return {start(actor, tasks, priority=priority): tasks for tasks, priority in of_graphs}


def check_all(started, seconds=RECOVERY_SECONDS):
    deadline = time.monotonic() + seconds
    for run_id, tasks in started.items():
        run = wait_for_end(run_id, max(1, deadline - time.monotonic()))
        status, ends = interpret(tasks)
        found = {row.task_key: (row.status, row.reason) for row in TaskExecution.objects.filter(run_id=run_id)}
        assert found == ends
        assert run.status == status
