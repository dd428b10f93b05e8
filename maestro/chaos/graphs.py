"""Random workflows: what runs in a campaign. Drawn in `drawing`; in the language: `definitions`; what must come of
them: `expected`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from workflows.definition.sections import Section
from workflows.definition.spec import RunIf

VALUES = 1_000_003
"""Every value is below this: sums of them stay exact whatever computes them."""
# Before each further attempt; where delays grow, before the second.
RETRY_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 0.5
# How long a task waits that nobody answers.
UNANSWERED_SECONDS = 1.0
# What a task takes that is ended by a time limit: longer than all of these, and than whoever is late to end it.
ENDLESS_SECONDS = 60.0
# Between two questions whether what is outside is ready.
ASK_SECONDS = 1.0
ATTEMPT_SECONDS = 0.8
TOTAL_SECONDS = 1.5
QUEUE_SECONDS = 1.0
RUN_SECONDS = 4.0
# Time for what no task takes.
AMPLE_SECONDS = 3600.0
# Whether such a task starts depends on which need ends first, and so would what it could read of them.
EARLY_RULES = frozenset({RunIf.ANY_SUCCEEDED, RunIf.ANY_FAILED})


class Kind(StrEnum):
    """What a task is made of."""

    PYTHON = "python"
    SHELL = "shell"
    SLEEP = "sleep"
    SIGNAL = "signal"
    APPROVAL = "approval"
    WORKFLOW = "workflow"
    STOP = "stop"
    HTTP = "http"

    @property
    def is_code(self) -> bool:
        """Whether it runs code, which notes what it does."""
        return self in (Kind.PYTHON, Kind.SHELL)


class Contract(StrEnum):
    """What a task's `output` asks."""

    NONE = "none"
    """Nothing: it has no `output`."""
    FITS = "fits"
    """What the task returns."""
    REFUSES = "refuses"
    """What the task never returns."""


class Limit(StrEnum):
    """What a task's `timeout` limits, and whether that is met."""

    NONE = "none"
    """Nothing: it has no `timeout`."""
    AMPLE = "ample"
    """Everything, to more than it takes."""
    ATTEMPT = "attempt"
    """Each attempt, and each takes longer."""
    TOTAL = "total"
    """All attempts together, and the first takes longer, or all of them."""
    QUEUE = "queue"
    """The time until it is begun, which may come first."""
    ABOVE = "above"
    """Nothing, though it takes for ever: what waits for its run has a limit."""
    RUN = "run"
    """The same, and its workflow has a limit."""
    DEADLINE = "deadline"
    """The same, and its run has a deadline."""

    @property
    def is_overrun(self) -> bool:
        """Whether the task takes longer than it may, and does not end by itself."""
        return self in (Limit.ATTEMPT, Limit.TOTAL, Limit.ABOVE, Limit.RUN, Limit.DEADLINE)

    @property
    def ends_run(self) -> bool:
        """Whether it ends the run of the task."""
        return self in (Limit.RUN, Limit.DEADLINE)


class Retry(StrEnum):
    """What a task's `retry` says beside how often it is tried."""

    STEADY = "steady"
    """All errors, after the same delay."""
    GROWING = "growing"
    """All errors, after delays that double up to the longest."""
    JITTERED = "jittered"
    """The same, each delay drawn between zero and itself."""
    ON = "on"
    """The errors that the task fails by."""
    NOT_ON = "not_on"
    """All but these, so that it is tried once."""
    WITHIN = "within"
    """All errors, in less time than the delay, so that it is tried once."""

    @property
    def is_once(self) -> bool:
        """Whether the task is tried once only."""
        return self in (Retry.NOT_ON, Retry.WITHIN)


class Condition(StrEnum):
    """What a task's `if` asks."""

    NONE = "none"
    """Nothing: it has no `if`."""
    NEVER = "never"
    """What is never true."""
    EVEN = "even"
    """Whether the value of its first need is even."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task of a random graph."""

    kind: Kind
    """What it is made of."""
    number: int
    """What it adds to the values of its needs."""
    seconds: float = 0.0
    """How long it sleeps, as code or as a wait."""
    needs: tuple[str, ...] = ()
    """Keys of the tasks it waits for."""
    rule: RunIf = RunIf.ALL_SUCCEEDED
    """Its `run_if`."""
    condition: Condition = Condition.NONE
    """Its `if`."""
    fails: bool = False
    """Whether it fails every time: its code at its end, a signal that never comes, an approval that is rejected, an
    answer that says that waiting is no use. A stop ends its run as failed."""
    failures: int = 0
    """How often its code fails before it succeeds; fewer than `tries`."""
    tries: int = 1
    """Its `max_attempts`."""
    retry: Retry = Retry.STEADY
    """What else its `retry` says."""
    may_fail: bool = False
    """Its `continue_on_error`."""
    section: Section = Section.TASKS
    """Whether it is a hook, and of what."""
    contract: Contract = Contract.NONE
    """Its `output`."""
    is_answered: bool = False
    """Whether somebody sends its signal or decides its approval: else its time is over soon."""
    child: Graph | None = None
    """What it runs as another workflow."""
    is_awaited: bool = True
    """Whether it waits for the end of the run that it starts."""
    limit: Limit = Limit.NONE
    """Its `timeout`."""
    is_stubborn: bool = False
    """Whether its code goes on when it is told to stop, so that it has to be killed."""

    @property
    def reads_needs(self) -> bool:
        """Whether its value depends on those of its needs."""
        return self.rule not in EARLY_RULES

    @property
    def is_refused(self) -> bool:
        """Whether what it returns never fits what its `output` asks."""
        return self.contract is Contract.REFUSES

    @property
    def most_tries(self) -> int:
        """How often it is tried at most."""
        return 1 if self.retry.is_once else self.tries

    def delay_seconds(self, failures: int) -> float:
        """Return how long it waits at least before the attempt after so many failures."""
        if self.retry is Retry.JITTERED:
            return 0.0
        factor = 2 ** (failures - 1) if self.retry is Retry.GROWING else 1
        return min(RETRY_DELAY_SECONDS * factor, LONGEST_DELAY_SECONDS)

    @property
    def attempt_seconds(self) -> float | None:
        """How long each attempt may take that takes longer; None when that has no limit of its own."""
        has_both = self.limit is Limit.TOTAL and self.number % 2 == 0
        return ATTEMPT_SECONDS if self.limit is Limit.ATTEMPT or has_both else None


Graph = Mapping[str, Task]
"""Task key → task, each after its needs."""


def codes_of(task: Task) -> frozenset[str]:
    """Return the errors by which a task may fail that may be tried again."""
    if task.limit.is_overrun:
        return frozenset({"timed_out"})
    match task.kind:
        case Kind.PYTHON:
            return frozenset({"planned_failure", "output_refused"})
        case Kind.SHELL:
            return frozenset({"exit_status"})
        case Kind.SIGNAL:
            return frozenset({"signal_timeout"})
        case Kind.WORKFLOW:
            return frozenset({"child_failed"})
        case _:
            return frozenset({"unexpected_error"})


def children_of(graph: Graph, name: str) -> dict[str, Graph]:
    """Return the graphs that a workflow's tasks run, by the names of their workflows; first those that these run."""
    found: dict[str, Graph] = {}
    for key, task in graph.items():
        if task.child is not None:
            child_name = name_of_child(name, key)
            found |= children_of(task.child, child_name) | {child_name: task.child}
    return found


def leaves(graph: Graph) -> list[str]:
    """Return the tasks that no other one needs, without hooks: a run's outputs are of these."""
    needed = {need for task in graph.values() for need in task.needs}
    return [key for key, task in graph.items() if key not in needed and task.section is Section.TASKS]


def workflow_name(number: int) -> str:
    """Name the workflow of one run of a campaign."""
    return f"chaos-{number}"


def name_of_child(name: str, key: str) -> str:
    """Name the workflow that a task of another one runs."""
    return f"{name}-{key}"
