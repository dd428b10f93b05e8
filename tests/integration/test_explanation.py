"""Why a run or task does not go on: one planted case for each cause."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from accounts.models import User
from executors.models import Worker
from executors.pools.queues import Waiting, key_of, keys_of
from maestro.core.clock import say_time
from tests.builders import definition, make_actor, start_run
from tests.integration.calls import CALL, execute
from tests.integration.schedules import FAILED, do, follow, row, take
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.definition.priority import Priority
from workflows.dispatch import broker as engine_broker
from workflows.errors import RunNotFound, TaskNotFound
from workflows.explanation import selectors as explanation
from workflows.explanation.causes import CauseFinder
from workflows.models import TaskExecution, WorkflowRun
from workflows.pauses import services as pauses
from workflows.pauses.services import PauseTarget
from workflows.runs import services as runs

pytestmark = pytest.mark.usefixtures("sent", "no_workers")

FAILING = {"uses": "noop", "with": {"fail": "no luck"}, "retry": {"delay": "1h", "jitter": False}}


# That no worker has which runs.
PID = 1


@pytest.fixture
def no_workers(database, monkeypatch):
    """No worker but those of the test is known, also if another registers meanwhile."""
    Worker.objects.filter(pid=PID, lost_at=None).update(lost_at=Now())
    find = CauseFinder._live_workers
    monkeypatch.setattr(CauseFinder, "_live_workers", lambda own: [each for each in find(own) if each.pid == PID])


def make_worker(**more):
    given = {"name": "w1@host", "pid": PID, "concurrency": 4, "queues": ["maestro"], "held": ["a", "b"]}
    return Worker.objects.create(**(given | more))


def causes(actor, run, key=None):
    """Task key → what keeps it, as code and message."""
    explained = explanation.explain(actor=actor, run_id=run.id, task_key=key)
    return {each.task.task_key: [(cause.code, cause.message) for cause in each.causes] for each in explained.tasks}


def of_run(actor, run):
    return [(cause.code, cause.message) for cause in explanation.explain(actor=actor, run_id=run.id).causes]


def parked(actor, uses, more=None, **options):
    run = start_run(actor, {"a": {"uses": uses, "with": options, **(more or {})}, "b": "a"})
    execute(run)
    return run


def only(actor, run, key="a"):
    """Return what keeps a task: one cause."""
    explained = explanation.explain(actor=actor, run_id=run.id, task_key=key)
    [cause] = explained.tasks[0].causes
    return cause


def email(actor):
    return User.objects.get(id=actor.user_id).email


def test_task_that_no_worker_can_take_says_which_queue(actor):
    run = start_run(actor, {"a": ""})
    make_worker(queues=["other"])

    cause = only(actor, run)

    assert (cause.code, cause.holder) == ("no_worker", "queue maestro")


def test_task_in_a_queue_says_how_many_wait_and_who_takes_them(actor, monkeypatch):
    run = start_run(actor, {"a": ""})
    make_worker()
    waiting = Waiting(count=1234, oldest_queued_at=None)
    monkeypatch.setattr(engine_broker, "count_waiting", lambda *_: waiting)

    cause = only(actor, run)

    assert (cause.code, cause.holder) == ("queue", "queue maestro")
    expected = "In the queue maestro 1,234 messages wait; 1 worker with 4 processes take from it, 2 of them busy."
    assert cause.message == f"It is ready. {expected}"


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.LOW])
def test_task_in_a_queue_says_its_priority_unless_it_is_normal(actor, priority):
    run = start_run(actor, {"a": ""})
    make_worker()
    TaskExecution.objects.filter(run_id=run.id).update(priority=priority.step)

    assert only(actor, run).message.startswith(f"It is ready, and its priority is {priority}. In the queue maestro ")


@pytest.mark.parametrize(("priority", "count"), [(Priority.HIGH, 1), (Priority.NORMAL, 3), (Priority.LOW, 6)])
def test_what_waits_before_a_task_is_of_its_priority_or_a_higher_one(actor, broker, priority, count):
    name = f"q-{uuid4().hex}"
    for number, each in enumerate(Priority, start=1):
        broker.lpush(key_of(name, each.step), *["{}"] * number)

    waiting = engine_broker.count_waiting(name, priority.step)

    broker.delete(*keys_of(name))
    assert waiting.count == count


def test_task_whose_message_the_broker_cannot_take_says_so(actor, monkeypatch):
    run = start_run(actor, {"a": ""})
    make_worker()
    monkeypatch.setattr(engine_broker, "is_away", lambda: True)

    assert (only(actor, run).code, only(actor, run).holder) == ("broker_away", "broker")


def test_task_that_is_ready_inside_a_canvas_is_in_the_queue_too(actor, connection):
    run = start_run(actor, {"a": "", "b": "a"})
    do(connection, run, "a")

    assert [code for code, _ in causes(actor, run)["b"]] == ["no_worker"]


def test_task_that_runs_says_where_and_until_when(actor, connection):
    run = start_run(actor, {"a": {"timeout": "1m"}})
    worker = make_worker()
    take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).update(claim_worker_id=worker.id, worker=worker.name)

    cause = only(actor, run)

    assert (cause.code, cause.holder, cause.until) == ("running", "worker w1@host", row(run, "a").expires_at)
    assert "the lease of worker w1@host ends at" in cause.message


def test_task_of_a_silent_worker_says_since_when(actor, connection):
    run = start_run(actor, {"a": ""})
    worker = make_worker(heartbeat_at=Now() - timedelta(seconds=10))
    take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).update(claim_worker_id=worker.id, worker=worker.name)

    cause = only(actor, run)

    assert (cause.code, cause.holder) == ("worker_silent", "worker w1@host")
    assert cause.until is not None


def test_task_of_a_lost_worker_says_so(actor, connection):
    run = start_run(actor, {"a": ""})
    worker = make_worker(lost_at=Now())
    take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id).update(claim_worker_id=worker.id, worker=worker.name)

    assert (only(actor, run).code, only(actor, run).holder) == ("worker_lost", "worker w1@host")


def test_task_that_was_told_to_stop_says_so_and_so_does_its_run(actor, connection):
    run = start_run(actor, {"a": "", "b": "a"})
    take(connection, run, "a")
    runs.cancel_run(actor=actor, run_id=run.id)

    assert [code for code, _ in causes(actor, run)["a"]] == ["cancelling", "worker_lost"]
    said = f"The run ends, because {email(actor)} has cancelled it, once what runs has stopped."
    assert of_run(actor, run) == [("cancelling", said)]


def test_task_that_is_tried_again_says_when_and_why(actor):
    run = start_run(actor, {"a": FAILING})
    execute(run)

    cause = only(actor, run)

    assert (cause.code, cause.until) == ("retry", row(run, "a").wake_at)
    assert cause.message.startswith("Attempt 1 failed (no luck); the next one begins at ")


def test_task_that_sleeps_says_until_when(actor):
    run = parked(actor, "sleep", duration="2d")

    assert (only(actor, run).code, only(actor, run).until) == ("sleep", row(run, "a").wake_at)


def test_task_that_asks_again_says_when(actor):
    run = parked(actor, "sleep", duration="2d")
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(reason="poll")

    assert (only(actor, run).code, only(actor, run).until) == ("poll", row(run, "a").wake_at)


@pytest.mark.parametrize(
    ("reason", "said"),
    [("timed_out", "because its time is over"), ("stopped", "because one of its tasks has stopped it")],
)
def test_run_that_ends_early_says_why(actor, connection, reason, said):
    run = start_run(actor, {"a": ""})
    take(connection, run, "a")
    WorkflowRun.objects.filter(id=run.id).update(hold=2, reason=reason)

    assert said in of_run(actor, run)[0][1]


def test_task_whose_time_is_long_past_points_at_beat(actor):
    run = parked(actor, "sleep", until="2020-01-01T00:00:00Z")

    assert (only(actor, run).code, only(actor, run).holder) == ("overdue", "beat")


def test_task_whose_time_came_during_a_pause_waits_for_the_resume_and_not_for_beat(actor):
    run = parked(actor, "sleep", until="2020-01-01T00:00:00Z")
    pauses.pause(actor=actor, target=PauseTarget(run_id=run.id), reason="")

    paused, sleep = causes(actor, run, "a")["a"]

    assert paused[0] == "paused"
    assert sleep == (
        "sleep",
        "It sleeps until the time it was given; it ends at the resume: its time was 2020-01-01 00:00:00Z.",
    )


def test_task_that_waits_for_a_signal_says_how_to_send_it(actor):
    run = parked(actor, "signal", name="payment", timeout="2d")

    cause = only(actor, run)

    assert (cause.code, cause.until) == ("signal", row(run, "a").wake_at)
    assert cause.message.startswith(f"It waits for the signal payment: `maestro signal {run.id} payment` sends it.")


def test_task_that_waits_for_a_decision_says_whose(actor):
    run = parked(actor, "approval", message="Go?", approvers={"roles": ["owner"], "users": ["ann@example.org"]})

    cause = only(actor, run)

    assert (cause.code, cause.holder) == ("approval", "a member with the role owner or ann@example.org")
    assert f"`maestro approve {run.id} a`" in cause.message


def test_task_that_waits_for_a_decision_says_who_may_decide_later_and_what_its_deadline_decides(actor):
    escalate = {"after": "1h", "roles": ["operator"], "users": ["bob@example.org"]}
    approvers = {"users": ["ann@example.org"]}
    limits = {"deadline": "2d", "on_deadline": "reject", "escalate": escalate}
    run = parked(actor, "approval", message="Go?", approvers=approvers, **limits)
    wake_at = row(run, "a").wake_at
    deadline = wake_at + timedelta(hours=47)

    cause = only(actor, run)

    assert (cause.holder, cause.until) == ("ann@example.org", deadline)
    others = "a member with the role operator or bob@example.org"
    assert cause.message.endswith(
        f" From {say_time(wake_at)} on {others} may decide too. It is rejected by itself at {say_time(deadline)}."
    )

    TaskExecution.objects.filter(run_id=run.id).update(waits_for=row(run, "a").waits_for | {"is_escalated": True})

    assert only(actor, run).holder == f"ann@example.org or {others}"
    assert "may decide too" not in only(actor, run).message


def test_task_that_waits_for_a_run_explains_that_run(actor):
    catalog.apply_definition(actor=actor, document=Document.of(definition({"x": FAILING}, name="child")))
    run = parked(actor, "workflow", workflow="child")
    child = WorkflowRun.objects.get(parent_task__run=run)
    execute(child, "x")

    explained = explanation.explain(actor=actor, run_id=run.id)

    [task] = explained.tasks
    assert [cause.code for cause in task.causes] == ["child_run"]
    assert (task.causes[0].holder, task.child.run.id) == (f"run {child.id}", child.id)
    assert [[cause.code for cause in each.causes] for each in task.child.tasks] == [["retry"]]


def test_of_many_runs_below_only_some_are_explained(actor, monkeypatch):
    """Each costs several queries, and has runs below it in turn."""
    waiting = {"uses": "workflow", "with": {"workflow": "child"}}
    catalog.apply_definition(actor=actor, document=Document.of(definition({"x": FAILING}, name="child")))
    catalog.apply_definition(actor=actor, document=Document.of(definition({"m": waiting, "n": waiting}, name="middle")))
    below = waiting | {"with": {"workflow": "middle"}}
    run = start_run(actor, {"a": below, "b": below, "c": below})
    for key in ("a", "b", "c"):
        execute(run, key)
        for inner in ("m", "n"):
            execute(row(run, key).child_run, inner)
    monkeypatch.setattr(explanation, "MOST_RUNS", 4)

    explained = explanation.explain(actor=actor, run_id=run.id)

    children = [task.child for task in explained.tasks]
    below = [[task.child is not None for task in child.tasks] for child in children if child]
    assert ([child is not None for child in children], below) == ([True, True, False], [[True, True], [False, False]])
    assert explained.tasks[2].causes[0].holder == f"run {row(run, 'c').child_run_id}"


def test_task_that_waits_for_a_call_says_so(actor, empty_queue):
    run = start_run(actor, {"a": CALL})
    execute(run)

    assert only(actor, run).code == "celery"


@pytest.mark.parametrize("target", ["run", "workflow", "queue", "organization"])
def test_what_is_paused_says_by_whom_and_why(actor, target):
    run = start_run(actor, {"a": "", "b": "a"})
    targets = {
        "run": PauseTarget(run_id=run.id),
        "workflow": PauseTarget(workflow=run.workflow.name),
        "queue": PauseTarget(queue="maestro"),
        "organization": PauseTarget(),
    }
    pauses.pause(actor=actor, target=targets[target], reason="moving house")

    (code, message), *_ = causes(actor, run)["a"]

    assert code == "paused"
    assert f"is paused by {email(actor)} since " in message
    assert message.endswith(": moving house.")
    assert [code for code, _ in of_run(actor, run)] == ([] if target == "queue" else ["paused"])


def test_run_that_begins_later_says_when(actor):
    reference = start_run(actor, {"a": ""}).workflow.name
    run = runs.start_run(actor=actor, reference=reference, inputs={}, start_at=timedelta(hours=1))

    explained = explanation.explain(actor=actor, run_id=run.id)

    assert [(cause.code, cause.until) for cause in explained.causes] == [("delayed", run.start_at)]
    assert list(explained.tasks) == []


def test_run_lists_what_others_wait_for_and_counts_the_others(actor, connection):
    run = start_run(actor, {"a": "", "b": "", "c": "a b", "d": "c"})

    explained = explanation.explain(actor=actor, run_id=run.id)

    assert [each.task.task_key for each in explained.tasks] == ["a", "b"]
    assert explained.waiting_count == 2


def test_task_that_waits_for_others_leads_to_the_one_that_holds_all(actor, connection):
    run = start_run(actor, {"a": "", "b": "", "c": "a b", "d": "c"})
    do(connection, run, "b")

    found = causes(actor, run, "d")

    assert list(found) == ["d", "c", "a"]
    assert found["d"] == [("dependency", "It waits for c.")]
    assert found["c"] == [("dependency", "It waits for a.")]
    assert [code for code, _ in found["a"]] == ["no_worker"]


def test_task_that_was_skipped_leads_to_what_failed(actor, connection):
    run = start_run(actor, {"a": "", "b": "a", "c": "b"})
    do(connection, run, "a", FAILED)
    follow(connection, run, "a")

    found = causes(actor, run, "c")

    assert [(key, code) for key, [(code, _)] in found.items()] == [("c", "skipped"), ("b", "skipped"), ("a", "failed")]
    ended = WorkflowRun.objects.get(id=run.id)
    assert of_run(actor, run) == [("ended", f"It ended at {say_time(ended.finished_at)}: {ended.error_message}")]
    assert "a" in ended.error_message


def test_task_that_has_ended_says_how(actor, connection):
    run = start_run(actor, {"a": "", "b": "a", "c": {"if": "${{ 1 > 2 }}"}})
    do(connection, run, "a")
    execute(run, "c")

    assert only(actor, run, "a").message.startswith("It has succeeded at ")
    assert only(actor, run, "c").message.endswith("because its condition (if) was false.")
    runs.cancel_run(actor=actor, run_id=run.id)
    assert only(actor, run, "b").code == "cancelled"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cancelled_by": "ann@example.org"}, "ann@example.org has cancelled it"),
        ({"is_awaited": True}, "nobody waits for it any more"),
        ({}, "somebody has cancelled it"),
    ],
)
def test_run_that_was_cancelled_says_by_whom(actor, changed, said):
    run = start_run(actor, {"a": ""})
    WorkflowRun.objects.filter(id=run.id).update(status="cancelled", finished_at=Now(), **changed)
    ended = WorkflowRun.objects.get(id=run.id)

    assert of_run(actor, run) == [("ended", f"It ended at {say_time(ended.finished_at)}, because {said}.")]


def test_secrets_of_the_run_are_not_shown(actor):
    secret = {"type": "string", "writeOnly": True}
    failing = {"uses": "noop", "with": {"fail": "bad password hunter22"}, "retry": {"delay": "1h"}}
    run = start_run(actor, {"a": failing}, inputs={"password": secret}, given={"password": "hunter22"})
    execute(run)

    assert "hunter22" not in only(actor, run).message


def test_many_tasks_are_explained_with_few_questions(actor, django_assert_max_num_queries):
    run = start_run(actor, {f"t{number}": "" for number in range(45)} | {"end": {"needs": ["t0"]}})

    with django_assert_max_num_queries(25):
        explained = explanation.explain(actor=actor, run_id=run.id)

    assert (len(explained.tasks), explained.waiting_count) == (45, 1)


def test_what_is_not_there_is_not_explained(actor):
    run = start_run(make_actor(), {"a": ""})

    with pytest.raises(RunNotFound):
        explanation.explain(actor=actor, run_id=run.id)
    own = start_run(actor, {"a": ""})
    with pytest.raises(TaskNotFound):
        explanation.explain(actor=actor, run_id=own.id, task_key="z")
