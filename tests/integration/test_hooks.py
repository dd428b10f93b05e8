"""Hooks: which run after which end, what they see, and that no death, cancel or time limit comes between."""

import psycopg
import pytest

from executors.base import RunStop
from tests.builders import definition, start_run, statuses, wait_for_end
from tests.integration.calls import execute
from tests.integration.schedules import FAILED, SUCCEEDED, connect, do, follow, held_open, row, take
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.dispatch import cancellation, children, finalise, finish, leases, lost_messages, recovery, time_limits
from workflows.dispatch.broker import QueueView
from workflows.models import TaskExecution, WorkflowRun
from workflows.parking import services as signals
from workflows.pauses import services as pauses
from workflows.pauses.services import PauseTarget
from workflows.runs import services as runs
from workflows.runs.statuses import Reason

LONG_AGO = "2020-01-01T00:00:00Z"
HOOK = {"uses": "noop"}
ALL = {"on_failure": {"alert": HOOK}, "on_success": {"cheer": HOOK}, "finally": {"clean": HOOK}}


def seen(run):
    run = WorkflowRun.objects.get(id=run.id)
    return run.status, run.reason, run.outcome


def work(connection, run, key, outcome=SUCCEEDED):
    do(connection, run, key, outcome)
    follow(connection, run, key)


@pytest.mark.parametrize(
    ("outcome", "hook", "end"), [(SUCCEEDED, "cheer", "succeeded"), (FAILED, "alert", "failed")], ids=["good", "bad"]
)
def test_hooks_of_the_outcome_run_then_those_of_any_end(actor, connection, sent, outcome, hook, end):
    run = start_run(actor, {"a": ""}, **ALL)
    assert statuses(run.id) == {"a": "queued"}

    work(connection, run, "a", outcome)
    assert (statuses(run.id), seen(run)) == ({"a": end, hook: "queued"}, ("running", "hooks", end))
    work(connection, run, hook)
    assert (statuses(run.id), seen(run)) == (
        {"a": end, hook: "succeeded", "clean": "queued"},
        ("running", "hooks", end),
    )
    work(connection, run, "clean")

    assert seen(run) == (end, "", end)
    assert sent[-2:] == [hook, "clean"]


@pytest.mark.parametrize("hooks", [{"on_success": {"cheer": HOOK}}, {"on_failure": {}}])
def test_run_ends_at_once_when_no_hook_is_for_its_outcome(actor, connection, sent, hooks):
    run = start_run(actor, {"a": ""}, **hooks)

    work(connection, run, "a", FAILED)

    assert (statuses(run.id), seen(run)) == ({"a": "failed"}, ("failed", "", "failed"))


@pytest.mark.parametrize(("outcome", "end"), [(SUCCEEDED, "succeeded"), (FAILED, "failed")])
def test_hook_that_fails_changes_nothing_of_the_run(actor, connection, sent, outcome, end):
    run = start_run(actor, {"a": ""}, outputs={"x": 1}, **ALL)
    work(connection, run, "a", outcome)
    before = WorkflowRun.objects.get(id=run.id)

    for key in ("cheer" if outcome is SUCCEEDED else "alert", "clean"):
        work(connection, run, key, FAILED)

    ended = WorkflowRun.objects.get(id=run.id)
    assert (ended.status, ended.error_message, ended.outputs) == (end, before.error_message, before.outputs)
    assert before.outputs == ({"x": 1} if end == "succeeded" else None)


def test_hooks_have_needs_joins_and_conditions_of_their_own(actor, connection, sent):
    hooks = {
        "one": HOOK,
        "two": HOOK,
        "then": HOOK | {"needs": ["one"]},
        "never": HOOK | {"needs": ["two"], "run_if": "any_failed"},
    }
    run = start_run(actor, {"a": ""}, **{"finally": hooks})
    work(connection, run, "a")
    assert statuses(run.id) == {
        "a": "succeeded",
        "one": "queued",
        "two": "queued",
        "then": "pending",
        "never": "pending",
    }

    for key in ("one", "two", "then"):
        work(connection, run, key)

    assert statuses(run.id)["never"] == "skipped (upstream_skipped)"
    assert seen(run)[0] == "succeeded"


def test_hooks_see_how_the_run_ends_and_what_its_tasks_came_to(actor, connection, sent):
    read = (
        "${{ run.status }} ${{ run.error_message }} ${{ run.failed_tasks }} ${{ tasks.b.status }} ${{ run.workflow }}"
    )
    tasks = {
        "a": {"with": {"fail": "No."}},
        "b": {"with": {"output": 3}},
        "c": {"with": {"fail": True}, "continue_on_error": True},
    }
    hooks = {"alert": {"uses": "noop", "with": {"output": read}}}
    last = {"clean": {"uses": "noop", "if": "${{ 'a' in run.failed_tasks }}", "with": {"output": "${{ run }}"}}}
    run = start_run(actor, tasks, on_failure=hooks, **{"finally": last})

    for key in ("a", "b", "c", "alert", "clean"):
        execute(run, key)

    assert row(run, "alert").output == 'failed Task a failed: No. ["a"] succeeded test'
    facts = row(run, "clean").output
    assert (facts["status"], facts["failed_tasks"], facts["error_message"]) == ("failed", ["a"], "Task a failed: No.")
    assert seen(run)[0] == "failed"


def test_failures_are_told_in_the_order_in_which_they_came(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": ""}, on_failure={"tell": {"uses": "noop"}})

    work(connection, run, "b", FAILED)
    work(connection, run, "a", FAILED)

    outcome = finalise.read_outcome(connection, run.id)
    assert (outcome["error_message"], outcome["failed_tasks"]) == ("Task b failed: x", ["b", "a"])


def test_failure_of_an_expression_in_a_hook_names_its_place(actor, connection, sent):
    run = start_run(actor, {"a": ""}, on_success={"b": {"uses": "noop", "with": {"output": "${{ tasks.a.output.x }}"}}})

    execute(run, "a")
    execute(run, "b")

    assert row(run, "b").error_message.startswith("on_success.b.with.output: ")


def test_outputs_that_cannot_be_evaluated_are_a_failure_for_hooks_too(actor, connection, sent):
    run = start_run(actor, {"a": ""}, outputs={"x": "${{ tasks.a.output.x }}"}, **ALL)

    work(connection, run, "a")
    assert (statuses(run.id), seen(run)) == ({"a": "succeeded", "alert": "queued"}, ("running", "hooks", "failed"))
    for key in ("alert", "clean"):
        work(connection, run, key)

    assert seen(run) == ("failed", "outputs_failed", "failed")


def test_run_that_takes_too_long_has_its_hooks_run_without_that_limit(actor, connection, sent):
    run = start_run(actor, {"a": ""}, timeout="1h", **ALL)
    WorkflowRun.objects.filter(id=run.id).update(expires_at=LONG_AGO, started_at="2019-12-31T23:59:00Z")

    time_limits.end_overdue(connection)
    assert (statuses(run.id), seen(run)) == ({"a": "cancelled", "alert": "queued"}, ("running", "hooks", "failed"))
    assert WorkflowRun.objects.get(id=run.id).expires_at is None
    time_limits.end_overdue(connection)
    for key in ("alert", "clean"):
        work(connection, run, key)

    assert seen(run) == ("failed", "timed_out", "failed")
    assert WorkflowRun.objects.get(id=run.id).error_message == "The run took longer than the 60 s it may take."


def test_stop_has_its_hooks_run(actor, connection, sent):
    tasks = {"a": {"uses": "stop", "with": {"status": "failed", "message": "No."}}, "b": "a"}
    run = start_run(actor, tasks, **ALL)

    execute(run, "a")
    assert statuses(run.id) == {"a": "succeeded", "b": "cancelled", "alert": "queued"}
    for key in ("alert", "clean"):
        work(connection, run, key)

    ended = WorkflowRun.objects.get(id=run.id)
    assert (ended.status, ended.reason, ended.error_message) == ("failed", "stopped", "No.")


def test_cancel_has_only_finally_run(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": ""}, **ALL)
    claimed = take(connection, run, "b")

    runs.cancel_run(actor=actor, run_id=run.id)
    assert (statuses(run.id), seen(run)) == ({"a": "cancelled", "b": "running"}, ("running", "cancelling", ""))
    finish.finish(connection, claimed, FAILED)
    follow(connection, run, "b")
    assert statuses(run.id) == {"a": "cancelled", "b": "cancelled (stopped)", "clean": "queued"}
    assert seen(run) == ("running", "hooks", "cancelled")
    work(connection, run, "clean")

    assert seen(run) == ("cancelled", "", "cancelled")


def test_cancel_during_hooks_ends_them_and_the_run_as_was_decided(actor, connection, sent):
    run = start_run(actor, {"a": ""}, **ALL)
    work(connection, run, "a")

    runs.cancel_run(actor=actor, run_id=run.id)

    assert statuses(run.id) == {"a": "succeeded", "cheer": "cancelled"}
    assert seen(run) == ("succeeded", "", "succeeded")


def test_second_cancel_ends_the_hooks_of_a_cancelled_run(actor, connection, sent):
    run = start_run(actor, {"a": ""}, **ALL)
    runs.cancel_run(actor=actor, run_id=run.id)
    claimed = take(connection, run, "clean")

    runs.cancel_run(actor=actor, run_id=run.id)
    assert (statuses(run.id)["clean"], seen(run)) == ("running", ("running", "cancelling", "cancelled"))
    finish.finish(connection, claimed, FAILED)
    follow(connection, run, "clean")

    assert (statuses(run.id)["clean"], seen(run)) == ("cancelled (stopped)", ("cancelled", "", "cancelled"))


def test_outcome_is_decided_once_when_two_look_at_the_same_time(actor, connection, other, sent):
    run = start_run(actor, {"a": "", "b": ""}, **ALL)
    do(connection, run, "a")
    do(connection, run, "b", FAILED)

    with held_open(other, ("SELECT FROM workflow_runs WHERE id = %s FOR NO KEY UPDATE", (run.id,))) as meanwhile:
        looking = meanwhile(lambda: finalise.finalise_run(connection, run.id))
        assert finalise.finalise_run(other, run.id)

    assert looking.result() is False
    assert statuses(run.id) == {"a": "succeeded", "b": "failed", "alert": "queued"}


def test_run_whose_time_is_over_at_the_moment_its_tasks_end_keeps_its_hooks(actor, connection, other, sent):
    run = start_run(actor, {"a": ""}, timeout="1h", **ALL)
    do(connection, run, "a")
    WorkflowRun.objects.filter(id=run.id).update(expires_at=LONG_AGO)

    with held_open(other, ("SELECT FROM workflow_runs WHERE id = %s FOR NO KEY UPDATE", (run.id,))) as meanwhile:
        limiting = meanwhile(lambda: cancellation.stop_run(connection, run.id, Reason.TIMED_OUT))
        assert finalise.finalise_run(other, run.id)

    assert limiting.result() == "running"
    assert (statuses(run.id), seen(run)) == (
        {"a": "succeeded", "cheer": "queued"},
        ("running", "hooks", "succeeded"),
    )


def test_task_that_was_put_back_while_the_run_is_judged_keeps_its_hooks_from_beginning(actor, connection, other, sent):
    run = start_run(actor, {"a": ""}, **ALL)
    do(connection, run, "a")
    lock = ("SELECT FROM workflow_runs WHERE id = %s FOR NO KEY UPDATE", (run.id,))
    put_back = ("UPDATE task_executions SET status = 'pending', finished_at = NULL WHERE run_id = %s", (run.id,))

    with held_open(other, lock, put_back) as meanwhile:
        looking = meanwhile(lambda: finalise.finalise_run(connection, run.id))

    assert looking.result() is False
    assert (statuses(run.id), seen(run)) == ({"a": "pending"}, ("running", "", ""))


@pytest.mark.parametrize(
    "target_of",
    [
        lambda run: PauseTarget(run_id=run.id),
        lambda run: PauseTarget(workflow=run.workflow.name),
        lambda run: PauseTarget(queue="maestro"),
        lambda run: PauseTarget(),
    ],
    ids=["run", "workflow", "queue", "organization"],
)
def test_hooks_that_begin_during_a_pause_wait_for_the_resume(actor, connection, sent, target_of):
    run = start_run(actor, {"a": ""}, **ALL)
    claimed = take(connection, run, "a")
    pauses.pause(actor=actor, target=target_of(run), reason="")

    finish.finish(connection, claimed, SUCCEEDED)
    follow(connection, run, "a")
    assert (statuses(run.id)["cheer"], row(run, "cheer").hold) == ("queued", 1)
    assert take(connection, run, "cheer") is None
    pauses.resume(actor=actor, target=target_of(run))

    assert (row(run, "cheer").hold, sent[-1]) == (0, "cheer")
    assert seen(run)[:2] == ("running", "hooks")
    for key in ("cheer", "clean"):
        work(connection, run, key)
    assert seen(run) == ("succeeded", "", "succeeded")


def test_hooks_are_written_as_held_when_their_run_is_paused(actor, connection, sent, monkeypatch):
    run = start_run(actor, {"a": ""}, **ALL)
    claimed = take(connection, run, "a")
    pauses.pause(actor=actor, target=PauseTarget(run_id=run.id), reason="")
    finish.finish(connection, claimed, SUCCEEDED)

    monkeypatch.setattr(finalise.start, "send_first", lambda *_: None)
    follow(connection, run, "a")

    assert (WorkflowRun.objects.get(id=run.id).hold, row(run, "cheer").hold) == (1, 1)


def test_decision_is_not_half_written_when_its_writer_dies(actor, connection, sent, monkeypatch):
    run = start_run(actor, {"a": ""}, **ALL)
    do(connection, run, "a")
    with connect() as dying:
        deadly = f"{finalise._BEGIN_HOOKS} AND pg_terminate_backend(pg_backend_pid())"
        monkeypatch.setattr(finalise, "_BEGIN_HOOKS", deadly)
        with pytest.raises(psycopg.OperationalError):
            finalise.finalise_run(dying, run.id)

    assert (statuses(run.id), seen(run)) == ({"a": "succeeded"}, ("running", "", ""))


@pytest.mark.parametrize("section", ["tasks", "on_success", "finally"])
def test_recovery_finds_what_nobody_looked_at_after_a_section_ended(actor, connection, sent, monkeypatch, section):
    run = start_run(actor, {"a": ""}, **ALL)
    keys = {"tasks": ["a"], "on_success": ["a", "cheer"], "finally": ["a", "cheer", "clean"]}[section]
    for key in keys[:-1]:
        work(connection, run, key)
    do(connection, run, keys[-1])
    WorkflowRun.objects.filter(id=run.id).update(started_at=LONG_AGO)

    # Other tests leave runs behind that have ended, too: more than one look finds.
    monkeypatch.setattr(recovery, "_ENDED_RUNS", recovery._ENDED_RUNS.replace("LIMIT", f"AND r.id = '{run.id}' LIMIT"))
    assert recovery.recover_ended(connection) == 1

    following = {"tasks": "cheer", "on_success": "clean"}.get(section)
    if following is None:
        assert seen(run)[0] == "succeeded"
    else:
        assert statuses(run.id)[following] == "queued"


def test_hook_whose_message_was_never_sent_is_sent_by_recovery(actor, connection, sent, monkeypatch):
    run = start_run(actor, {"a": ""}, **ALL)
    do(connection, run, "a")
    monkeypatch.setattr(finalise.start, "send_first", lambda *_: None)
    follow(connection, run, "a")
    assert sent == ["a"]
    TaskExecution.objects.filter(run_id=run.id, task_key="cheer").update(queued_at=LONG_AGO)
    empty = QueueView(is_empty=True, head_queued_at=None)
    monkeypatch.setattr(lost_messages, "look_at_queue", lambda *_: empty)

    lost_messages.resend_lost(connection)

    assert sent == ["a", "cheer"]


def test_hook_that_must_not_run_twice_fails_at_its_first_loss(actor, connection, sent, worker_row):
    run = start_run(actor, {"a": ""}, on_success={"cheer": HOOK | {"on_worker_lost": "fail"}})
    work(connection, run, "a")
    take(connection, run, "cheer")
    TaskExecution.objects.filter(run_id=run.id, task_key="cheer").update(claim_worker_id=run.id)

    leases.take_back_lost(connection)

    assert statuses(run.id)["cheer"].startswith("failed")


def test_hook_stops_no_run(actor, connection, sent):
    run = start_run(actor, {"a": ""}, on_success={"cheer": HOOK, "more": HOOK})
    work(connection, run, "a")
    claimed = take(connection, run, "cheer")

    cancellation.finish_and_stop(connection, claimed, SUCCEEDED, RunStop(succeeds=False))

    assert statuses(run.id) == {"a": "succeeded", "cheer": "succeeded", "more": "queued"}
    assert seen(run) == ("running", "hooks", "succeeded")


def child_of(run):
    return WorkflowRun.objects.get(id=row(run, "a").child_run_id)


def start_parent(actor):
    child = definition({"x": ""}, name="child", **ALL)
    catalog.apply_definition(actor=actor, document=Document.of(child))
    return start_run(actor, {"a": {"uses": "workflow", "with": {"workflow": "child"}}})


def test_task_waits_for_the_hooks_of_its_child_too(actor, connection, sent):
    run = start_parent(actor)
    execute(run, "a")
    child = child_of(run)

    for key in ("x", "cheer"):
        work(connection, child, key)
    assert statuses(run.id) == {"a": "waiting (child_run)"}
    work(connection, child, "clean")

    assert (seen(child)[0], seen(run)[0]) == ("succeeded", "succeeded")


def test_cancel_from_above_has_the_childs_finally_run_to_its_end(actor, connection, sent):
    run = start_parent(actor)
    execute(run, "a")
    child = child_of(run)

    runs.cancel_run(actor=actor, run_id=run.id)
    assert children.find_left_alone(connection, run.id, limit=10) == []
    recovery.recover_children(connection)
    assert statuses(child.id) == {"x": "cancelled", "clean": "queued"}
    work(connection, child, "clean")

    assert (seen(run)[0], seen(child)[0], statuses(child.id)["clean"]) == ("cancelled", "cancelled", "succeeded")


@pytest.mark.parametrize(
    "stop",
    [
        lambda connection, _: recovery.recover_children(connection),
        lambda connection, run: cancellation.stop_run(connection, run.id, Reason.CANCELLING),
    ],
    ids=["the tick", "a cancel from above"],
)
def test_two_that_stop_a_child_at_once_leave_its_hooks_to_end(actor, connection, sent, monkeypatch, stop):
    """Both find it left alone while its own tasks are open; when the second comes to stop it, its hooks have begun."""
    run = start_parent(actor)
    execute(run, "a")
    child = child_of(run)
    cancellation._mark_stopped(connection, run.id, Reason.CANCELLING)
    found = children.find_left_alone(connection, limit=10)
    recovery.recover_children(connection)

    monkeypatch.setattr(children, "find_left_alone", lambda *given, **more: [found.pop()] if found else [])
    stop(connection, run)

    assert statuses(child.id) == {"x": "cancelled", "clean": "queued"}
    assert seen(child) == ("running", "hooks", "cancelled")


def test_time_limit_of_the_task_above_leaves_the_hooks_of_its_child_to_end(actor, connection, sent):
    run = start_parent(actor)
    execute(run, "a")
    child = child_of(run)
    work(connection, child, "x")
    TaskExecution.objects.filter(run_id=run.id).update(started_at=LONG_AGO, expires_at=LONG_AGO)

    time_limits.end_overdue(connection)

    assert row(run, "a").error_code == "timed_out"
    assert statuses(child.id) == {"x": "succeeded", "cheer": "queued"}


def test_hook_may_run_another_workflow(actor, connection, sent):
    catalog.apply_definition(actor=actor, document=Document.of(definition({"x": ""}, name="child")))
    run = start_run(actor, {"b": ""}, **{"finally": {"a": {"uses": "workflow", "with": {"workflow": "child"}}}})
    work(connection, run, "b")

    execute(run, "a")
    work(connection, child_of(run), "x")

    assert (statuses(run.id), seen(run)[0]) == ({"b": "succeeded", "a": "succeeded"}, "succeeded")


def test_hook_may_wait_for_a_signal(actor, connection, sent):
    run = start_run(actor, {"b": ""}, on_success={"go": {"uses": "signal"}})
    work(connection, run, "b")
    execute(run, "go")

    signals.send_signal(actor=actor, run_id=run.id, name="go", payload={"x": 1})

    assert (statuses(run.id), seen(run)[0]) == ({"b": "succeeded", "go": "succeeded"}, "succeeded")


def test_real_workers_run_hooks_to_the_end(actor, worker):
    hooks = {
        "alert": {"uses": "noop", "with": {"output": "${{ run.error_message }}"}},
        "ticket": {"uses": "noop", "needs": ["alert"], "with": {"output": "${{ tasks.alert.output }}"}},
    }
    tasks = {"a": {"with": {"fail": "No."}}, "b": "a", "c": ""}
    run = start_run(actor, tasks, on_failure=hooks, **{"finally": {f"clean_{i}": HOOK for i in range(60)}})

    finished = wait_for_end(run.id)

    assert (finished.status, finished.error_message) == ("failed", "Task a failed: No.")
    ends = statuses(run.id)
    assert (row(run, "ticket").output, ends["c"]) == ("Task a failed: No.", "succeeded")
    assert {end for key, end in ends.items() if key.startswith("clean")} == {"succeeded"}
