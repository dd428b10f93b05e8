"""What must come of a graph, whatever happens on the way: a sequential interpreter. Pure.

Where two ends are right, because two things may come first, it is told which one did; whether that may be is judged
apart. What follows must be as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from maestro.chaos.graphs import UNANSWERED_SECONDS, VALUES, Condition, Graph, Kind, Limit, Task, leaves
from workflows.definition.joins import Decision, End, decide_join
from workflows.definition.sections import Section, next_section
from workflows.definition.values import JsonValue

SUCCEEDED = "succeeded"
FAILED = "failed"
SKIPPED = "skipped"
CANCELLED = "cancelled"
CONDITION = "condition"
STOPPED = "stopped"
TIMED_OUT = "timed_out"
NO_VALUE = -1
"""What a run's outputs say of a task without a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a run did where its graph leaves that open."""

    ended_unrun: frozenset[str] = frozenset()
    """Tasks whose time was over while no attempt of theirs ran."""
    is_cancelled: bool = False
    """Whether somebody cancelled this very run."""
    children: Mapping[str, tuple[Seen, ...]] = field(default_factory=dict)
    """Task → what the runs did that it started, in the order in which it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTask:
    """How a task must end."""

    status: str
    """`succeeded`, `failed`, `skipped`, or `cancelled` when it only ends by the end of its run."""
    reason: str = ""
    """Why it is skipped, or has failed while nothing ran it."""
    codes: frozenset[str] = frozenset()
    """The errors that it may fail by."""
    value: int | None = None
    """What its output says; None without an output that says one."""
    fewest_failures: int = 0
    """How often it is told at least that its code failed."""
    most_failures: int = 0
    """How often at most: an attempt that is lost after its failure tells of none."""
    after: tuple[str, ...] = ()
    """Tasks whose work is done before it begins."""
    kind: Kind = Kind.PYTHON
    """What it is made of."""
    child: ExpectedRun | None = None
    """How the last run must end that it starts and waits for."""
    waits_seconds: float = 0.0
    """How long it waits at least, from its beginning to its end."""
    is_answered: bool = False
    """Whether somebody ends its wait."""
    section: Section = Section.TASKS
    """Whether it is a hook, and of what."""
    is_endless: bool = False
    """Whether it does not end by itself."""
    is_unbegun: bool = False
    """Whether its time is over before it begins."""

    @property
    def runs(self) -> bool:
        """Whether it begins."""
        return self.status != SKIPPED and not self.is_unbegun

    @property
    def works(self) -> bool:
        """Whether code of it runs, and notes that."""
        return self.runs and self.kind.is_code

    @property
    def is_done(self) -> bool:
        """Whether its code comes to its end."""
        return self.works and not self.is_endless

    @property
    def fewest_children(self) -> int:
        """How many runs it starts at least."""
        if self.kind is not Kind.WORKFLOW or not self.runs or self.is_endless:
            return 0
        return self.most_children

    @property
    def most_children(self) -> int:
        """How many runs it starts at most."""
        if self.kind is not Kind.WORKFLOW or not self.runs:
            return 0
        return self.most_failures + (self.status != FAILED)

    def output(self, attempt: int) -> JsonValue:
        """Return what its output has at least, when it ends by an attempt."""
        if self.child is not None:
            return None if self.status != SUCCEEDED else dict(self.child.outputs or {})
        if self.value is None:
            return None
        match self.kind:
            case Kind.SIGNAL:
                return {"value": self.value}
            case Kind.APPROVAL:
                return {"outcome": "approved", "form": {"value": self.value}}
            case Kind.HTTP:
                return {"status": 200, "body": {"state": "ready", "value": self.value}}
            case _:
                return {"value": self.value, "attempt": attempt}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRun:
    """How a run must end."""

    status: str
    """`succeeded`, `failed`, or `cancelled` when it only ends by what waits for it."""
    tasks: Mapping[str, ExpectedTask]
    """Task key → its end."""
    outputs: Mapping[str, int] | None
    """Its outputs; None when it failed."""
    is_stopped: bool = False
    """Whether a task ends it early, or its time is over: then others may be cancelled."""
    reason: str = ""
    """What ends it early."""


def interpret(graph: Graph, seen: Seen = Seen()) -> ExpectedRun:
    """Run the tasks one after the other; return how each and the run must end."""
    tasks: dict[str, ExpectedTask] = {}
    present = {task.section for task in graph.values()}
    _run_section(graph, Section.TASKS, tasks, seen)
    run = _outcome(graph, tasks)
    section = next_section(Section.TASKS, run.status, present)
    while section is not None:
        _run_section(graph, section, tasks, seen)
        section = next_section(section, run.status, present)
    return run


def value_of(number: int, values: list[int]) -> int:
    """Return the value of a task from its number and the values it was given."""
    return (number + sum(values)) % VALUES


def _outcome(graph: Graph, tasks: Mapping[str, ExpectedTask]) -> ExpectedRun:
    """Return how a run ends whose own tasks have ended; hooks may still join these."""
    for key, task in tasks.items():
        if task.kind is Kind.STOP and task.runs:
            fails = graph[key].fails
            outputs = None if fails else {"value": graph[key].number}
            return ExpectedRun(
                status=FAILED if fails else SUCCEEDED, tasks=tasks, outputs=outputs, is_stopped=True, reason=STOPPED
            )
    if any(task.limit.ends_run for task in graph.values()):
        return ExpectedRun(status=FAILED, tasks=tasks, outputs=None, is_stopped=True, reason=TIMED_OUT)
    if any(task.status == CANCELLED for task in tasks.values()):
        return ExpectedRun(status=CANCELLED, tasks=tasks, outputs=None)
    if any(task.status == FAILED and not graph[key].may_fail for key, task in tasks.items()):
        return ExpectedRun(status=FAILED, tasks=tasks, outputs=None)
    values = {key: tasks[key].value for key in leaves(graph)}
    outputs = {key: NO_VALUE if value is None else value for key, value in values.items()}
    return ExpectedRun(status=SUCCEEDED, tasks=tasks, outputs=outputs)


def _run_section(graph: Graph, section: Section, tasks: dict[str, ExpectedTask], seen: Seen) -> None:
    """Add how the tasks of a section end; its work begins when that of all sections before is done."""
    before = tuple(key for key, task in tasks.items() if task.is_done)
    for key, task in graph.items():
        if task.section is section:
            end = _end_of(key, tasks, graph, seen)
            waits = task.reads_needs and end.runs
            needed = tuple(need for need in task.needs if waits and tasks[need].is_done)
            after = (*before, *needed) if end.runs else ()
            is_endless = task.limit.is_overrun
            tasks[key] = replace(end, kind=task.kind, section=section, after=after, is_endless=is_endless)


def _end_of(key: str, ended: Mapping[str, ExpectedTask], graph: Graph, seen: Seen) -> ExpectedTask:
    task = graph[key]
    needs = [ended[need] for need in task.needs]
    decision = decide_join(task.rule, [_as_need(ended[need], graph[need]) for need in task.needs])
    if decision is None:
        return ExpectedTask(status=CANCELLED)
    if decision is not Decision.RUN:
        return ExpectedTask(status=SKIPPED, reason=str(decision))
    is_ended_unrun = key in seen.ended_unrun
    if task.limit is Limit.QUEUE and is_ended_unrun:
        # Whoever begins it would have judged its condition.
        codes = frozenset({"queue_timeout"})
        return ExpectedTask(status=FAILED, reason=TIMED_OUT, codes=codes, is_unbegun=True)
    values = [need.value or 0 for need in needs]
    if task.condition is Condition.NEVER or (task.condition is Condition.EVEN and values[0] % 2 != 0):
        return ExpectedTask(status=SKIPPED, reason=CONDITION)
    return _limited(task, is_ended_unrun=is_ended_unrun) or _run(
        task, values if task.reads_needs else [], seen.children.get(key, ())
    )


def _limited(task: Task, *, is_ended_unrun: bool) -> ExpectedTask | None:
    """Return how a task ends that does by its time limit; None of others."""
    match task.limit:
        case Limit.ABOVE | Limit.RUN | Limit.DEADLINE:
            return ExpectedTask(status=CANCELLED)
        case Limit.ATTEMPT:
            end = _failed(task.most_tries, TIMED_OUT)
        case Limit.TOTAL:
            # How many attempts there are depends on how long after its time each is ended.
            most = task.most_tries if task.attempt_seconds else 1
            end = replace(_failed(most, TIMED_OUT), fewest_failures=0 if is_ended_unrun else 1)
            end = replace(end, reason=TIMED_OUT if is_ended_unrun else "")
        case _:
            return None
    return end if task.child is None else replace(end, child=interpret(task.child))


def _run(task: Task, values: list[int], children: tuple[Seen, ...]) -> ExpectedTask:
    match task.kind:
        case Kind.SLEEP:
            return ExpectedTask(status=SUCCEEDED, waits_seconds=task.seconds)
        case Kind.STOP:
            return ExpectedTask(status=SUCCEEDED)
        case Kind.HTTP:
            # That waiting is no use is not tried again.
            end = _failed(1, "poll_failed") if task.fails else ExpectedTask(status=SUCCEEDED, value=task.number)
            return replace(end, waits_seconds=task.seconds)
        case Kind.WORKFLOW:
            return _run_child(task, children) if task.is_awaited else ExpectedTask(status=SUCCEEDED)
        case Kind.SIGNAL | Kind.APPROVAL:
            waits_seconds = 0.0 if task.is_answered else UNANSWERED_SECONDS
            # A rejection is not tried again.
            end = _failed(task.most_tries, "signal_timeout") if task.kind is Kind.SIGNAL else _failed(1, "rejected")
            if not task.fails:
                end = ExpectedTask(status=SUCCEEDED, value=task.number)
            return replace(end, waits_seconds=waits_seconds, is_answered=task.is_answered)
        case _:
            codes = frozenset({"planned_failure" if task.kind is Kind.PYTHON else "exit_status"})
            if task.is_refused and not task.fails:
                codes = codes | {"output_refused"} if task.failures else frozenset({"output_refused"})
            if task.fails or task.is_refused:
                return _failed(task.most_tries, *codes)
            value = value_of(task.number, values)
            return ExpectedTask(status=SUCCEEDED, codes=codes, value=value, most_failures=task.failures)


def _run_child(task: Task, children: tuple[Seen, ...]) -> ExpectedTask:
    """Run another workflow, again while it fails; what somebody cancelled is not tried again."""
    assert task.child is not None
    codes = ["child_failed"]
    for number in range(task.most_tries):
        seen = children[number] if number < len(children) else Seen()
        child = interpret(task.child, seen)
        if seen.is_cancelled:
            return replace(_failed(number + 1, *codes, "child_cancelled"), child=child)
        if child.outputs is not None:
            end = ExpectedTask(status=SUCCEEDED, value=sum(child.outputs.values()), child=child)
            return replace(end, codes=frozenset(codes), fewest_failures=number, most_failures=number)
    return replace(_failed(task.most_tries, *codes), child=child)


def _failed(tries: int, *codes: str) -> ExpectedTask:
    return ExpectedTask(status=FAILED, codes=frozenset(codes), fewest_failures=tries, most_failures=tries)


def _as_need(end: ExpectedTask, task: Task) -> End:
    if end.status == SKIPPED:
        return End.FAILED if end.reason == Decision.UPSTREAM_FAILED else End.SKIPPED
    if end.status == CANCELLED:
        # It ends with its run, and so does what waits for it.
        return End.OPEN
    return End.SUCCEEDED if task.may_fail else End(end.status)
