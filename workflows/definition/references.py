"""Whether what expressions read exists, and is upstream of the task that reads it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from workflows.definition.cel_references import Reference
from workflows.definition.expressions import Embedded, show_expression
from workflows.definition.graph import TaskGraph, find_not_upstream
from workflows.definition.problems import Problem, Suggester, suggestion
from workflows.definition.sections import HOOKS

TASK_MEMBERS = ("output", "status", "error_message")
FACTS = {"run": ("id", "workflow", "created_at"), "platform": ("url",)}
OUTCOME = ("status", "error_message", "failed_tasks")
"""What hooks may ask of their run besides."""


def check_references(
    graph: TaskGraph,
    *,
    in_tasks: Mapping[str, Sequence[Embedded]],
    in_outputs: Sequence[Embedded],
    inputs: Collection[str],
    ended: Collection[str] = (),
) -> list[Problem]:
    """Return every reference to an input, task or fact that is not there, or to a task that is not upstream.

    The outputs of a workflow are read when all its tasks have ended, so every task is upstream of them. So are the
    tasks that have `ended` of hooks.
    """
    checker = _Checker(graph, inputs, ended)
    problems = [problem for embedded in in_outputs for problem in checker.check(embedded)]
    pairs: list[tuple[str, str]] = []
    for task, expressions in in_tasks.items():
        for embedded in expressions:
            problems += checker.check(embedded)
            pairs += [(task, other) for other in _tasks_read(embedded) if other in graph.needs]
    not_upstream = find_not_upstream(graph, pairs)
    if not_upstream:
        for task, expressions in in_tasks.items():
            for embedded in expressions:
                problems += _not_upstream(task, embedded, not_upstream)
    return problems


class _Checker:
    """Looks up what expressions read."""

    def __init__(self, graph: TaskGraph, inputs: Collection[str], ended: Collection[str]) -> None:
        self._tasks = {*graph.needs, *ended} if ended else graph.needs
        self._is_of_hooks = graph.section in HOOKS
        self._inputs = inputs
        self._near_tasks = Suggester(self._tasks)
        self._near_inputs = Suggester(inputs)

    def check(self, embedded: Embedded) -> Iterator[Problem]:
        """Yield a problem for everything the expression reads that is not there."""
        for reference in sorted(embedded.expression.references, key=str):
            found = self._find_fault(reference)
            if found:
                yield _problem(embedded, *found)

    def _find_fault(self, reference: Reference) -> tuple[str, str] | None:
        name, member = reference.name, reference.member
        if reference.root == "inputs" and name is not None and name not in self._inputs:
            return "unknown_input", f'there is no input "{name}"{self._near_inputs.suggest(name)}'
        facts = FACTS.get(reference.root)
        if reference.root == "run" and name in OUTCOME:
            if self._is_of_hooks:
                return None
            return "unknown_member", f"`run.{name}` is known only in on_failure, on_success and finally"
        if facts is not None and name is not None and name not in facts:
            return (
                "unknown_member",
                f"`{reference.root}` has {_listed(facts)}, not {name}{suggestion(name, facts)}",
            )
        if reference.root != "tasks":
            return None
        if name is None:
            return "bad_expression", "`tasks` must be followed by the key of a task, as in `tasks.load.output`"
        if name not in self._tasks:
            return "unknown_task", f'there is no task "{name}"{self._near_tasks.suggest(name)}'
        if member is not None and member not in TASK_MEMBERS:
            return (
                "unknown_member",
                f"a task has {_listed(TASK_MEMBERS)}, not {member}{suggestion(member, TASK_MEMBERS)}",
            )
        return None


def _not_upstream(task: str, embedded: Embedded, pairs: set[tuple[str, str]]) -> Iterator[Problem]:
    for other in _tasks_read(embedded):
        if (task, other) in pairs:
            reason = "a task cannot read itself" if other == task else f'add "{other}" to the needs of "{task}"'
            message = f'the task "{other}" is not upstream of "{task}"; {reason}'
            yield _problem(embedded, "reference_not_upstream", message)


def _tasks_read(embedded: Embedded) -> list[str]:
    names = {reference.name for reference in embedded.expression.references if reference.root == "tasks"}
    return sorted(name for name in names if name is not None)


def _problem(embedded: Embedded, code: str, message: str) -> Problem:
    shown = show_expression(embedded.expression.text)
    return Problem(code=code, path=embedded.path, message=f"`{shown}`: {message}")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
