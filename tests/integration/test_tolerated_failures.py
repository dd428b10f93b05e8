"""Tasks that may fail: their failure is theirs alone."""

import pytest

from tests.builders import start_run, statuses, wait_for_end
from tests.integration.schedules import FAILED, do, follow, row
from workflows.models import WorkflowRun

MAY_FAIL = {"continue_on_error": True}
FAILS = {"with": {"fail": True}}


@pytest.mark.parametrize(
    ("rule", "ends"),
    [
        ("all_succeeded", "queued"),
        ("any_succeeded", "queued"),
        ("none_failed", "queued"),
        ("all_done", "queued"),
        ("any_failed", "skipped (upstream_skipped)"),
    ],
)
def test_failure_that_may_be_counts_as_success_for_what_needs_it(actor, connection, sent, rule, ends):
    run = start_run(actor, {"a": MAY_FAIL, "b": {"needs": ["a"], "run_if": rule}})

    do(connection, run, "a", FAILED)
    follow(connection, run, "a")

    assert statuses(run.id) == {"a": "failed", "b": ends}


def test_run_does_not_fail_by_it(actor, connection, sent):
    run = start_run(actor, {"a": MAY_FAIL}, outputs={"how": "${{ tasks.a.status }}"})

    do(connection, run, "a", FAILED)
    follow(connection, run, "a")

    ended = WorkflowRun.objects.get(id=run.id)
    assert (ended.status, ended.error_message, ended.outputs) == ("succeeded", "", {"how": "failed"})


def test_another_failure_fails_the_run_and_is_the_one_it_tells(actor, connection, sent):
    run = start_run(actor, {"a": MAY_FAIL, "b": ""})

    for key in ("a", "b"):
        do(connection, run, key, FAILED)
        follow(connection, run, key)

    ended = WorkflowRun.objects.get(id=run.id)
    assert (ended.status, ended.error_message) == ("failed", "Task b failed: x")


def test_defaults_say_it_for_tasks_that_say_nothing(actor, sent):
    run = start_run(actor, {"a": "", "b": {"continue_on_error": False}}, defaults=MAY_FAIL)

    assert (row(run, "a").continue_on_error, row(run, "b").continue_on_error) == (True, False)


def test_skip_for_an_upstream_failure_is_no_failure_that_may_be(actor, connection, sent):
    run = start_run(actor, {"a": "", "b": {"needs": ["a"]} | MAY_FAIL, "c": "b"})

    do(connection, run, "a", FAILED)
    follow(connection, run, "a")

    assert statuses(run.id) == {"a": "failed", "b": "skipped (upstream_failed)", "c": "skipped (upstream_failed)"}


def test_real_workers_go_on_after_it_inside_chains_and_chords(actor, worker):
    run = start_run(
        actor,
        {"a": FAILS | MAY_FAIL, "b": "a", "c": {"needs": ["a"]} | FAILS | MAY_FAIL, "d": "b c"},
    )

    assert wait_for_end(run.id).status == "succeeded"
    assert statuses(run.id) == {"a": "failed", "b": "succeeded", "c": "failed", "d": "succeeded"}
