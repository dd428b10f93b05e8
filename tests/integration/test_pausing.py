"""Pauses: what is held, what goes on, and what meets a pause in the middle."""

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from django.db.models import F

from accounts.choices import Role
from accounts.errors import PermissionMissing
from executors.base import ChildRun
from tests.builders import definition, join, make_actor, start_run, statuses, wait_for_end
from tests.integration.calls import execute
from tests.integration.schedules import HOLDER, connect, do, follow, held_open, ref, row, take, task_of
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.dispatch import (
    advance,
    children,
    execution,
    finalise,
    finish,
    holds,
    lost_messages,
    pausing,
    recovery,
    retry,
    start,
    time_limits,
)
from workflows.dispatch.broker import QueueView
from workflows.dispatch.finish import Outcome
from workflows.errors import AlreadyPaused, NotPaused, QueueNotFound, RunAlreadyFinished, RunNotFound, WorkflowNotFound
from workflows.models import Pause, TaskExecution, WorkflowRun
from workflows.pauses import selectors, services
from workflows.pauses.services import PauseTarget
from workflows.runs import services as runs
from workflows.runs.statuses import TaskStatus

LONG_AGO = "2020-01-01T00:00:00Z"
ALL = PauseTarget()
QUEUE = PauseTarget(queue="maestro")
FAILING = {"uses": "noop", "with": {"fail": True}, "retry": {"delay": "60s", "jitter": False}}


def of(run):
    return PauseTarget(run_id=run.id)


def of_workflow(run):
    return PauseTarget(workflow=run.workflow.name)


def pause(actor, target, reason=""):
    return services.pause(actor=actor, target=target, reason=reason)


def resume(actor, target):
    return services.resume(actor=actor, target=target)


def held_of(run):
    tasks = TaskExecution.objects.filter(run_id=run.id).order_by("position")
    return WorkflowRun.objects.get(id=run.id).hold, [task.hold for task in tasks]


def status(run):
    found = WorkflowRun.objects.get(id=run.id)
    return f"{found.status} ({found.reason})" if found.reason else found.status


@pytest.fixture(params=["run", "workflow", "queue", "organization"])
def target_of(request):
    """Each of the four ways to pause a run."""
    targets = {"run": of, "workflow": of_workflow, "queue": lambda run: QUEUE, "organization": lambda run: ALL}
    return targets[request.param]


def test_nothing_begins_while_it_is_paused(actor, connection, sent, target_of):
    run = start_run(actor, {"a": "", "b": "a"})
    pause(actor, target_of(run))

    assert take(connection, run, "a") is None
    assert statuses(run.id) == {"a": "queued", "b": "pending"}


def test_what_runs_goes_on_and_what_follows_waits(actor, connection, sent, target_of):
    run = start_run(actor, {"a": "", "b": "a"})
    claimed = take(connection, run, "a")
    pause(actor, target_of(run))
    sent.clear()

    assert finish.finish(connection, claimed, Outcome(status=TaskStatus.SUCCEEDED)).hold == 1
    follow(connection, run, "a")
    recovery.ReadySweep().recover(connection)

    assert (statuses(run.id), sent) == ({"a": "succeeded", "b": "pending"}, [])


def test_all_that_is_ready_starts_at_the_resume(actor, connection, sent, target_of):
    run = start_run(actor, {"a": "", "b": "", "c": "a", "d": "c"})
    claimed = take(connection, run, "a")
    pause(actor, target_of(run))
    finish.finish(connection, claimed, Outcome(status=TaskStatus.SUCCEEDED))
    sent.clear()

    resume(actor, target_of(run))

    assert statuses(run.id) == {"a": "succeeded", "b": "queued", "c": "queued", "d": "pending"}
    assert sorted(sent) == ["b", "c"]
    assert held_of(run) == (0, [0, 0, 0, 0]) or held_of(run) == (0, [1, 0, 0, 0])
    assert take(connection, run, "c") is not None


def test_run_that_is_paused_says_so(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": "a"})

    paused = pause(actor, of(run), "the warehouse is being moved")

    assert status(run) == "running (paused)"
    assert (paused.scope, paused.reason, paused.paused_by_id) == ("run", "the warehouse is being moved", actor.user_id)
    assert [each.id for each in selectors.list_pauses(actor=actor, run_id=run.id)] == [paused.id]
    resume(actor, of(run))
    assert status(run) == "running"
    assert not selectors.list_pauses(actor=actor).exists()


def test_run_whose_last_task_ends_during_a_pause_ends(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    claimed = take(connection, run, "a")
    pause(actor, of(run))

    finish.finish(connection, claimed, Outcome(status=TaskStatus.SUCCEEDED))
    follow(connection, run, "a")

    assert (status(run), WorkflowRun.objects.get(id=run.id).hold) == ("succeeded", 0)
    assert not selectors.list_pauses(actor=actor).exists()


def test_pause_reaches_more_runs_than_one_transaction_takes(actor, connection, sent, monkeypatch):
    monkeypatch.setattr(pausing, "SLICE", 2)
    started = [start_run(actor, {"a": ""}) for _ in range(5)]

    pause(actor, ALL)
    assert [held_of(run) for run in started] == [(1, [1])] * 5
    resume(actor, ALL)

    assert [held_of(run) for run in started] == [(0, [0])] * 5


def test_pausing_again_replaces_the_reason_if_there_is_one(actor, sent):
    run = start_run(actor, {"a": ""})

    paused = [pause(actor, of(run), reason) for reason in ("one", "two", "")]

    assert [each.reason for each in paused] == ["one", "two", "two"]
    assert len({each.id for each in paused}) == Pause.objects.filter(run=run).count() == 1


@pytest.mark.parametrize("reason", ["", "moving house"])
def test_what_somebody_else_has_paused_is_not_paused_again(actor, sent, reason):
    run = start_run(actor, {"a": ""})
    paused = pause(join(actor, Role.OPERATOR), of(run), reason)

    with pytest.raises(AlreadyPaused) as refused:
        pause(actor, of(run), "another")

    since = f"{paused.paused_by.email} since {paused.paused_at:%Y-%m-%d %H:%M:%S}Z"
    assert refused.value.message.startswith(f"It is paused already by {since}{f': {reason}' if reason else ''}. ")
    assert refused.value.details["reason"] == (reason or None)
    assert Pause.objects.get(run=run).reason == reason


def test_resume_leaves_what_another_pause_covers(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": ""})
    pause(actor, of(run))
    pause(actor, QUEUE)

    resume(actor, of(run))
    assert held_of(run) == (0, [1, 1])
    assert take(connection, run, "a") is None

    resume(actor, QUEUE)
    assert held_of(run) == (0, [0, 0])


@pytest.mark.parametrize("target", [None, QUEUE, ALL], ids=["workflow", "queue", "organization"])
def test_run_started_during_a_pause_waits(actor, connection, sent, target):
    first = start_run(actor, {"a": "", "b": "a"})
    target = target or of_workflow(first)
    pause(actor, target)

    run = runs.start_run(actor=actor, reference=first.workflow.name, inputs={})

    assert statuses(run.id) == {"a": "queued", "b": "pending"}
    sent.clear()
    assert take(connection, run, "a") is None
    resume(actor, target)
    assert "a" in sent
    assert take(connection, run, "a") is not None


def test_other_workflows_and_organizations_go_on(actor, connection, sent):
    paused = start_run(actor, {"a": ""})
    other = catalog.apply_definition(actor=actor, document=Document.of(definition({"a": ""}, name="other"))).workflow
    pause(actor, of_workflow(paused))

    run = runs.start_run(actor=actor, reference=other.name, inputs={})
    foreign = start_run(make_actor(), {"a": ""})

    assert take(connection, run, "a") is not None
    pause(actor, ALL)
    pause(actor, QUEUE)
    assert take(connection, foreign, "a") is not None


def test_cancel_ends_a_paused_run(actor, sent):
    run = start_run(actor, {"a": "", "b": "a"})
    pause(actor, of(run))

    runs.cancel_run(actor=actor, run_id=run.id)

    assert (status(run), statuses(run.id)) == ("cancelled", {"a": "cancelled", "b": "cancelled"})
    assert not selectors.list_pauses(actor=actor).exists()


@pytest.mark.parametrize("target_of", [of, of_workflow, lambda _: QUEUE, lambda _: ALL])
def test_pause_and_resume_leave_a_run_that_is_being_cancelled_alone(actor, connection, sent, target_of):
    run = start_run(actor, {"a": "", "b": "a"})
    claimed = take(connection, run, "a")
    runs.cancel_run(actor=actor, run_id=run.id)

    pause(actor, target_of(run))
    assert (held_of(run), status(run)) == ((2, [2, 2]), "running (cancelling)")
    resume(actor, target_of(run))

    assert (held_of(run), status(run)) == ((2, [2, 2]), "running (cancelling)")
    finish.finish(connection, claimed, Outcome(status=TaskStatus.CANCELLED))
    follow(connection, run, "a")
    assert status(run) == "cancelled"


def test_next_attempt_of_a_paused_task_waits_for_the_resume(actor, connection, sent):
    run = start_run(actor, {"a": FAILING})
    execute(run)
    pause(actor, of(run))
    TaskExecution.objects.filter(run_id=run.id).update(wake_at="2020-01-01T00:00:00Z")

    retry.wake_due(connection)
    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}
    resume(actor, of(run))
    retry.wake_due(connection)
    assert statuses(run.id)["a"].startswith("queued")


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        (PauseTarget(run_id=UUID(int=7)), RunNotFound),
        (PauseTarget(workflow="none"), WorkflowNotFound),
        (PauseTarget(queue="none"), QueueNotFound),
    ],
)
def test_what_does_not_exist_is_not_paused(actor, target, refusal):
    with pytest.raises(refusal):
        pause(actor, target)
    with pytest.raises(refusal):
        resume(actor, target)


def test_runs_of_others_are_not_paused(actor, sent):
    run = start_run(make_actor(), {"a": ""})

    with pytest.raises(RunNotFound):
        pause(actor, of(run))


def test_viewer_pauses_nothing(actor, sent):
    viewer = make_actor(Role.VIEWER)

    with pytest.raises(PermissionMissing):
        pause(viewer, ALL)
    with pytest.raises(PermissionMissing):
        resume(viewer, ALL)


def test_ended_run_is_not_paused(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    do(connection, run, "a")
    finalise.finalise_run(connection, run.id)

    with pytest.raises(RunAlreadyFinished):
        pause(actor, of(run))


def test_resume_of_what_is_not_paused_names_the_pauses_there_are(actor, sent):
    run = start_run(actor, {"a": ""})
    pause(actor, ALL)

    with pytest.raises(NotPaused, match=r"The run is not paused\. Pauses there are: of organization\."):
        resume(actor, of(run))


# What meets in the middle: one of any two commits first, the other one looks second.


def test_claim_that_waits_for_a_pause_does_not_start(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    Pause.objects.create(organization_id=actor.organization_id, scope="run", run=run)

    with connect() as other, held_open(connection, _settling(run)) as meanwhile:
        claimed = meanwhile(lambda: take(other, run, "a"))

    assert claimed.result() is None
    assert statuses(run.id) == {"a": "queued"}


def test_pause_that_does_not_see_a_start_is_seen_by_it(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    sent.clear()
    Pause.objects.create(organization_id=actor.organization_id, scope="organization")

    assert holds.is_started_paused(connection, ref(run)) is True
    assert held_of(run) == (1, [1])


def test_pause_that_comes_during_a_resume_holds(actor, connection, sent):
    """The resume has let go, and not committed; whoever pauses all meanwhile waits for the run, and looks again."""
    run = start_run(actor, {"a": ""})
    pause(actor, of(run))
    Pause.objects.filter(run=run).update(resumed_at=F("paused_at") + timedelta(seconds=1))
    everything = Pause.objects.create(organization_id=actor.organization_id, scope="organization")
    let_go = ("UPDATE workflow_runs SET hold = 0 WHERE id = %s", (run.id,))
    tasks = ("UPDATE task_executions SET hold = 0 WHERE run_id = %s", (run.id,))

    with connect() as other, held_open(connection, let_go, tasks) as meanwhile:
        settled = meanwhile(lambda: pausing.settle_pause(other, everything.id))

    settled.result()
    assert held_of(run) == (1, [1])


def test_resume_that_comes_during_another_pause_sees_it(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    first = pause(actor, of(run))
    lock = ("SELECT FROM workflow_runs WHERE id = %s FOR NO KEY UPDATE", (run.id,))

    with connect() as other, held_open(connection, lock) as meanwhile:
        Pause.objects.filter(id=first.id).update(resumed_at=F("paused_at"), settled_at=None)
        settled = meanwhile(lambda: pausing.settle_pause(other, first.id))
        Pause.objects.create(organization_id=actor.organization_id, scope="organization")

    settled.result()
    assert held_of(run) == (1, [1])


def test_what_a_death_left_undone_is_done(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    long_ago = F("paused_at") - timedelta(minutes=1)
    paused = Pause.objects.create(organization_id=actor.organization_id, scope="run", run=run)
    Pause.objects.filter(id=paused.id).update(paused_at=long_ago)

    pausing.settle_left_over(connection)
    assert held_of(run) == (1, [1])

    sent.clear()
    Pause.objects.filter(id=paused.id).update(resumed_at=F("paused_at"), settled_at=None)
    pausing.settle_left_over(connection)
    assert (held_of(run), sent) == ((0, [0]), ["a"])


def test_resume_that_died_while_the_pause_was_still_being_settled_is_done(actor, connection, sent, monkeypatch):
    run = start_run(actor, {"a": ""})
    paused = Pause.objects.create(organization_id=actor.organization_id, scope="run", run=run)
    settle = pausing.settle_runs

    def settle_and_be_resumed(*given):
        settle(*given)
        Pause.objects.filter(id=paused.id).update(resumed_at=F("paused_at") - timedelta(minutes=1))

    with monkeypatch.context() as patched:
        patched.setattr(pausing, "settle_runs", settle_and_be_resumed)
        pausing.settle_pause(connection, paused.id)
    assert held_of(run) == (1, [1])

    pausing.settle_left_over(connection)

    assert held_of(run) == (0, [0])


def test_start_that_died_before_it_looked_is_held(actor, connection, sent):
    run = start_run(actor, {"a": ""})
    pause(actor, ALL)
    WorkflowRun.objects.filter(id=run.id).update(hold=0, created_at=F("created_at") - timedelta(minutes=1))
    TaskExecution.objects.filter(run_id=run.id).update(hold=0)

    pausing.UnheldStarts().hold(connection)

    assert held_of(run) == (1, [1])


@pytest.mark.parametrize(("seconds", "is_held"), [(0, False), (6, True), (60, False)])
def test_later_looks_find_the_starts_between_them(actor, connection, sent, seconds, is_held):
    starts = pausing.UnheldStarts()
    pause(actor, ALL)
    starts.hold(connection)
    run = start_run(actor, {"a": ""})
    WorkflowRun.objects.filter(id=run.id).update(hold=0, created_at=F("created_at") - timedelta(seconds=seconds))
    TaskExecution.objects.filter(run_id=run.id).update(hold=0)

    starts.hold(connection)

    assert held_of(run) == ((1, [1]) if is_held else (0, [0]))


@pytest.mark.parametrize("target", [ALL, QUEUE], ids=["organization", "queue"])
def test_what_became_ready_during_a_pause_is_held_though_whoever_made_it_so_died(
    actor, connection, sent, monkeypatch, target
):
    """Hooks of a run that is long under way: a death between the commit that wrote them and the look at pauses."""
    run = start_run(actor, {"a": ""}, **{"finally": {"clean": {"uses": "noop"}}})
    claimed = take(connection, run, "a")
    pause(actor, target)
    WorkflowRun.objects.filter(id=run.id).update(created_at=LONG_AGO)
    runs.cancel_run(actor=actor, run_id=run.id)
    finish.finish(connection, claimed, Outcome(status=TaskStatus.CANCELLED))
    monkeypatch.setattr(finalise.start, "send_first", lambda *_: None)
    follow(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id, task_key="clean").update(queued_at=LONG_AGO)
    monkeypatch.setattr(lost_messages, "look_at_queue", lambda *_: QueueView(is_empty=True, head_queued_at=None))

    pausing.UnheldStarts().hold(connection)
    lost_messages.resend_lost(connection)

    assert take(connection, run, "clean") is None
    sent.clear()
    resume(actor, target)
    assert sent == ["clean"]


def test_stale_message_of_a_paused_task_is_dropped_and_nothing_is_lost(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": "a"})
    pause(actor, of(run))
    execution.execute_task(task_of(run, "a"), HOLDER, canvas_ends=True)
    sent.clear()

    resume(actor, of(run))

    assert sent == ["a"]


def test_kick_starts_nothing_twice(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": "a"})
    take(connection, run, "a")
    sent.clear()

    advance.kick(connection, run.id)

    assert (statuses(run.id), sent) == ({"a": "running", "b": "pending"}, [])


def test_run_that_is_paused_and_resumed_ends_on_real_workers(actor, worker):
    tasks = {f"t{number}": {"with": {"duration": "200ms"}} for number in range(4)} | {
        "join": "t0 t1 t2 t3",
        "z": "join",
    }
    run = start_run(actor, tasks)
    for _ in range(3):
        pause(actor, ALL)
        resume(actor, ALL)
        pause(actor, QUEUE)
        resume(actor, QUEUE)

    assert wait_for_end(run.id).status == "succeeded"


def _settling(run):
    return "UPDATE task_executions SET hold = 1 WHERE run_id = %s", (run.id,)


def test_child_is_paused_and_resumed_with_the_run_that_waits_for_it(actor, connection, sent):
    child = {"x": ""}
    catalog.apply_definition(actor=actor, document=Document.of(definition(child, name="child")))
    calls = {"awaits": ("a", True), "leaves": ("b", False)}
    tasks = {
        key: {"uses": "workflow", "with": {"workflow": "child", "wait": waits}} for key, (_, waits) in calls.items()
    }
    run = start_run(actor, tasks)
    execute(run, "awaits")
    execute(run, "leaves")
    awaited, detached = (row(run, key).child_run or _detached(run) for key in ("awaits", "leaves"))

    pause(actor, of(run))
    assert (held_of(awaited), held_of(detached)) == ((1, [1]), (0, [0]))
    assert [each.scope for each in selectors.list_pauses(actor=actor, run_id=awaited.id)] == ["run"]

    resume(actor, of(run))
    assert held_of(awaited) == (0, [0])
    assert take(connection, awaited, "x") is not None


def test_child_that_a_pause_covers_is_not_sent_by_the_repeat_of_its_beginning(actor, connection, sent, monkeypatch):
    """The connection dies between the commit that began the child and the look at pauses; the attempt begins again."""
    catalog.apply_definition(actor=actor, document=Document.of(definition({"x": ""}, name="child")))
    run = start_run(actor, {"a": {"uses": "workflow", "with": {"workflow": "child"}}})
    claimed = take(connection, run, "a")
    planned = children.plan(connection, claimed, ChildRun(workflow="child"))
    pause(actor, PauseTarget(workflow="child"))
    sent.clear()

    def die(*_):
        raise psycopg.OperationalError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr(start, "send_first", die)
        with pytest.raises(psycopg.OperationalError):
            children.begin(connection, claimed, planned)
    children.begin(connection, claimed, planned)

    assert (held_of(row(run, "a").child_run), sent) == ((1, [1]), [])


def _detached(run):
    return WorkflowRun.objects.get(parent_task__run=run, is_awaited=False)


def _start_with_child(actor, **hooks):
    catalog.apply_definition(actor=actor, document=Document.of(definition({"x": ""}, name="child", **hooks)))
    run = start_run(actor, {"a": {"uses": "workflow", "with": {"workflow": "child"}}})
    execute(run, "a")
    return run, row(run, "a").child_run


@pytest.mark.parametrize("target_of", [of, of_workflow], ids=["run", "workflow"])
def test_child_at_its_hooks_goes_on_when_the_paused_run_above_is_cancelled(actor, connection, sent, target_of):
    run, child = _start_with_child(actor, **{"finally": {"clean": {"uses": "noop"}}})
    do(connection, child, "x")
    follow(connection, child, "x")
    pause(actor, target_of(run))
    assert (held_of(child)[0], status(child)) == (1, "running (paused)")
    sent.clear()

    runs.cancel_run(actor=actor, run_id=run.id)
    pausing.settle_children(connection)

    assert (held_of(child)[0], status(child), sent) == (0, "running (hooks)", ["clean"])
    assert not selectors.list_pauses(actor=actor, run_id=child.id)


def test_child_that_its_task_does_not_wait_for_any_more_is_no_part_of_a_pause_above(actor, connection, sent):
    child = definition({"x": ""}, name="child") | {"finally": {"clean": {"uses": "noop"}}}
    catalog.apply_definition(actor=actor, document=Document.of(child))
    limits = {"timeout": "10s", "retry": {"max_attempts": 2, "delay": "60s", "jitter": False}}
    run = start_run(actor, {"a": {"uses": "workflow", "with": {"workflow": "child"}} | limits})
    execute(run, "a")
    first = row(run, "a").child_run
    do(connection, first, "x")
    follow(connection, first, "x")
    TaskExecution.objects.filter(run_id=run.id).update(expires_at=LONG_AGO)
    time_limits.end_overdue(connection)
    assert (statuses(run.id), status(first)) == ({"a": "waiting (retry_backoff)"}, "running (hooks)")

    pause(actor, of(run))
    pausing.settle_runs(connection, [first.id])
    assert (held_of(run), held_of(first)[0]) == ((1, [1]), 0)
    assert not selectors.list_pauses(actor=actor, run_id=first.id)

    resume(actor, of(run))
    TaskExecution.objects.filter(run_id=run.id).update(wake_at=LONG_AGO)
    retry.wake_due(connection)
    execute(run, "a")
    pause(actor, of(run))
    pausing.settle_runs(connection, [first.id])
    assert (held_of(row(run, "a").child_run)[0], held_of(first)[0]) == (1, 0)
    assert not selectors.list_pauses(actor=actor, run_id=first.id)


def test_child_that_began_during_the_resume_of_the_run_above_goes_on_though_its_starter_died(actor, connection, sent):
    """The resume looked for children before there was one; it was held with its parent, and nobody looked again."""
    _, child = _start_with_child(actor)
    WorkflowRun.objects.filter(id=child.id).update(hold=1, reason="paused")
    TaskExecution.objects.filter(run_id=child.id).update(hold=1)
    sent.clear()

    pausing.settle_children(connection)

    assert (held_of(child), status(child), sent) == ((0, [0]), "running", ["x"])


def test_child_that_began_held_is_let_go_by_its_starter_when_the_pause_is_over_by_then(actor, connection, sent):
    _, child = _start_with_child(actor)
    WorkflowRun.objects.filter(id=child.id).update(hold=1, reason="paused")
    TaskExecution.objects.filter(run_id=child.id).update(hold=1)

    assert holds.is_started_paused(connection, ref(child)) is False

    assert (held_of(child), status(child)) == ((0, [0]), "running")


@pytest.mark.parametrize("above", ["run", "workflow", "queue", "organization"])
def test_child_that_a_pause_covers_stays_held(actor, connection, sent, above):
    run, child = _start_with_child(actor)
    pause(actor, {"run": of(run), "workflow": of_workflow(child), "queue": QUEUE, "organization": ALL}[above])
    held = held_of(child)

    pausing.settle_children(connection)

    assert held_of(child) == held
    assert take(connection, child, "x") is None
