import pytest

from maestro.chaos.expected import CONDITION, ExpectedTask, interpret
from maestro.chaos.graphs import VALUES, Condition, Kind, Task
from workflows.definition.sections import Section
from workflows.definition.spec import RunIf

PLANNED = frozenset({"planned_failure"})
ROOT = Task(kind=Kind.PYTHON, number=2)


def task(*needs, number=1, **more):
    return Task(kind=Kind.PYTHON, number=number, needs=needs, **more)


def ends(graph):
    return {key: (end.status, end.reason) for key, end in interpret(graph).tasks.items()}


def test_a_value_is_the_tasks_number_and_those_of_its_needs():
    run = interpret({"a": ROOT, "b": task("a", number=VALUES - 1), "c": task("a", "b", number=10)})

    assert [end.value for end in run.tasks.values()] == [2, 1, 13]
    assert run.outputs == {"c": 13}
    assert run.status == "succeeded"


def test_a_failed_task_fails_the_run_and_skips_what_needs_it():
    run = interpret({"a": task(fails=True), "b": task("a"), "c": task("b", rule=RunIf.ALL_DONE)})

    assert run.status == "failed"
    assert run.outputs is None
    assert run.tasks["b"] == ExpectedTask(status="skipped", reason="upstream_failed")
    assert run.tasks["c"].value == 1


def test_a_task_waits_for_the_work_of_its_needs_unless_it_joins_early():
    graph = {
        "a": ROOT,
        "skipped": task("a", condition=Condition.NEVER),
        "late": task("a", "skipped", rule=RunIf.ALL_DONE),
        "early": task("a", "late", rule=RunIf.ANY_SUCCEEDED),
    }

    assert {key: end.after for key, end in interpret(graph).tasks.items()} == {
        "a": (),
        "skipped": (),
        "late": ("a",),
        "early": (),
    }


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        (RunIf.ALL_SUCCEEDED, ("skipped", "upstream_failed")),
        (RunIf.ALL_DONE, ("succeeded", "")),
        (RunIf.ANY_SUCCEEDED, ("succeeded", "")),
        (RunIf.ANY_FAILED, ("succeeded", "")),
        (RunIf.NONE_FAILED, ("skipped", "upstream_failed")),
    ],
)
def test_a_join_of_success_and_failure_follows_its_rule(rule, end):
    graph = {"good": ROOT, "bad": task(fails=True), "join": task("good", "bad", rule=rule)}

    assert ends(graph)["join"] == end


def test_a_condition_is_judged_by_the_first_needs_value():
    graph = {
        "even": ROOT,
        "odd": task(number=3),
        "runs": task("even", "odd", condition=Condition.EVEN),
        "stops": task("odd", "even", condition=Condition.EVEN),
        "never": task(condition=Condition.NEVER),
    }

    assert ends(graph)["runs"] == ("succeeded", "")
    assert ends(graph)["stops"] == ends(graph)["never"] == ("skipped", CONDITION)


def test_a_skip_by_condition_is_no_failure_and_has_no_value():
    run = interpret({"a": task(condition=Condition.NEVER), "b": task("a"), "c": task("a", rule=RunIf.NONE_FAILED)})

    assert run.tasks["b"] == ExpectedTask(status="skipped", reason="upstream_skipped")
    assert run.tasks["c"].value == 1
    assert run.outputs == {"b": -1, "c": 1}


def test_a_task_that_recovers_succeeds_after_its_failures_and_one_that_does_not_uses_up_its_tries():
    run = interpret({"recovers": task(failures=1, tries=3), "fails": task(fails=True, tries=3)})

    assert run.tasks["recovers"] == ExpectedTask(status="succeeded", codes=PLANNED, value=1, most_failures=1)
    assert run.tasks["fails"] == ExpectedTask(status="failed", codes=PLANNED, fewest_failures=3, most_failures=3)


def test_an_early_join_reads_nothing():
    assert interpret({"a": ROOT, "b": task("a", rule=RunIf.ANY_SUCCEEDED)}).tasks["b"].value == 1


def hook(section, *needs, **more):
    return task(*needs, section=Section(section), **more)


HOOKS = {
    "alert": hook("on_failure"),
    "cheer": hook("on_success", fails=True),
    "clean": hook("finally"),
    "last": hook("finally", "clean"),
}


def test_hooks_of_the_outcome_run_after_all_else_and_change_nothing():
    good, bad = interpret({"a": ROOT} | HOOKS), interpret({"a": task(fails=True)} | HOOKS)

    assert (good.status, good.outputs, list(good.tasks)) == ("succeeded", {"a": 2}, ["a", "cheer", "clean", "last"])
    assert (bad.status, bad.outputs, list(bad.tasks)) == ("failed", None, ["a", "alert", "clean", "last"])
    assert (good.tasks["cheer"].status, good.tasks["last"].after) == ("failed", ("a", "cheer", "clean"))


def test_a_failure_that_may_be_is_a_success_for_what_needs_it():
    run = interpret({"a": task(fails=True, may_fail=True), "b": task("a"), "c": task("a", rule=RunIf.ANY_FAILED)})

    assert (run.status, run.tasks["a"].status, run.tasks["b"].value) == ("succeeded", "failed", 1)
    assert run.tasks["c"] == ExpectedTask(status="skipped", reason="upstream_skipped")
