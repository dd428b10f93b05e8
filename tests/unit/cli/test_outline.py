"""Order and indentation of a run's tasks."""

from __future__ import annotations

from maestro.cli import outline
from tests.unit.cli.builders import a_task

NEEDS = {
    "report": ("by_carrier", "delays"),
    "read": (),
    "clean": ("read",),
    "weather": ("read",),
    "by_carrier": ("clean",),
    "delays": ("by_airport", "weather"),
    "by_airport": ("clean",),
}


def test_every_task_stands_after_its_needs_and_branches_stay_together():
    assert outline.topological_order(NEEDS) == (
        "read", "clean", "by_carrier", "by_airport", "weather", "delays", "report",
    )  # fmt: skip


def test_branches_stand_deeper_than_their_fork_and_joins_as_deep_as_it():
    depth = outline.indentation(NEEDS, outline.topological_order(NEEDS))

    assert depth == {
        "read": 0, "clean": 1, "by_carrier": 2, "by_airport": 2, "weather": 1, "delays": 0, "report": 0,
    }  # fmt: skip


def test_linear_stretch_is_not_indented():
    needs = {"a": (), "b": ("a",), "c": ("b",)}

    assert set(outline.indentation(needs, ("a", "b", "c")).values()) == {0}


def test_separate_roots_may_meet():
    needs = {"a": (), "b": (), "c": ("a", "b"), "d": ("c",)}

    assert outline.indentation(needs, ("a", "b", "c", "d")) == {"a": 0, "b": 0, "c": 0, "d": 0}


def test_needs_that_are_no_task_of_the_run_are_left_out():
    assert outline.needs_of([a_task("a", needs=("gone",)), a_task("b", needs=("a",))]) == {"a": (), "b": ("a",)}


def test_no_task_is_lost_even_if_tasks_wait_for_each_other():
    assert outline.topological_order({"a": ("b",), "b": ("a",), "c": ()}) == ("c", "a", "b")
