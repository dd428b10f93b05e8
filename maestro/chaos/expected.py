"""What must come of a graph, whatever happens on the way: a sequential interpreter. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from maestro.chaos.graphs import VALUES, Condition, Graph, Task
from workflows.definition.joins import Decision, End, decide_join
from workflows.definition.sections import Section, next_section

SUCCEEDED = "succeeded"
FAILED = "failed"
SKIPPED = "skipped"
CONDITION = "condition"
NO_VALUE = -1
"""What a run's outputs say of a task without a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTask:
    """How a task must end."""

    status: str
    """`succeeded`, `failed` or `skipped`."""
    reason: str = ""
    """Why it is skipped."""
    value: int | None = None
    """What its output says; None without an output."""
    fewest_failures: int = 0
    """How often it is told at least that its code failed."""
    most_failures: int = 0
    """How often at most: an attempt that is lost after its failure tells of none."""
    after: tuple[str, ...] = ()
    """Tasks whose work is done before it begins."""

    @property
    def runs(self) -> bool:
        """Whether its code runs."""
        return self.status != SKIPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRun:
    """How a run must end."""

    status: str
    """`succeeded` or `failed`."""
    tasks: Mapping[str, ExpectedTask]
    """Task key → its end."""
    outputs: Mapping[str, int] | None
    """Its outputs; None when it failed."""


def interpret(graph: Graph) -> ExpectedRun:
    """Run the tasks one after the other; return how each and the run must end."""
    tasks: dict[str, ExpectedTask] = {}
    present = {task.section for task in graph.values()}
    _run_section(graph, Section.TASKS, tasks)
    has_failed = any(task.status == FAILED and not graph[key].may_fail for key, task in tasks.items())
    status, outputs = (FAILED, None) if has_failed else (SUCCEEDED, _outputs(graph, tasks))
    section = next_section(Section.TASKS, status, present)
    while section is not None:
        _run_section(graph, section, tasks)
        section = next_section(section, status, present)
    return ExpectedRun(status=status, tasks=tasks, outputs=outputs)


def value_of(number: int, values: list[int]) -> int:
    """Return the value of a task from its number and the values it was given."""
    return (number + sum(values)) % VALUES


def _run_section(graph: Graph, section: Section, tasks: dict[str, ExpectedTask]) -> None:
    """Add how the tasks of a section end; its work begins when that of all sections before is done."""
    before = tuple(key for key, task in tasks.items() if task.runs)
    for key, task in graph.items():
        if task.section is section:
            end = _end_of(task, tasks, graph)
            waits = task.reads_needs and end.runs
            needed = tuple(need for need in task.needs if waits and tasks[need].runs)
            tasks[key] = replace(end, after=(*before, *needed) if end.runs else ())


def _outputs(graph: Graph, tasks: Mapping[str, ExpectedTask]) -> dict[str, int]:
    needed = {need for task in graph.values() for need in task.needs}
    values = {key: task.value for key, task in tasks.items() if key not in needed}
    return {key: NO_VALUE if value is None else value for key, value in values.items()}


def _end_of(task: Task, ended: Mapping[str, ExpectedTask], graph: Graph) -> ExpectedTask:
    needs = [ended[need] for need in task.needs]
    decision = decide_join(task.rule, [_as_need(ended[need], graph[need]) for need in task.needs])
    if decision is not Decision.RUN:
        return ExpectedTask(status=SKIPPED, reason=str(decision))
    values = [need.value or 0 for need in needs]
    if task.condition is Condition.NEVER or (task.condition is Condition.EVEN and values[0] % 2 != 0):
        return ExpectedTask(status=SKIPPED, reason=CONDITION)
    if task.fails:
        return ExpectedTask(status=FAILED, fewest_failures=task.tries, most_failures=task.tries)
    value = value_of(task.number, values if task.reads_needs else [])
    return ExpectedTask(status=SUCCEEDED, value=value, most_failures=task.failures)


def _as_need(end: ExpectedTask, task: Task) -> End:
    if end.status == SKIPPED:
        return End.FAILED if end.reason == Decision.UPSTREAM_FAILED else End.SKIPPED
    return End.SUCCEEDED if task.may_fail else End(end.status)
