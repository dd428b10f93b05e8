"""Tasks that run other workflows: how both ends reach each other, and every schedule in which they could miss."""

import pytest

from executors.base import ChildRun
from tests.builders import definition, make_actor, start_run, statuses, wait_for_end
from tests.integration.calls import execute
from tests.integration.schedules import do, follow, held_open, hold, row, take
from tests.patience import wait_until
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.dispatch import (
    advance,
    cancellation,
    children,
    finalise,
    finish,
    holds,
    pausing,
    recovery,
    retry,
    time_limits,
)
from workflows.dispatch import start as start_of_runs
from workflows.dispatch.children import PlannedChild
from workflows.dispatch.finish import Outcome
from workflows.models import TaskAttempt, TaskExecution, WorkflowRun
from workflows.pauses import services as pauses
from workflows.pauses.services import PauseTarget
from workflows.runs import services as runs
from workflows.runs.statuses import Reason, TaskStatus

LONG_AGO = "2020-01-01T00:00:00Z"
TEXT = {"type": "string"}


def calling(workflow="child", more=None, **options):
    return {"uses": "workflow", "with": {"workflow": workflow, **options}, **(more or {})}


def apply(actor, tasks, *, name="child", **more):
    return catalog.apply_definition(actor=actor, document=Document.of(definition(tasks, name=name, **more))).workflow


def start(actor, **options):
    """A run whose first task runs a workflow of one task; another one follows."""
    apply(actor, {"x": ""})
    return start_run(actor, {"a": calling(**options), "b": "a"})


def child_of(run, key="a"):
    return WorkflowRun.objects.get(id=row(run, key).child_run_id)


def children_of(run):
    return WorkflowRun.objects.filter(parent_task__run_id=run.id).order_by("id")


def status(run):
    return WorkflowRun.objects.get(id=run.id).status


def plan_of(connection, run, key="a"):
    """Claim a task and plan its child, as its worker does."""
    claimed = take(connection, run, key)
    planned = children.plan(connection, claimed, ChildRun(workflow="child"))
    assert isinstance(planned, PlannedChild)
    return claimed, planned


@pytest.mark.usefixtures("sent")
class TestBeginning:
    def test_task_waits_for_the_run_that_it_has_started(self, actor, sent):
        run = start(actor)

        execute(run)

        assert statuses(run.id) == {"a": "waiting (child_run)", "b": "pending"}
        child = child_of(run)
        assert statuses(child.id) == {"x": "queued"}
        assert sent == ["a", "x"]
        assert (child.organization_id, child.environment_id, child.user_id) == (
            actor.organization_id,
            actor.environment_id,
            actor.user_id,
        )
        assert (child.trigger_type, child.depth, child.is_awaited, child.parent_task_id) == (
            "workflow",
            1,
            True,
            row(run, "a").id,
        )

    def test_inputs_reach_the_child_and_outputs_come_back(self, actor, sent):
        apply(
            actor,
            {"x": {"with": {"output": "${{ inputs.word + '!' }}"}}},
            inputs={"word": TEXT},
            outputs={"said": "${{ tasks.x.output }}"},
        )
        run = start_run(
            actor,
            {"a": calling(inputs={"word": "${{ inputs.word }}"})},
            inputs={"word": TEXT},
            given={"word": "hello"},
            outputs={"all": "${{ tasks.a.output.said }}"},
        )

        execute(run)
        execute(child_of(run), "x")

        assert WorkflowRun.objects.get(id=run.id).outputs == {"all": "hello!"}

    def test_version_that_is_named_is_run(self, actor, sent):
        apply(actor, {"old": ""})
        apply(actor, {"new": ""})
        run = start_run(actor, {"a": calling(version=1), "b": calling()})

        execute(run)
        execute(run, "b")

        assert [statuses(child_of(run, key).id) for key in "ab"] == [{"old": "queued"}, {"new": "queued"}]

    def test_of_workflows_that_had_the_name_the_one_in_use_is_run(self, actor, sent):
        earlier = apply(actor, {"x": ""})
        catalog.archive_workflow(actor=actor, reference="child")
        run = start(actor)

        execute(run)

        assert child_of(run).workflow_id != earlier.id
        assert statuses(run.id)["a"] == "waiting (child_run)"

    @pytest.mark.parametrize(
        ("options", "code", "message"),
        [
            ({"workflow": "nobody"}, "workflow_not_found", "There is no workflow 'nobody'"),
            ({"workflow": "gone"}, "workflow_archived", "Workflow 'gone' is archived"),
            ({"version": 7}, "version_not_found", "Workflow 'child' has no version 7."),
            ({"inputs": {"a": 1, "b": 2}}, "inputs_invalid", "not take them: a: is not an input; b: is not an input"),
        ],
    )
    def test_what_cannot_be_run_fails_the_task_once(self, actor, sent, options, code, message):
        apply(actor, {"x": ""})
        gone = apply(actor, {"x": ""}, name="gone")
        type(gone).objects.filter(id=gone.id).update(archived_at=LONG_AGO)
        run = start_run(actor, {"a": calling(more={"retry": {"max_attempts": 3, "delay": 0}}, **options)})

        execute(run)

        failed = row(run, "a")
        assert (failed.status, failed.error_code, failed.tries) == ("failed", code, 1)
        assert message in failed.error_message
        assert not children_of(run).exists()

    def test_workflow_of_another_organization_is_not_found(self, actor, sent):
        foreign = apply(make_actor(), {"x": ""}, name="theirs")
        run = start_run(actor, {"a": calling("theirs"), "b": calling(str(foreign.id))})

        execute(run)
        execute(run, "b")

        assert [row(run, key).error_code for key in "ab"] == ["workflow_not_found"] * 2

    def test_workflow_that_runs_itself_ends_at_the_deepest_level(self, actor, sent):
        run = start_run(actor, {"a": calling("itself")}, name="itself")
        below = [run]
        for _ in range(children.MAX_DEPTH):
            execute(below[-1])
            below.append(child_of(below[-1]))

        execute(below[-1])

        assert row(below[-1], "a").error_code == "too_deep"
        assert row(run, "a").error_code == "child_failed"
        assert {status(each) for each in below} == {"failed"}
        assert below[-1].depth == children.MAX_DEPTH

    def test_task_that_does_not_wait_succeeds_at_once(self, actor, sent):
        run = start(actor, wait=False)

        execute(run)

        child = child_of(run)
        assert statuses(run.id) == {"a": "succeeded", "b": "queued"}
        assert row(run, "a").output == {"run_id": str(child.id)}
        assert (status(child), child.is_awaited) == ("running", False)

    def test_output_that_breaks_the_contract_of_a_task_that_does_not_wait_starts_nothing(self, actor, sent):
        apply(actor, {"x": ""})
        run = start_run(actor, {"a": calling(wait=False, more={"output": {"required": ["rows"]}})})

        execute(run)

        assert (row(run, "a").status, row(run, "a").error_code) == ("failed", "output_refused")
        assert not children_of(run).exists()

    def test_repeat_of_a_beginning_that_was_not_answered_starts_one_child(self, actor, connection, sent):
        run = start(actor)
        claimed, planned = plan_of(connection, run)

        first = children.begin(connection, claimed, planned)
        second = children.begin(connection, claimed, planned)

        assert first == second
        assert children_of(run).count() == 1
        assert sent == ["a", "x", "x"]

    def test_child_is_not_started_by_an_attempt_that_was_taken_back(self, actor, connection, sent):
        run = start(actor)
        claimed, planned = plan_of(connection, run)
        TaskExecution.objects.filter(id=claimed.id).update(status="queued", claim_token=None)

        assert children.begin(connection, claimed, planned) is None
        assert not children_of(run).exists()

    def test_child_is_not_started_by_an_attempt_in_whose_place_another_runs(self, actor, connection, sent):
        run = start(actor)
        earlier, planned = plan_of(connection, run)
        TaskExecution.objects.filter(id=earlier.id).update(status="queued", claim_token=None)
        later = take(connection, run, "a")

        assert children.begin(connection, earlier, planned) is None

        assert (row(run, "a").status, row(run, "a").claim_token) == ("running", later.claim_token)
        assert not children_of(run).exists()

    def test_child_is_not_started_after_a_cancel(self, actor, connection, sent, monkeypatch):
        run = start(actor)
        plan = children.plan

        def cancel_meanwhile(*arguments):
            planned = plan(*arguments)
            runs.cancel_run(actor=actor, run_id=run.id)
            return planned

        monkeypatch.setattr(children, "plan", cancel_meanwhile)

        execute(run)

        assert (statuses(run.id), status(run)) == ({"a": "cancelled", "b": "cancelled"}, "cancelled")
        assert not children_of(run).exists()

    # V12: the statement that marks the rows sees no row of a child that is inserted while it runs.
    def test_beginning_waits_for_a_cancel_that_is_under_way_and_starts_nothing(self, actor, connection, other, sent):
        run = start(actor)
        claimed, planned = plan_of(connection, run)
        lock = "SELECT FROM workflow_runs WHERE id = %s FOR NO KEY UPDATE", (run.id,)
        mark = "UPDATE workflow_runs SET hold = 2 WHERE id = %s", (run.id,)

        with held_open(other, lock, mark, hold(run, 2)) as meanwhile:
            beginning = meanwhile(lambda: children.begin(connection, claimed, planned))

        assert beginning.result() is None
        assert not children_of(run).exists()

    def test_cancel_waits_for_a_beginning_that_is_under_way_and_stops_the_child(self, actor, connection, other, sent):
        run = start(actor)
        claimed, planned = plan_of(connection, run)

        with held_open(connection) as meanwhile:
            children.begin(connection, claimed, planned)
            cancelling = meanwhile(lambda: cancellation.stop_run(other, run.id, Reason.CANCELLING))
        cancelling.result()

        assert statuses(run.id)["a"] == "cancelled"
        assert status(child_of(run)) == "cancelled"

    def test_beginning_waits_for_a_pause_that_is_under_way_and_starts_a_paused_child(
        self, actor, connection, other, sent, monkeypatch
    ):
        run = start(actor)
        claimed, planned = plan_of(connection, run)
        monkeypatch.setattr(pausing, "settle_pause", lambda *_: None)
        pauses.pause(actor=actor, target=PauseTarget(run_id=run.id), reason="")

        with held_open(other) as meanwhile:
            holds.settle(other, [run.id])
            beginning = meanwhile(lambda: children.begin(connection, claimed, planned))
        beginning.result()

        child = child_of(run)
        assert (child.hold, row(child, "x").hold, sent) == (1, 1, ["a"])

    def test_child_of_a_paused_task_starts_paused(self, actor, connection, sent):
        run = start(actor)
        claimed, planned = plan_of(connection, run)
        pauses.pause(actor=actor, target=PauseTarget(run_id=run.id), reason="")

        children.begin(connection, claimed, planned)

        child = child_of(run)
        assert (child.hold, row(child, "x").hold, sent) == (1, 1, ["a"])

    def test_child_of_a_paused_task_is_written_as_held(self, actor, connection, sent, monkeypatch):
        run = start(actor)
        claimed, planned = plan_of(connection, run)
        pauses.pause(actor=actor, target=PauseTarget(run_id=run.id), reason="")
        monkeypatch.setattr(start_of_runs, "send_first", lambda *_: None)

        children.begin(connection, claimed, planned)

        child = child_of(run)
        assert (child.hold, child.reason, row(child, "x").hold) == (1, "paused", 1)

    def test_child_that_a_paused_task_does_not_wait_for_starts(self, actor, connection, sent, monkeypatch):
        run = start(actor)
        claimed = take(connection, run, "a")
        planned = children.plan(connection, claimed, ChildRun(workflow="child", is_awaited=False))
        pauses.pause(actor=actor, target=PauseTarget(run_id=run.id), reason="")
        # Whoever looks at pauses before the first tasks are sent would let it go; it need not live to.
        monkeypatch.setattr(start_of_runs, "send_first", lambda *_: None)

        children.begin(connection, claimed, planned)

        child = children_of(run).get()
        assert (child.hold, row(child, "x").hold) == (0, 0)

    def test_child_of_a_hook_whose_queue_is_paused_is_at_no_hooks_itself(self, actor, connection, sent):
        apply(actor, {"x": ""})
        run = start_run(actor, {"b": ""}, **{"finally": {"a": calling()}})
        do(connection, run, "b")
        follow(connection, run, "b")
        claimed, planned = plan_of(connection, run)
        queue = PauseTarget(queue="maestro")
        pauses.pause(actor=actor, target=queue, reason="")

        children.begin(connection, claimed, planned)

        child = child_of(run)
        assert (child.hold, child.reason, row(child, "x").hold) == (0, "", 1)
        pauses.resume(actor=actor, target=queue)
        assert (child_of(run).reason, row(child, "x").hold) == ("", 0)


@pytest.mark.usefixtures("sent")
class TestEnding:
    def test_failed_child_fails_the_task_and_says_which_and_why(self, actor, sent):
        apply(actor, {"x": {"with": {"fail": "no luck"}}})
        run = start_run(actor, {"a": calling(), "b": "a"})
        execute(run)

        execute(child_of(run), "x")

        failed = row(run, "a")
        assert (failed.status, failed.error_code) == ("failed", "child_failed")
        assert failed.error_message == f"Run {failed.child_run_id} of child failed: Task x failed: no luck"
        assert (statuses(run.id)["b"], status(run)) == ("skipped (upstream_failed)", "failed")

    def test_retry_of_a_failed_child_starts_another_one(self, actor, connection, sent):
        apply(actor, {"x": {"with": {"fail": "no luck"}}})
        run = start_run(actor, {"a": calling(more={"retry": {"max_attempts": 2, "delay": 0}})})
        execute(run)
        execute(child_of(run), "x")
        assert statuses(run.id) == {"a": "waiting (retry_backoff)"}

        retry.wake_due(connection)
        execute(run)

        first, second = children_of(run)
        assert [each.parent_attempt for each in (first, second)] == [1, 2]
        assert (status(first), child_of(run)) == ("failed", second)
        assert statuses(run.id) == {"a": "waiting (child_run)"}
        assert TaskAttempt.objects.get(task_execution__run_id=run.id).error_code == "child_failed"

    def test_end_of_the_child_of_an_earlier_attempt_changes_nothing(self, actor, connection, sent):
        apply(actor, {"x": ""})
        run = start_run(actor, {"a": calling(more={"timeout": "1h", "retry": {"delay": 0}})})
        execute(run)
        earlier = child_of(run)
        running = take(connection, earlier, "x")
        TaskExecution.objects.filter(run_id=run.id).update(started_at=LONG_AGO, expires_at=LONG_AGO)
        time_limits.end_overdue(connection)
        retry.wake_due(connection)
        execute(run)

        finish.finish(connection, running, Outcome(status=TaskStatus.CANCELLED))
        follow(connection, earlier, "x")

        assert status(earlier) == "cancelled"
        assert (statuses(run.id), status(child_of(run))) == ({"a": "waiting (child_run)"}, "running")

    def test_child_that_somebody_cancels_fails_the_task_for_good(self, actor, sent):
        apply(actor, {"x": ""})
        run = start_run(actor, {"a": calling(more={"retry": {"max_attempts": 3, "delay": 0}})})
        execute(run)

        runs.cancel_run(actor=actor, run_id=child_of(run).id)

        assert (row(run, "a").status, row(run, "a").error_code) == ("failed", "child_cancelled")
        assert status(run) == "failed"

    def test_child_whose_time_is_over_fails_the_task(self, actor, connection, sent):
        apply(actor, {"x": ""}, timeout="1h")
        run = start_run(actor, {"a": calling()})
        execute(run)
        WorkflowRun.objects.filter(id=child_of(run).id).update(expires_at=LONG_AGO)

        time_limits.end_overdue(connection)

        assert row(run, "a").error_code == "child_failed"
        assert "took longer than" in row(run, "a").error_message

    def test_outputs_of_a_child_are_held_to_the_contract_of_the_task(self, actor, sent):
        apply(actor, {"x": ""}, outputs={"rows": "many"})
        contract = {"properties": {"rows": {"type": "integer"}}}
        run = start_run(actor, {"a": calling(more={"output": contract})})
        child = _begin(run)

        execute(child, "x")

        assert (status(child), row(run, "a").error_code) == ("succeeded", "output_refused")

    def test_runs_three_deep_end_from_the_deepest(self, actor, sent):
        apply(actor, {"x": {"with": {"output": 7}}}, name="third", outputs={"n": "${{ tasks.x.output }}"})
        apply(actor, {"a": calling("third")}, name="second", outputs={"n": "${{ tasks.a.output.n }}"})
        run = start_run(actor, {"a": calling("second")}, outputs={"n": "${{ tasks.a.output.n }}"})
        second = _begin(run)
        third = _begin(second)

        execute(third, "x")

        assert [status(each) for each in (third, second, run)] == ["succeeded"] * 3
        assert WorkflowRun.objects.get(id=run.id).outputs == {"n": 7}

    def test_end_that_is_told_twice_ends_the_task_once(self, actor, connection, sent):
        run = start(actor)
        child = _begin(run)
        execute(child, "x")
        finished_at = row(run, "a").finished_at

        assert advance.follow_end(connection, child.id) is False
        assert (row(run, "a").finished_at, sent) == (finished_at, ["a", "x", "b"])

    def test_two_that_tell_the_same_end_at_once_end_the_task_once(self, actor, connection, other, sent):
        run = start(actor)
        child = _end_untold(connection, run)

        with held_open(connection) as meanwhile:
            assert children.end_parent(connection, child.id) is not None
            second = meanwhile(lambda: children.end_parent(other, child.id))

        assert second.result() is None

    # V13: whoever ended the child died before it told its parent.
    def test_end_that_nobody_has_told_is_told_by_the_tick(self, actor, connection, sent):
        run = start(actor)
        _end_untold(connection, run)
        assert statuses(run.id) == {"a": "waiting (child_run)", "b": "pending"}

        recovery.recover_parents(connection)

        assert statuses(run.id) == {"a": "succeeded", "b": "queued"}

    def test_end_of_a_child_waits_while_its_parent_is_paused(self, actor, connection, sent):
        run = start(actor)
        child = _begin(run)
        TaskExecution.objects.filter(run_id=run.id).update(hold=1)
        execute(child, "x")
        recovery.recover_parents(connection)
        assert statuses(run.id)["a"] == "waiting (child_run)"

        TaskExecution.objects.filter(run_id=run.id).update(hold=0)
        recovery.recover_parents(connection)

        assert statuses(run.id) == {"a": "succeeded", "b": "queued"}

    def test_paused_tasks_keep_no_other_from_being_told(self, actor, connection, sent):
        run = start(actor)
        child = _end_untold(connection, run)
        assert child.id in children.find_untold(connection, limit=1000)

        TaskExecution.objects.filter(run_id=run.id, task_key="a").update(hold=1)

        assert child.id not in children.find_untold(connection, limit=1000)

    def test_end_of_a_child_that_meets_a_cancel_of_its_parent_changes_nothing(self, actor, connection, other, sent):
        run = start(actor)
        child = _end_untold(connection, run)

        with held_open(other) as meanwhile:
            cancellation._mark_stopped(other, run.id, Reason.CANCELLING)
            telling = meanwhile(lambda: advance.follow_end(connection, child.id))

        assert telling.result() is False
        assert statuses(run.id) == {"a": "cancelled", "b": "cancelled"}

    def test_end_of_a_run_that_nobody_waits_for_changes_nothing_above(self, actor, sent):
        apply(actor, {"x": {"with": {"fail": "no luck"}}})
        run = start_run(actor, {"a": calling(wait=False)})
        execute(run)

        execute(child_of(run), "x")

        assert (status(run), status(child_of(run))) == ("succeeded", "failed")

    def test_secrets_of_the_parent_do_not_show_when_outputs_of_a_child_are_refused(self, actor, sent):
        apply(actor, {"x": ""}, inputs={"name": TEXT}, outputs={"by": "${{ {inputs.name: 1} }}"})
        contract = {"properties": {"by": {"additionalProperties": TEXT}}}
        run = start_run(
            actor,
            {"a": calling(inputs={"name": "${{ inputs.key }}"}, more={"output": contract})},
            inputs={"key": TEXT | {"writeOnly": True}},
            given={"key": "hunter22"},
        )
        execute(run)

        execute(child_of(run), "x")

        assert row(run, "a").error_message == "output.by.••••••: must be text, not a whole number"

    def test_secrets_of_the_parent_do_not_show_in_the_failure_of_a_child(self, actor, sent):
        secret = {"type": "string", "writeOnly": True}
        apply(actor, {"x": {"with": {"fail": "${{ inputs.word }}"}}}, inputs={"word": TEXT})
        called = calling(inputs={"word": "${{ inputs.password }}"})
        run = start_run(actor, {"a": called}, inputs={"password": secret}, given={"password": "hunter22"})
        execute(run)

        execute(child_of(run), "x")

        assert row(run, "a").error_message.endswith("Task x failed: ••••••")


@pytest.mark.usefixtures("sent")
class TestStopping:
    def test_cancel_reaches_grandchildren(self, actor, sent):
        apply(actor, {"x": ""}, name="third")
        apply(actor, {"a": calling("third")}, name="second")
        run = start_run(actor, {"a": calling("second")})
        second = _begin(run)
        third = _begin(second)

        runs.cancel_run(actor=actor, run_id=run.id)

        assert [status(each) for each in (run, second, third)] == ["cancelled"] * 3

    def test_cancel_asks_what_runs_in_a_child_to_stop(self, actor, connection, sent):
        run = start(actor)
        child = _begin(run)
        take(connection, child, "x")

        runs.cancel_run(actor=actor, run_id=run.id)

        assert (status(run), status(child), row(child, "x").hold) == ("cancelled", "running", 2)

    def test_run_that_nobody_waits_for_goes_on_after_a_cancel(self, actor, connection, sent):
        run = start(actor, wait=False)
        child = _begin(run)

        runs.cancel_run(actor=actor, run_id=run.id)
        recovery.recover_children(connection)

        assert status(child) == "running"

    def test_task_whose_time_is_over_stops_its_child(self, actor, connection, sent):
        run = start_run_with_child(actor, more={"timeout": "1h"})
        child = _begin(run)
        TaskExecution.objects.filter(run_id=run.id).update(expires_at=LONG_AGO)

        time_limits.end_overdue(connection)

        assert (row(run, "a").error_code, status(child)) == ("timed_out", "cancelled")

    def test_task_whose_time_is_over_stops_the_children_of_its_child_too(self, actor, connection, sent):
        apply(actor, {"x": ""}, name="third")
        apply(actor, {"a": calling("third")}, name="second")
        run = start_run(actor, {"a": calling("second", more={"timeout": "1h"})})
        third = _begin(_begin(run))
        TaskExecution.objects.filter(run_id=run.id).update(expires_at=LONG_AGO)

        time_limits.end_overdue(connection)

        assert status(third) == "cancelled"

    def test_task_that_stops_the_run_stops_the_children_of_others(self, actor, sent):
        apply(actor, {"x": ""})
        run = start_run(actor, {"a": calling(), "b": {"uses": "stop"}})
        child = _begin(run)

        execute(run, "b")

        assert (status(run), status(child)) == ("succeeded", "cancelled")

    def test_run_whose_time_is_over_stops_its_child(self, actor, connection, sent):
        run = start_run_with_child(actor, timeout="1h")
        child = _begin(run)
        WorkflowRun.objects.filter(id=run.id).update(expires_at=LONG_AGO)

        time_limits.end_overdue(connection)

        assert (status(run), status(child)) == ("failed", "cancelled")

    def test_child_is_not_begun_while_its_parents_run_is_being_stopped(self, actor, connection, other, sent):
        """Whoever stops it has locked the run, and not come to the task's row yet."""
        run = start(actor)
        claimed, planned = plan_of(connection, run)
        stopping = ("UPDATE workflow_runs SET hold = 2, reason = 'cancelling' WHERE id = %s", (run.id,))

        with held_open(other, stopping) as meanwhile:
            begun = meanwhile(lambda: children.begin(connection, claimed, planned))

        assert begun.result() is None
        assert not children_of(run).exists()

    # Whoever cancelled the parent died before it cancelled the child.
    def test_child_that_nobody_waits_for_any_more_is_stopped_by_the_tick(self, actor, connection, sent):
        run = start(actor)
        child = _begin(run)
        cancellation._mark_stopped(connection, run.id, Reason.CANCELLING)

        recovery.recover_children(connection)

        assert status(child) == "cancelled"

    @pytest.mark.parametrize("next_waits", [False, True])
    def test_child_of_an_attempt_that_is_tried_again_is_stopped_by_the_tick(
        self, actor, connection, sent, monkeypatch, next_waits
    ):
        run = start_run_with_child(actor, more={"timeout": "1h", "retry": {"delay": "1h"}})
        child = _begin(run)
        TaskExecution.objects.filter(run_id=run.id).update(started_at=LONG_AGO, expires_at=LONG_AGO)
        with monkeypatch.context() as dead:
            dead.setattr(cancellation, "stop_left_alone", lambda *_: None)
            time_limits.end_overdue(connection)
        assert (statuses(run.id), status(child)) == ({"a": "waiting (retry_backoff)"}, "running")
        if next_waits:
            TaskExecution.objects.filter(run_id=run.id).update(wake_at=LONG_AGO)
            retry.wake_due(connection)
            execute(run)

        recovery.recover_children(connection)

        assert [status(each) for each in children_of(run)] == ["cancelled", "running"][: 1 + next_waits]

    def test_child_that_is_being_stopped_keeps_no_other_from_it(self, actor, connection, sent):
        run = start(actor)
        child = _begin(run)
        take(connection, child, "x")

        runs.cancel_run(actor=actor, run_id=run.id)

        assert (status(child), statuses(child.id)) == ("running", {"x": "running"})
        assert children.find_left_alone(connection, run.id, limit=1) == []

    def test_child_that_has_ended_keeps_no_other_from_it(self, actor, connection, sent):
        run = start(actor)
        execute(_begin(run), "x")

        assert statuses(run.id)["a"] == "succeeded"
        assert children.find_left_alone(connection, run.id, limit=1) == []

    def test_child_that_is_waited_for_is_left_to_run_by_the_tick(self, actor, connection, sent):
        run = start(actor)
        child = _begin(run)

        recovery.recover_children(connection)

        assert (status(child), statuses(run.id)["a"]) == ("running", "waiting (child_run)")

    def test_cancel_stops_so_many_children_and_the_tick_the_others(self, actor, connection, sent, monkeypatch):
        monkeypatch.setattr(cancellation, "MAX_CHILDREN", 1)
        apply(actor, {"x": ""})
        run = start_run(actor, {"a": calling(), "b": calling()})
        begun = [_begin(run, key) for key in "ab"]

        runs.cancel_run(actor=actor, run_id=run.id)
        assert sorted(status(each) for each in begun) == ["cancelled", "running"]

        recovery.recover_children(connection)
        assert [status(each) for each in begun] == ["cancelled"] * 2


def start_run_with_child(actor, *, more=None, **settings):
    apply(actor, {"x": ""})
    return start_run(actor, {"a": calling(more=more)}, **settings)


def _begin(run, key="a"):
    execute(run, key)
    return child_of(run, key)


def _end_untold(connection, run):
    """Let the child end; whoever ended it dies before it tells the task that waits."""
    child = _begin(run)
    do(connection, child, "x")
    assert finalise.finalise_run(connection, child.id)
    return child


def test_runs_end_one_by_the_other_on_real_workers(actor, worker, beat):
    apply(actor, {"x": "", "y": "x"}, name="third", outputs={"y": "${{ tasks.y.status }}"})
    apply(actor, {"a": calling("third"), "b": calling("third"), "c": "a b"}, name="second")
    run = start_run(actor, {"z": "", "a": calling("second", {"needs": ["z"]}), "b": calling("third"), "c": "a b"})

    ended = wait_for_end(run.id)

    assert (ended.status, set(statuses(run.id).values())) == ("succeeded", {"succeeded"})
    assert [each.status for each in children_of(run)] == ["succeeded"] * 2


def test_cancel_ends_runs_that_wait_for_each_other_on_real_workers(actor, worker, beat):
    apply(actor, {"x": {"with": {"duration": "10m"}}}, name="third")
    apply(actor, {"a": calling("third")}, name="second")
    run = start_run(actor, {"a": calling("second"), "b": "a"})
    third = wait_until(lambda: begun_below(begun_below(run)))

    runs.cancel_run(actor=actor, run_id=run.id)

    assert wait_for_end(third.id).status == "cancelled"
    assert [wait_for_end(each.id).status for each in (run, third)] == ["cancelled"] * 2


def begun_below(run):
    return run and WorkflowRun.objects.filter(parent_task__run_id=run.id).first()
