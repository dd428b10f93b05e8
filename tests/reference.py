"""A sequential interpreter of definitions: what every run must come to, whatever happened on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from workflows.definition.spec import RunIf
from workflows.runs.joins import RUN, decide_join
from workflows.runs.statuses import Reason, RunStatus, TaskStatus

# What tasks of kind `workflow` run: one that succeeds, and one that fails.
CHILDREN = {
    name: {"schema_version": 1, "name": name, "tasks": {"only": {"uses": "noop"} | options}}
    for name, options in {"reference-child": {}, "reference-failing-child": {"with": {"fail": True}}}.items()
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExpectedTask:
    """A task as the interpreter needs to know it."""

    needs: tuple[str, ...] = ()
    rule: RunIf = RunIf.ALL_SUCCEEDED
    fails: bool = False
    may_fail: bool = False
    condition: bool = True
    is_slow: bool = False
    """Whether it goes on until somebody lets it go."""
    uses: str = "noop"
    """`noop`, `signal`, `approval` or `workflow`."""
    section: str = "tasks"
    """`tasks`, or the hooks it is one of."""
    refused: bool = False
    """Whether its output never fits its contract."""

    def __repr__(self):
        """What is not the default: a graph that fails is shown whole, and must be short enough for that."""
        said = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self)]
        usual = [f"{each.name}={each.default!r}" for each in fields(self)]
        return f"ExpectedTask({', '.join(text for text in said if text not in usual)})"

    def _repr_pretty_(self, printer, cycle):
        """The same for Hypothesis, which would show all fields."""
        printer.text(repr(self))

    def as_definition(self, gates=None):
        """The same task in the definition language; a slow one goes on until its run has a file in the directory."""
        uses, options = self.uses, {"fail": True} if self.fails else {}
        if self.is_slow:
            command = f"until [ -e '{gates}'/$MAESTRO_RUN_ID ]; do sleep 0.1; done; exit {int(self.fails)}"
            uses, options = "shell", {"command": command}
        if self.uses == "approval":
            options = {"message": "Go on?"}
        if self.uses == "workflow":
            options = {"workflow": "reference-failing-child" if self.fails else "reference-child"}
        return (
            {"uses": uses, "needs": list(self.needs), "run_if": self.rule.value}
            | ({"with": options} if options else {})
            | ({} if self.condition else {"if": "${{ 1 > 2 }}"})
            | ({"continue_on_error": True} if self.may_fail else {})
            | ({"output": {"type": "string"}} if self.refused else {})
        )


Ends = Mapping[str, tuple[TaskStatus, str]]


def interpret(tasks: Mapping[str, ExpectedTask]) -> tuple[RunStatus, Ends]:
    """Run the tasks one after the other, each after its needs, then the hooks of that outcome; return how the run and
    each task end that it came to.
    """
    own = of_section(tasks, "tasks")
    ends = _ends(own)
    failed = any(status is TaskStatus.FAILED and not own[key].may_fail for key, (status, _) in ends.items())
    for section in ("on_failure" if failed else "on_success", "finally"):
        ends |= _ends(of_section(tasks, section))
    return (RunStatus.FAILED if failed else RunStatus.SUCCEEDED), ends


def of_section(tasks: Mapping[str, ExpectedTask], section: str) -> dict[str, ExpectedTask]:
    """Return the tasks of one section."""
    return {key: task for key, task in tasks.items() if task.section == section}


def ends_without(tasks: Mapping[str, ExpectedTask], slow: str) -> set[str]:
    """Return the tasks that need not wait for one of them: those that end while it still runs."""
    tasks = of_section(tasks, "tasks")
    ends: dict[str, tuple[TaskStatus, str]] = {}
    while True:
        ready = {
            key
            for key, task in tasks.items()
            if key not in ends | {slow: None} and _decision(task, tasks, ends) is not None
        }
        if not ready:
            return set(ends)
        ends |= {key: _end(tasks[key], tasks, ends) for key in ready}


def _ends(tasks: Mapping[str, ExpectedTask]) -> dict[str, tuple[TaskStatus, str]]:
    ends: dict[str, tuple[TaskStatus, str]] = {}
    while len(ends) < len(tasks):
        for key, task in tasks.items():
            if key not in ends and all(need in ends for need in task.needs):
                ends[key] = _end(task, tasks, ends)
    return ends


def _decision(task: ExpectedTask, tasks: Mapping[str, ExpectedTask], ends: Ends) -> str | None:
    needs = [(*ends.get(need, (TaskStatus.RUNNING, "")), tasks[need].may_fail) for need in task.needs]
    return decide_join(task.rule, needs)


def _end(task: ExpectedTask, tasks: Mapping[str, ExpectedTask], ends: Ends) -> tuple[TaskStatus, str]:
    decision = _decision(task, tasks, ends)
    if decision != RUN:
        assert decision is not None
        return TaskStatus.SKIPPED, decision
    if not task.condition:
        return TaskStatus.SKIPPED, Reason.CONDITION
    return (TaskStatus.FAILED if task.fails or task.refused else TaskStatus.SUCCEEDED), ""
