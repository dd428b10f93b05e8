import pytest

from executors.kinds.noop import NoopOptions
from maestro.chaos.definitions import as_definition
from maestro.chaos.drawing import FEWEST_TASKS, MOST_TASKS, draw_graph
from maestro.chaos.graphs import Condition, Kind, Limit, Retry, Task
from workflows.definition.document import Document
from workflows.definition.sections import Section
from workflows.definition.spec import RunIf
from workflows.definition.validation import validate

SAMPLE = [draw_graph(1, number) for number in range(200)]


def test_a_graph_is_a_function_of_the_seed_and_the_number_of_the_run():
    assert draw_graph(1, 7) == draw_graph(1, 7)
    assert len({str(draw_graph(seed, number)) for seed in range(5) for number in range(5)}) == 25


def test_every_task_stands_after_what_it_needs():
    for graph in SAMPLE:
        keys = list(graph)
        assert all(keys.index(need) < keys.index(key) for key, task in graph.items() for need in task.needs)


def test_graphs_have_the_size_they_should():
    sizes = {sum(task.section is Section.TASKS for task in graph.values()) for graph in SAMPLE}

    assert min(sizes) == FEWEST_TASKS
    assert max(sizes) == MOST_TASKS


def test_graphs_have_every_rule_kind_and_condition_and_failures():
    tasks = [task for graph in SAMPLE for task in graph.values()]

    assert {task.rule for task in tasks} == set(RunIf)
    assert {task.kind for task in tasks} == set(Kind)
    assert {task.condition for task in tasks} == set(Condition)
    assert {task.fails for task in tasks} == {True, False}
    assert {task.may_fail for task in tasks} == {True, False}
    assert {task.section for task in tasks} == set(Section)
    assert {task.limit for task in tasks} == set(Limit) - {Limit.ABOVE}
    assert {task.retry for task in tasks} == set(Retry)
    assert {(task.failures, task.tries) for task in tasks} == {
        (failures, tries) for tries in range(1, 5) for failures in range(tries)
    }


def test_only_what_is_decided_by_all_needs_reads_them():
    # An early join starts while needs are open: what it read of them would depend on the time.
    early = Task(kind=Kind.PYTHON, number=1, needs=("a",), rule=RunIf.ANY_SUCCEEDED)
    late = Task(kind=Kind.PYTHON, number=1, needs=("a",), rule=RunIf.ALL_DONE)
    root = Task(kind=Kind.PYTHON, number=1)

    definition = as_definition({"a": root, "early": early, "late": late}, "chaos-0")

    assert definition["tasks"]["early"]["with"]["args"]["values"] == []
    assert definition["tasks"]["late"]["with"]["args"]["values"] == [
        "${{ tasks.a.status == 'succeeded' ? tasks.a.output.value : 0 }}"
    ]


@pytest.mark.parametrize("number", range(20))
def test_definitions_are_valid(number):
    kinds = dict.fromkeys(Kind, _AnyOptions)

    definition = validate(Document.of(as_definition(SAMPLE[number], f"chaos-{number}")), kinds=kinds)

    assert list(definition.all_tasks) == list(SAMPLE[number])


class _AnyOptions(NoopOptions):
    model_config = {"extra": "allow"}
