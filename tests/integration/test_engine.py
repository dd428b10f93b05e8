"""Whole runs through real workers: what they come to, whatever happens to their messages."""

import pytest

from executors.pools.queues import key_of
from maestro.core import sql
from tests.builders import start_run, statuses, wait_for_end
from tests.patience import wait_until
from workflows.definition.priority import Priority
from workflows.dispatch import lost_messages, recovery
from workflows.errors import RunAlreadyFinished
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs

pytestmark = pytest.mark.usefixtures("worker")

DIAMOND = {"source": ""} | {f"m{i}": "source" for i in range(8)} | {"join": " ".join(f"m{i}" for i in range(8))}


def run_to_end(actor, tasks, **more):
    return wait_for_end(start_run(actor, tasks, **more).id)


def test_diamond_runs_every_task_once(actor):
    run = run_to_end(actor, DIAMOND)

    assert run.status == "succeeded"
    rows = TaskExecution.objects.filter(run_id=run.id)
    assert {row.task_key: (row.status, row.attempt) for row in rows} == dict.fromkeys(DIAMOND, ("succeeded", 1))
    assert rows.get(task_key="join").started_at >= max(row.finished_at for row in rows if row.task_key != "join")


def test_task_starts_when_its_own_needs_are_done_not_a_whole_level(actor):
    tasks = {
        "a": "",
        "slow": {"with": {"duration": "2s"}, "needs": ["a"]},
        "quick": "a",
        "after": "quick",
        "end": "after slow",
    }

    run = run_to_end(actor, tasks)

    rows = {row.task_key: row for row in TaskExecution.objects.filter(run_id=run.id)}
    assert rows["after"].finished_at < rows["slow"].finished_at


@pytest.mark.parametrize(
    "tasks",
    [
        {"a": "", "b": "", "c": "a b", "d": "b"},
        {"a": "", "b": "a", "c": "a", "x": "b", "d": "b c", "e": "x d"},
        {f"t{i}": f"t{i - 1}" if i else "" for i in range(30)},
        {"a": ""} | {f"m{i}": "a" for i in range(40)} | {"j": " ".join(f"m{i}" for i in range(40)), "k": "j"},
        {
            "a": "",
            "b": "a",
            "c": "a",
            "b1": "b",
            "b2": "b",
            "bj": "b1 b2",
            "d": "bj c",
            "d1": "d",
            "d2": "d",
            "e": "d1 d2",
        },
        {f"r{i}": "" for i in range(5)},
        {"a": "", "b": "a", "d": "a b"},
    ],
    ids=["two roots", "irregular", "chain", "wide", "nested forks", "only roots", "shortcut"],
)
def test_every_shape_of_graph_runs_to_its_end(actor, tasks):
    run = run_to_end(actor, tasks)

    assert statuses(run.id) == dict.fromkeys(tasks, "succeeded")


def test_failure_skips_what_follows_and_names_its_cause_in_the_run(actor):
    run = run_to_end(actor, {"a": {"with": {"fail": "no coffee"}}, "b": "a", "c": "b", "d": ""})

    assert statuses(run.id) == {
        "a": "failed",
        "b": "skipped (upstream_failed)",
        "c": "skipped (upstream_failed)",
        "d": "succeeded",
    }
    assert (run.status, run.error_message) == ("failed", "Task a failed: no coffee")


def test_condition_that_is_false_skips_the_task_without_failing_the_run(actor):
    tasks = {"a": {"if": "${{ inputs.go }}"}, "b": "a", "c": {"needs": ["a"], "run_if": "none_failed"}}

    run = run_to_end(actor, tasks, given={"go": False}, inputs={"go": {"type": "boolean"}})

    assert statuses(run.id) == {"a": "skipped (condition)", "b": "skipped (upstream_skipped)", "c": "succeeded"}
    assert run.status == "succeeded"


def test_early_join_starts_before_the_slow_need_ends(actor):
    tasks = {
        "quick": "",
        "slow": {"with": {"duration": "2s"}},
        "first": {"needs": ["quick", "slow"], "run_if": "any_succeeded"},
    }

    run = run_to_end(actor, tasks)

    rows = {row.task_key: row for row in TaskExecution.objects.filter(run_id=run.id)}
    assert rows["first"].finished_at < rows["slow"].finished_at
    assert run.status == "succeeded"


def test_failure_can_be_handled_downstream(actor):
    tasks = {
        "a": {"with": {"fail": True}},
        "alarm": {"needs": ["a"], "run_if": "any_failed"},
        "tidy": {"needs": ["a", "alarm"], "run_if": "all_done"},
    }

    run = run_to_end(actor, tasks)

    assert statuses(run.id) == {"a": "failed", "alarm": "succeeded", "tidy": "succeeded"}


def test_outputs_flow_from_task_to_task_and_out_of_the_run(actor):
    tasks = {
        "a": {"with": {"output": {"numbers": [1, 2, 3], "who": "${{ inputs.who }}"}}},
        "b": {"needs": ["a"], "with": {"output": "${{ tasks.a.output.numbers }}"}},
    }

    run = run_to_end(
        actor,
        tasks,
        given={"who": "Ada"},
        inputs={"who": {"type": "string"}},
        outputs={"size": "${{ size(tasks.b.output) }}", "text": "for ${{ tasks.a.output.who }}"},
    )

    assert (run.status, run.outputs) == ("succeeded", {"size": 3, "text": "for Ada"})


def test_expression_that_fails_at_run_time_fails_its_task_and_is_named(actor):
    run = run_to_end(
        actor, {"a": {"with": {"output": {}}}, "b": {"needs": ["a"], "with": {"output": "${{ tasks.a.output.x }}"}}}
    )

    assert statuses(run.id) == {"a": "succeeded", "b": "failed"}
    assert "tasks.a.output.x" in run.error_message


def test_run_whose_outputs_cannot_be_evaluated_fails_and_says_so(actor):
    run = run_to_end(actor, {"a": {"with": {"output": {}}}}, outputs={"x": "${{ tasks.a.output.x }}"})

    assert (run.status, run.reason) == ("failed", "outputs_failed")
    assert "outputs.x" in run.error_message


def test_cancelled_run_starts_nothing_more_and_stops_what_runs(actor):
    run = start_run(actor, {"a": {"with": {"duration": "10m"}}, "b": "a"})
    wait_until(lambda: statuses(run.id)["a"] == "running")

    runs.cancel_run(actor=actor, run_id=run.id)

    assert wait_for_end(run.id).status == "cancelled"
    assert statuses(run.id) == {"a": "cancelled (stopped)", "b": "cancelled"}


def test_finished_run_cannot_be_cancelled(actor):
    run = run_to_end(actor, {"a": ""})

    with pytest.raises(RunAlreadyFinished):
        runs.cancel_run(actor=actor, run_id=run.id)

    assert WorkflowRun.objects.get(id=run.id).status == "succeeded"


def test_tasks_whose_messages_were_lost_are_sent_again(actor, broker, worker):
    run = start_run(
        actor, {"block": {"with": {"duration": "1s"}}, "block2": {"with": {"duration": "1s"}}, "a": "", "b": "a"}
    )
    tasks = key_of("maestro", Priority.NORMAL.step)
    while broker.llen(tasks):
        broker.delete(tasks)
    TaskExecution.objects.filter(run_id=run.id, status="queued").update(queued_at="2020-01-01T00:00:00Z")

    lost_messages.resend_lost(sql.engine_connection())

    assert wait_for_end(run.id).status == "succeeded"


def test_ready_task_that_nobody_queued_is_found_by_recovery(actor):
    run = run_to_end(actor, {"a": "", "b": "a", "c": "b"})
    TaskExecution.objects.filter(run_id=run.id, task_key__in=["b", "c"]).update(status="pending", finished_at=None)
    WorkflowRun.objects.filter(id=run.id).update(status="running", finished_at=None)
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(finished_at="2020-01-01T00:00:00Z")

    recovery.ReadySweep().recover(sql.engine_connection())

    assert wait_for_end(run.id).status == "succeeded"
    assert statuses(run.id) == {"a": "succeeded", "b": "succeeded", "c": "succeeded"}
