"""The graph of needs."""

import random

import pytest

from workflows.definition.graph import TaskGraph, check_needs, find_not_upstream


def graph_of(**needs):
    return TaskGraph.of({task: needed.split() if isinstance(needed, str) else needed for task, needed in needs.items()})


def problems_of(graph):
    return [(problem.code, problem.pointer, problem.message) for problem in check_needs(graph)]


def test_graph_without_circles_has_no_problems():
    graph = graph_of(a="", b="a", c="a", d="b c")

    assert check_needs(graph) == []
    assert graph.order == ("a", "b", "c", "d")


def test_order_puts_every_task_after_what_it_needs():
    graph = graph_of(d="b c", c="a", b="a", a="")

    assert graph.order == ("a", "c", "b", "d")


@pytest.mark.parametrize(
    ("needs", "problem"),
    [
        (
            {"extract": "", "clean": "extrct"},
            ("missing_need", "tasks.clean.needs[0]", 'there is no task "extrct"; did you mean "extract"?'),
        ),
        ({"a": "zzz"}, ("missing_need", "tasks.a.needs[0]", 'there is no task "zzz"')),
        ({"a": "a"}, ("self_need", "tasks.a.needs[0]", "a task cannot need itself")),
        ({"a": "", "b": "a a"}, ("duplicate_need", "tasks.b.needs[1]", 'names "a" a second time; once is enough')),
        (
            {"a": "b", "b": "a"},
            ("cycle", "tasks.a.needs[0]", "these tasks wait for each other: a → b → a; take one of these needs away"),
        ),
    ],
)
def test_wrong_need_is_told(needs, problem):
    assert problems_of(graph_of(**needs)) == [problem]


def test_entries_that_are_not_text_are_another_checks_business():
    assert check_needs(graph_of(a=[1, None, ["x"]], b=["a"])) == []


def test_shortest_cycle_of_a_tangle_is_shown():
    graph = graph_of(a="b", b="c", c="d a", d="a")

    assert problems_of(graph)[0][2] == "these tasks wait for each other: a → b → c → a; take one of these needs away"


def test_each_tangle_is_told_once_and_what_lies_between_or_behind_is_not():
    graph = graph_of(a="b", b="a", between="a", c="d between", d="c", behind="d", free="")

    cycles = [problem for problem in problems_of(graph) if problem[0] == "cycle"]

    assert {message.split(": ")[1].split(";")[0] for _, _, message in cycles} == {"a → b → a", "c → d → c"}
    assert graph.order == ("free",)


def test_long_cycle_is_shown_shortened():
    tasks = {f"t{i}": [f"t{(i + 1) % 20_000}"] for i in range(20_000)}

    (problem,) = check_needs(TaskGraph.of(tasks))

    assert problem.message.startswith("these tasks wait for each other: t0 → t1 → t2 → ")
    assert "(19,981 more)" in problem.message
    assert problem.message.endswith(" → t19999 → t0; take one of these needs away")


def test_upstream_is_transitive():
    graph = graph_of(a="", b="a", c="b", d="")
    pairs = [("c", "a"), ("c", "b"), ("c", "d"), ("a", "c"), ("b", "b"), ("d", "a")]

    assert find_not_upstream(graph, pairs) == {("c", "d"), ("a", "c"), ("b", "b"), ("d", "a")}


def test_tasks_in_or_behind_a_circle_are_passed_over():
    graph = graph_of(a="b", b="a", c="a", d="")

    assert find_not_upstream(graph, [("a", "d"), ("c", "d"), ("d", "a")]) == {("d", "a")}


def test_upstream_agrees_with_a_walk_over_random_graphs_of_many_targets():
    chooser = random.Random(7)
    tasks = {f"t{i}": [f"t{j}" for j in range(i) if chooser.random() < 0.004] for i in range(2_500)}
    upstream = {}
    for task, needed in tasks.items():
        upstream[task] = set(needed).union(*(upstream[need] for need in needed))
    pairs = [(task, other) for task in list(tasks)[::50] for other in tasks]

    found = find_not_upstream(TaskGraph.of(tasks), pairs)

    assert found == {(task, other) for task, other in pairs if other not in upstream[task]}
