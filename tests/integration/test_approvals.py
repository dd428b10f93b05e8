"""Approvals: who may decide what, once; and what deadlines and escalations make of those that nobody decides."""

import dataclasses
from datetime import timedelta

import pytest
from django.db import connection as django_connection

from accounts.choices import Role
from accounts.errors import PermissionMissing
from accounts.models import User
from accounts.permissions.roles import PERMISSIONS, Permission
from executors.models import TaskLogLine
from tests.builders import join, make_actor, start_run, statuses, wait_for_end
from tests.integration.calls import execute
from tests.integration.schedules import held_open, hold, row
from tests.patience import wait_until
from workflows.definition.secrets import MASK
from workflows.dispatch import waits
from workflows.errors import (
    AlreadyDecided,
    ApprovalNotAwaited,
    FormRefused,
    NotAnApprover,
    RunIsPaused,
    RunNotFound,
    TaskNotFound,
)
from workflows.models import ApprovalDecision, TaskExecution, WorkflowRun
from workflows.parking import selectors, services
from workflows.parking.approval import Outcome
from workflows.rest.waiting_serializers import ApprovalOutput
from workflows.runs import services as runs

LONG_AGO = "2020-01-01T00:00:00Z"
FORM = {"reason": {"type": "string"}, "urgent": {"type": "boolean", "default": False}}


def asking(more=None, **options):
    return {"uses": "approval", "with": {"message": "Go on?", **options}, **(more or {})}


def begin(actor, tasks=None, **more):
    """A run of which the task `a` waits for a decision."""
    run = start_run(actor, tasks or {"a": asking(), "b": "a"}, **more)
    execute(run)
    assert statuses(run.id)["a"] == "waiting (approval)"
    return run


def decide(actor, run, outcome=Outcome.APPROVED, task_key="a", **more):
    return services.decide_approval(actor=actor, run_id=run.id, task_key=task_key, outcome=outcome, **more)


def email_of(actor):
    return User.objects.get(id=actor.user_id).email


def wait_until_it_asks(run):
    wait_until(lambda: statuses(run.id)["a"] == "waiting (approval)")


def make_due(run):
    TaskExecution.objects.filter(run_id=run.id, status="waiting").update(wake_at=LONG_AGO)


def in_thread(work):
    try:
        return work()
    finally:
        django_connection.close()


def test_approval_ends_the_wait_and_the_output_says_who(actor, sent):
    run = begin(actor, {"a": asking(form=FORM), "b": "a"})

    decision = decide(actor, run, comment="fine", form={"reason": "tested"})

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
    assert row(run, "a").output == {
        "outcome": "approved",
        "by": email_of(actor),
        "comment": "fine",
        "form": {"reason": "tested", "urgent": False},
        "decided_at": decision.decided_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    assert sent[-1] == "b"


def test_task_that_was_decided_still_says_what_was_asked(actor, sent):
    run = begin(actor)

    decide(actor, run)

    assert row(run, "a").waits_for["message"] == "Go on?"


def test_rejection_fails_the_task_and_is_not_tried_again(actor, sent):
    run = begin(actor, {"a": asking({"retry": {"max_attempts": 3}}), "b": "a"})

    decide(actor, run, Outcome.REJECTED, comment="not today")

    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)"}
    assert (row(run, "a").error_code, row(run, "a").error_message) == (
        "rejected",
        f"Rejected by {email_of(actor)}: not today",
    )
    assert WorkflowRun.objects.get(id=run.id).status == "failed"


def test_deciding_the_same_again_changes_nothing(actor, sent):
    run = begin(actor)

    first, again = (decide(actor, run, comment="fine") for _ in range(2))

    assert first.id == again.id
    assert ApprovalDecision.objects.filter(task_execution__run=run).count() == 1


def test_deciding_the_same_again_before_the_next_attempt_changes_nothing(actor, sent):
    run = begin(actor, {"a": asking({"retry": {"delay": "1h"}, "output": {"type": "string"}})})
    first = decide(actor, run, comment="fine")
    assert statuses(run.id) == {"a": "waiting (retry_backoff)"}

    again = decide(actor, run, comment="fine")

    assert (first.id, row(run, "a").tries) == (again.id, 1)


@pytest.mark.parametrize("more", [{"outcome": Outcome.REJECTED}, {"comment": "another"}])
def test_deciding_otherwise_afterwards_is_refused(actor, sent, more):
    run = begin(actor)
    decide(actor, run)

    with pytest.raises(AlreadyDecided) as refused:
        decide(actor, run, **more)

    decided_at = ApprovalDecision.objects.get(task_execution__run=run).decided_at
    said = f"{email_of(actor)} has decided this already: approved, at {decided_at:%Y-%m-%d %H:%M:%S}Z."
    assert refused.value.message == said
    assert refused.value.details["decided_at"] == decided_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    assert row(run, "a").output["comment"] == ""


def test_deciding_what_somebody_else_has_decided_is_refused(actor, sent):
    run = begin(actor)
    decide(join(actor, Role.OPERATOR), run)

    with pytest.raises(AlreadyDecided):
        decide(actor, run)


def test_second_who_decides_at_once_learns_who_was_first(actor, other, sent):
    run = begin(actor)
    task = row(run, "a")
    decided = (
        (
            "INSERT INTO approval_decisions"
            " (organization_id, task_execution_id, claim_token, outcome, email, comment, form, decided_at)"
            " VALUES (%s, %s, %s, 'rejected', 'ann@example.org', '', '{}', now())"
        ),
        (actor.organization_id, task.id, task.claim_token),
    )
    lock = ("SELECT FROM workflow_runs WHERE id = %s FOR NO KEY UPDATE", (run.id,))
    end = ("UPDATE task_executions SET status = 'failed', finished_at = now() WHERE id = %s", (task.id,))

    with held_open(other, lock, end, decided) as meanwhile:
        second = meanwhile(lambda: in_thread(lambda: decide(actor, run)))

    with pytest.raises(AlreadyDecided, match=r"ann@example\.org"):
        second.result()


@pytest.mark.parametrize(
    ("approvers", "role", "may"),
    [
        (None, Role.OPERATOR, True),
        (None, Role.VIEWER, False),
        ({"roles": ["admin", "owner"]}, Role.ADMIN, True),
        ({"roles": ["admin", "owner"]}, Role.DEVELOPER, False),
        ({"users": ["ann@example.org"]}, Role.OWNER, False),
        ({"roles": ["admin"], "users": ["ann@example.org"]}, Role.ADMIN, True),
        ({"roles": ["viewer"]}, Role.VIEWER, True),
    ],
)
def test_only_approvers_may_decide(actor, sent, approvers, role, may):
    run = begin(actor, {"a": asking(**({"approvers": approvers} if approvers else {}))})
    member = join(actor, role)

    if may:
        decide(member, run)
    else:
        with pytest.raises(NotAnApprover):
            decide(member, run)

    assert statuses(run.id)["a"] == ("succeeded" if may else "waiting (approval)")


def test_user_who_is_named_may_decide_whatever_the_capitals(actor, sent):
    viewer = join(actor, Role.VIEWER)
    run = begin(actor, {"a": asking(approvers={"users": [email_of(viewer).upper()]})})

    decide(viewer, run)

    assert row(run, "a").output["by"] == email_of(viewer)


def test_who_may_not_decide_is_told_who_may(actor, sent):
    run = begin(actor, {"a": asking(approvers={"roles": ["admin"], "users": ["ann@example.org"]})})

    with pytest.raises(NotAnApprover, match=r"a member with the role admin or ann@example\.org may"):
        decide(actor, run)


@pytest.mark.parametrize(
    "permissions", [PERMISSIONS[Role.BILLING], PERMISSIONS[Role.OWNER] - {Permission.DECIDE_APPROVALS}]
)
def test_actor_without_the_permission_may_not_decide(actor, sent, permissions):
    run = begin(actor, {"a": asking(approvers={"users": [email_of(actor)]})})

    with pytest.raises(PermissionMissing):
        decide(dataclasses.replace(actor, permissions=permissions), run)

    assert statuses(run.id)["a"] == "waiting (approval)"


def test_form_that_is_not_answered_as_asked_is_refused_with_all_problems(actor, sent):
    run = begin(actor, {"a": asking(form=FORM)})

    with pytest.raises(FormRefused) as refused:
        decide(actor, run, form={"urgent": "yes", "raeson": "x"})

    found = {(each["path"], each["code"]) for each in refused.value.details["errors"]}
    assert found == {("form.raeson", "unknown_key"), ("form.urgent", "wrong_type"), ("form.reason", "missing_key")}
    assert statuses(run.id)["a"] == "waiting (approval)"


@pytest.mark.parametrize("size", [1_048_550, 2_000_000])
def test_answers_that_are_too_large_to_keep_are_refused(actor, sent, size):
    run = begin(actor, {"a": asking(form={"text": {"type": "string"}}), "b": "a"})

    with pytest.raises(FormRefused, match="form"):
        decide(actor, run, form={"text": "x" * size})

    assert statuses(run.id)["a"] == "waiting (approval)"
    assert not ApprovalDecision.objects.filter(task_execution__run=run).exists()


def test_rejection_needs_no_answers(actor, sent):
    run = begin(actor, {"a": asking(form=FORM)})

    decision = decide(actor, run, Outcome.REJECTED)

    assert (statuses(run.id)["a"], decision.form) == ("failed", {})


def test_what_does_not_wait_for_a_decision_cannot_be_decided(actor, sent):
    run = start_run(actor, {"a": asking({"needs": ["b"]}), "b": ""})

    with pytest.raises(ApprovalNotAwaited, match="it is pending"):
        decide(actor, run)
    with pytest.raises(ApprovalNotAwaited, match="it is queued"):
        decide(actor, run, task_key="b")
    TaskExecution.objects.filter(run_id=run.id, task_key="b").update(status="waiting", reason="sleep")
    with pytest.raises(ApprovalNotAwaited, match=r"it is waiting \(sleep\)\. `maestro approvals` lists"):
        decide(actor, run, task_key="b")
    for key in ("c", "\0"):
        with pytest.raises(TaskNotFound):
            decide(actor, run, task_key=key)
    with pytest.raises(RunNotFound):
        decide(make_actor(), run)


def test_run_that_was_cancelled_takes_no_decision(actor, sent):
    run = begin(actor)
    runs.cancel_run(actor=actor, run_id=run.id)

    with pytest.raises(ApprovalNotAwaited, match="it is cancelled"):
        decide(actor, run)


def test_run_that_is_being_pruned_is_not_found(actor, sent):
    run = begin(actor)
    decide(actor, run)
    WorkflowRun.objects.filter(id=run.id).update(pruned_at=LONG_AGO)

    with pytest.raises(RunNotFound):
        decide(actor, run)


def test_run_that_is_paused_takes_no_decision(actor, sent):
    run = begin(actor)
    TaskExecution.objects.filter(run_id=run.id).update(hold=1)

    with pytest.raises(RunIsPaused):
        decide(actor, run)

    assert statuses(run.id)["a"] == "waiting (approval)"
    assert not ApprovalDecision.objects.filter(task_execution__run=run).exists()


@pytest.mark.parametrize(
    ("on_deadline", "status", "code"),
    [("approve", "succeeded", ""), ("reject", "failed", "rejected"), (None, "failed", "approval_timeout")],
)
def test_deadline_decides(actor, connection, sent, on_deadline, status, code):
    options = {"on_deadline": on_deadline} if on_deadline else {}
    form = {"urgent": {"type": "boolean", "default": False}}
    run = begin(actor, {"a": asking(deadline="2d", form=form, **options)})
    assert timedelta(days=2) <= row(run, "a").wake_at - row(run, "a").started_at < timedelta(days=2, hours=1)

    waits.end_due(connection)
    assert statuses(run.id)["a"] == "waiting (approval)"
    make_due(run)
    waits.end_due(connection)

    assert (row(run, "a").status, row(run, "a").error_code) == (status, code)
    if on_deadline == "approve":
        output = row(run, "a").output
        assert (output["outcome"], output["by"], output["form"]) == ("approved", None, {"urgent": False})
    with pytest.raises(ApprovalNotAwaited):
        decide(actor, run)


def test_deadline_that_ends_meanwhile_comes_first(actor, other, sent):
    run = begin(actor, {"a": asking(deadline="2d"), "b": "a"})
    over = ("UPDATE task_executions SET status = 'failed', finished_at = now() WHERE id = %s", (row(run, "a").id,))

    with held_open(other, over) as meanwhile:
        decided = meanwhile(lambda: in_thread(lambda: decide(actor, run)))

    with pytest.raises(ApprovalNotAwaited, match="it is failed"):
        decided.result()
    assert not ApprovalDecision.objects.filter(task_execution__run=run).exists()


def test_cancel_that_commits_meanwhile_comes_first(actor, connection, other, sent):
    run = begin(actor)
    lock = ("UPDATE workflow_runs SET hold = 2, reason = 'cancelling' WHERE id = %s", (run.id,))
    cancelled = ("UPDATE task_executions SET status = 'cancelled', hold = 2 WHERE run_id = %s", (run.id,))

    with held_open(other, lock, cancelled) as meanwhile:
        decided = meanwhile(lambda: in_thread(lambda: decide(actor, run)))

    with pytest.raises(ApprovalNotAwaited, match="it is cancelled"):
        decided.result()
    assert not ApprovalDecision.objects.filter(task_execution__run=run).exists()


def test_pause_that_commits_meanwhile_holds_the_decision_up(actor, other, sent):
    run = begin(actor)
    lock = ("UPDATE workflow_runs SET hold = 1 WHERE id = %s", (run.id,))

    with held_open(other, lock, hold(run, 1)) as meanwhile:
        decided = meanwhile(lambda: in_thread(lambda: decide(actor, run)))

    with pytest.raises(RunIsPaused):
        decided.result()


def test_escalation_lets_others_decide_and_the_deadline_stays(actor, connection, sent):
    ann = join(actor, Role.VIEWER)
    escalate = {"after": "4h", "users": [email_of(ann)]}
    run = begin(actor, {"a": asking(approvers={"roles": ["admin"]}, deadline="2d", escalate=escalate)})
    first_look = row(run, "a").wake_at
    assert timedelta(hours=4) <= first_look - row(run, "a").started_at < timedelta(hours=5)
    with pytest.raises(NotAnApprover):
        decide(ann, run)

    TaskExecution.objects.filter(run_id=run.id).update(wake_at=first_look - timedelta(days=1))
    waits.end_due(connection)

    assert statuses(run.id)["a"] == "waiting (approval)"
    assert row(run, "a").wake_at == first_look - timedelta(days=1) + timedelta(hours=44)
    waits.end_due(connection)
    decide(ann, run)
    assert row(run, "a").output["by"] == email_of(ann)


def test_escalation_without_a_deadline_is_looked_at_once(actor, connection, sent):
    run = begin(actor, {"a": asking(escalate={"after": "4h", "roles": ["viewer"]})})

    make_due(run)
    waits.end_due(connection)
    waits.end_due(connection)

    assert (statuses(run.id)["a"], row(run, "a").wake_at) == ("waiting (approval)", None)
    decide(join(actor, Role.VIEWER), run)


@pytest.mark.parametrize("change", ["hold = 1", "claim_token = gen_random_uuid()"])
def test_escalation_that_was_judged_before_the_wait_changed_is_not_written(actor, connection, other, sent, change):
    run = begin(actor, {"a": asking(deadline="2d", escalate={"after": "4h", "roles": ["viewer"]})})
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(wake_at=LONG_AGO)

    with held_open(other, (f"UPDATE task_executions SET {change} WHERE run_id = %s", (run.id,))) as meanwhile:
        meanwhile(lambda: waits.end_due(connection))

    assert row(run, "a").waits_for["is_escalated"] is False


def test_escalation_is_written_once_by_two_beats(actor, connection, other, sent):
    run = begin(actor, {"a": asking(deadline="2d", escalate={"after": "4h", "roles": ["viewer"]})})
    make_due(run)
    escalated = (
        (
            "UPDATE task_executions SET waits_for = waits_for || '{\"is_escalated\": true}',"
            " wake_at = wake_at + interval '44 h' WHERE id = %s"
        ),
        (row(run, "a").id,),
    )

    with held_open(other, escalated) as meanwhile:
        meanwhile(lambda: waits.end_due(connection))

    assert row(run, "a").wake_at.isoformat() == "2020-01-02T20:00:00+00:00"


def test_decision_whose_follower_died_is_followed_when_it_is_sent_again(actor, sent, monkeypatch):
    run = begin(actor)
    with monkeypatch.context() as dead:
        dead.setattr(waits, "follow", lambda *_: None)
        decide(actor, run)
    assert statuses(run.id) == {"a": "succeeded", "b": "pending"}

    decide(actor, run)

    assert statuses(run.id) == {"a": "succeeded", "b": "queued"}


def test_another_wait_of_the_task_is_another_decision(actor, sent):
    run = begin(actor)
    decide(actor, run, Outcome.REJECTED)
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(
        status="queued", reason="", finished_at=None, generation=1
    )
    WorkflowRun.objects.filter(id=run.id).update(status="running", finished_at=None)

    with pytest.raises(ApprovalNotAwaited):
        decide(actor, run, Outcome.REJECTED)


def test_list_has_what_waits_in_the_organization(actor, sent):
    run = begin(actor, {"a": asking(), "b": asking(), "c": {"uses": "sleep", "with": {"duration": "1d"}}})
    begin(make_actor())

    assert [(each.run_id, each.task_key) for each in selectors.list_approvals(actor=actor)] == [(run.id, "a")]
    decide(actor, run)
    assert not selectors.list_approvals(actor=actor).exists()


def test_hook_that_waits_is_listed_with_its_form(actor, sent):
    run = start_run(actor, {"a": ""}, **{"finally": {"ask": asking(form=FORM)}})
    execute(run)
    execute(run, "ask")

    [waiting] = selectors.list_approvals(actor=actor)

    assert ApprovalOutput().get_form(waiting) == FORM


def test_escalation_that_is_to_come_is_listed_beside_the_deadline(actor, sent):
    run = begin(actor, {"a": asking(deadline="2d", escalate={"after": "4h", "roles": ["viewer"]})})
    waiting = selectors.list_approvals(actor=actor).get()
    wake_at = row(run, "a").wake_at
    listed = ApprovalOutput()

    assert listed.get_escalates_at(waiting) == f"{wake_at:%Y-%m-%dT%H:%M:%S.%f}Z"
    assert listed.get_deadline_at(waiting) == f"{wake_at + timedelta(hours=44):%Y-%m-%dT%H:%M:%S.%f}Z"

    waiting.waits_for["is_escalated"] = True

    assert (listed.get_escalates_at(waiting), listed.get_deadline_at(waiting)) == (
        None,
        f"{wake_at:%Y-%m-%dT%H:%M:%S.%f}Z",
    )


def test_run_goes_on_after_an_approval_on_real_workers(actor, worker, beat):
    tasks = {"a": asking(), "b": asking(deadline="1s", on_deadline="approve"), "c": "a b"}
    run = start_run(actor, tasks, outputs={"by": "${{ tasks.a.output.by }}"})
    wait_until_it_asks(run)

    decide(actor, run)

    ended = wait_for_end(run.id)
    assert (ended.status, ended.outputs) == ("succeeded", {"by": email_of(actor)})


def log_of(run):
    lines = TaskLogLine.objects.filter(run_id=run.id, task_key="a").order_by("id")
    return list(lines.values_list("attempt", "stream", "message"))[1:]


@pytest.mark.parametrize("outcome", Outcome)
def test_decision_is_in_the_log_of_the_task_without_secrets(actor, sent, outcome):
    inputs = {"password": {"type": "string", "writeOnly": True}}
    run = begin(actor, {"a": asking()}, inputs=inputs, given={"password": "hunter22"})

    decide(actor, run, outcome, comment="as agreed\nwith hunter22")

    first, second = log_of(run)
    assert first == (1, "log", f"{outcome.capitalize()} by {email_of(actor)}: as agreed")
    assert second == (1, "log", f"with {MASK}")


def test_deciding_the_same_again_writes_no_second_line(actor, sent):
    run = begin(actor)
    for _ in range(2):
        decide(actor, run)

    assert log_of(run) == [(1, "log", f"Approved by {email_of(actor)}.")]


def test_escalation_and_deadline_are_in_the_log_of_the_task(actor, connection, sent):
    escalate = {"after": "4h", "roles": ["viewer"]}
    run = begin(actor, {"a": asking(deadline="2d", on_deadline="approve", escalate=escalate)})
    for _ in range(2):
        make_due(run)
        waits.end_due(connection)

    assert [message for *_, message in log_of(run)] == [
        "Nobody has decided yet: a member with the role viewer may decide too.",
        "Nobody decided until the deadline.",
    ]
