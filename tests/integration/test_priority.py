"""Priority of runs: whose tasks are taken first, which messages say so, and by which of them lost ones are judged."""

import datetime
import json
import uuid

import pytest

from executors.pools.queues import key_of, keys_of
from tests.builders import definition, start_run, statuses, wait_for_end
from tests.integration import noting
from tests.integration.calls import execute
from tests.integration.conftest import WorkerProcess
from tests.integration.schedules import do, row
from tests.patience import wait_until
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.definition.priority import Priority
from workflows.dispatch import finalise, lost_messages, recovery, retry, start
from workflows.dispatch.broker import QueueView
from workflows.dispatch.run_requests import RunRequests
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs

pytestmark = pytest.mark.usefixtures("resting_worker")

QUEUE = "maestro"
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
HIGH, NORMAL, LOW = Priority
FAILS = {"with": {"fail": True}, "continue_on_error": True, "retry": {"max_attempts": 2, "delay": "100ms"}}
# A fork at the end of a chain, another right after its body, one that no chord can be, and a task that is tried again.
EVERY_SHAPE = {
    "a": "",
    "b": "a",
    "c": "b",
    "d": "b",
    "e": "c d",
    "f": "e",
    "g": "e",
    "h": "f g",
    "i": {"needs": ["h"], **FAILS},
    "j": "i",
    "k": "g h",
    "l": "j k",
}


@pytest.fixture
def start_worker(broker, tmp_path):
    """Starts a worker with one process."""
    broker.delete(noting.NOTES)
    worker = WorkerProcess(
        tmp_path / "worker.log",
        name=f"noting-{uuid.uuid4().hex[:6]}",
        concurrency=1,
        application="tests.integration.noting",
    )
    yield worker.start
    worker.stop()


@pytest.fixture
def heads(monkeypatch):
    """Says which message of each priority is taken next: its date; of those not named none waits. What was sent a
    moment ago counts as lost, which a beat of other tests does not find.
    """
    monkeypatch.setattr(lost_messages, "SLACK", datetime.timedelta())
    monkeypatch.setattr(recovery, "GRACE", datetime.timedelta())

    def show(dates):
        def look(_, step):
            head = next((date for priority, date in dates.items() if priority.step == step), None)
            return QueueView(is_empty=head is None, head_queued_at=head)

        for module in (lost_messages, recovery):
            monkeypatch.setattr(module, "look_at_queue", look)

    return show


def start_with(actor, asked, tasks=None, **more):
    """Start a run with a priority of its own."""
    workflow = apply(actor, tasks or {"a": "", "b": "a"}, **more)
    return runs.start_run(actor=actor, reference=str(workflow.id), inputs={}, priority=asked)


def apply(actor, tasks, **more):
    return catalog.apply_definition(actor=actor, document=Document.of(definition(tasks, **more))).workflow


def waiting(broker, run):
    """Priority → the tasks of a run whose messages wait."""
    found = {}
    for priority in Priority:
        ids = [json.loads(message)["headers"]["id"] for message in broker.lrange(key_of(QUEUE, priority.step), 0, -1)]
        ours = sorted(each.split(".")[1] for each in ids if each.startswith(str(run.id)))
        found |= {priority: ours} if ours else {}
    return found


def taken(broker, run):
    """Task key → the priorities of its messages, of a run whose messages a worker has taken."""
    found = {}
    for message_id, priority in map(json.loads, broker.lrange(noting.NOTES, 0, -1)):
        if message_id.startswith(str(run.id)):
            found.setdefault(message_id.split(".")[1], set()).add(priority)
    return found


def numbers(run):
    return set(TaskExecution.objects.filter(run_id=run.id).values_list("priority", flat=True))


def test_high_run_overtakes_what_waits_and_a_low_one_goes_last(actor, broker, start_worker):
    low = start_with(actor, LOW)
    normal = start_with(actor, None, {f"t{number}": "" for number in range(50)})
    high = start_with(actor, HIGH)
    before = [waiting(broker, run) for run in (low, normal, high)]

    start_worker()
    for run in (high, normal, low):
        assert wait_for_end(run.id).status == "succeeded"

    assert [{priority: len(keys) for priority, keys in found.items()} for found in before] == [
        {LOW: 1},
        {NORMAL: 50},
        {HIGH: 1},
    ]
    started = TaskExecution.objects.filter(run_id__in=[low.id, normal.id, high.id]).order_by("started_at")
    assert list(started.values_list("run_id", flat=True)) == [high.id] * 2 + [normal.id] * 50 + [low.id] * 2


def test_every_message_of_a_run_has_its_priority(actor, broker, beat, start_worker):
    runs_of = {
        priority: start_with(actor, priority, EVERY_SHAPE, **{"finally": {"last": {"uses": "noop"}}})
        for priority in Priority
    }

    start_worker()

    for priority, run in runs_of.items():
        assert wait_for_end(run.id).status == "succeeded"
        assert taken(broker, run) == {key: {priority.step} for key in [*EVERY_SHAPE, "last"]}
        assert row(run, "i").attempt == 2


def test_messages_that_are_sent_again_have_the_priority_too(actor, broker, connection, heads):
    run = start_with(actor, LOW, {"a": "", "b": ""})
    broker.delete(*keys_of(QUEUE))
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(
        status="waiting", reason="retry_backoff", wake_at=LONG_AGO
    )
    heads({})

    lost_messages.resend_lost(connection)
    retry.wake_due(connection)

    wait_until(lambda: waiting(broker, run) == {LOW: ["a", "b"]})
    runs.cancel_run(actor=actor, run_id=run.id)


@pytest.mark.parametrize(("lost", "other"), [(LOW, HIGH), (HIGH, LOW), (NORMAL, HIGH), (NORMAL, LOW)])
def test_lost_message_is_found_while_others_of_another_priority_wait(actor, connection, heads, sent, lost, other):
    start_with(actor, lost)
    sent.clear()

    heads({lost: LONG_AGO})
    lost_messages.resend_lost(connection)
    while_it_may_wait = list(sent)
    heads({other: LONG_AGO})
    lost_messages.resend_lost(connection)

    assert (while_it_may_wait, sent) == ([], ["a"])


@pytest.mark.parametrize(("forgotten", "other"), [(LOW, HIGH), (HIGH, LOW), (NORMAL, HIGH), (NORMAL, LOW)])
@pytest.mark.parametrize("is_whole", [True, False], ids=["all runs", "runs of late"])
def test_ready_task_is_found_while_messages_of_another_priority_wait(
    actor, connection, heads, sent, forgotten, other, is_whole
):
    sweep = recovery.ReadySweep()
    heads({})
    if not is_whole:
        sweep.recover(connection)
    run = start_with(actor, forgotten)
    do(connection, run, "a")
    before = row(run, "a").finished_at - datetime.timedelta(hours=1)

    heads({forgotten: before, other: before})
    sweep.recover(connection)
    while_it_may_wait = statuses(run.id)["b"]
    heads({other: before})
    sweep._round_due_at = 0 if is_whole else sweep._round_due_at
    sweep.recover(connection)

    assert (while_it_may_wait, statuses(run.id)["b"]) == ("pending", "queued")


@pytest.mark.parametrize(
    ("of_workflow", "asked", "expected"),
    [(None, None, NORMAL), (LOW, None, LOW), (LOW, HIGH, HIGH), (HIGH, NORMAL, NORMAL), (None, LOW, LOW)],
)
def test_run_has_the_priority_it_is_started_with_or_its_workflows(actor, sent, of_workflow, asked, expected):
    more = {} if of_workflow is None else {"priority": of_workflow.value}

    run = start_with(actor, asked, **more)

    assert (run.priority, numbers(run)) == (expected, {expected.step})


def test_run_that_begins_later_and_hooks_have_the_priority_of_the_run(actor, connection, sent):
    workflow = apply(actor, {"a": ""}, **{"finally": {"last": {"uses": "noop"}}})
    delay = datetime.timedelta(hours=1)
    run = runs.start_run(actor=actor, reference=str(workflow.id), inputs={}, start_at=delay, priority=LOW)
    WorkflowRun.objects.filter(id=run.id).update(start_at=LONG_AGO)

    start.start_due(connection)
    do(connection, run, "a")
    finalise.finalise_run(connection, run.id)

    assert dict(TaskExecution.objects.filter(run_id=run.id).values_list("task_key", "priority")) == {"a": 6, "last": 6}


@pytest.mark.parametrize(("of_child", "expected"), [(None, LOW), (NORMAL, NORMAL), (HIGH, HIGH)])
def test_child_run_has_the_priority_of_its_workflow_or_its_parents(actor, sent, of_child, expected):
    apply(actor, {"x": ""}, name="child", **({} if of_child is None else {"priority": of_child.value}))
    run = start_with(actor, LOW, {"a": {"uses": "workflow", "with": {"workflow": "child"}}})

    execute(run)

    child = WorkflowRun.objects.get(id=row(run, "a").child_run_id)
    assert (child.priority, numbers(child)) == (expected, {expected.step})


@pytest.mark.parametrize("inputs", ["{}", '{"unknown": 1}'], ids=["started", "refused"])
def test_run_that_another_application_asks_for_has_its_workflows_priority(actor, connection, sent, inputs):
    workflow = apply(actor, {"a": ""}, priority="low")
    organization = workflow.organization.slug
    ask = "SELECT maestro_start_run(%s, %s, %s::jsonb)"
    run_id = connection.execute(ask, (organization, workflow.name, inputs)).fetchone()[0]

    RunRequests().take(connection)

    wait_until(WorkflowRun.objects.filter(id=run_id).exists)
    assert WorkflowRun.objects.get(id=run_id).priority == "low"


def test_tasks_from_before_there_were_priorities_are_sent_as_they_were_first(actor, broker, connection, heads):
    run = start_run(actor, {"a": ""})
    broker.delete(*keys_of(QUEUE))
    TaskExecution.objects.filter(run_id=run.id).update(priority=0)
    heads({NORMAL: LONG_AGO})

    lost_messages.resend_lost(connection)

    found = waiting(broker, run)
    runs.cancel_run(actor=actor, run_id=run.id)
    assert found == {HIGH: ["a"]}
