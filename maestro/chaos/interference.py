"""What must be true of runs that people or other runs interfere with: cancels, pauses, signals, child runs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from maestro.chaos.cases import CANCELLED, ENDED_TASK, Break, Case, broken, tasks_of
from maestro.chaos.graphs import Kind
from maestro.chaos.rows import TaskRow
from workflows.definition.sections import Section

# What is said of an attempt that has ended: whatever it did, it did before.
PROVEN = frozenset({"stopped", "killed"})
UNCONFIRMED = "unconfirmed"
# A line may be written by the clock of the process, and the row by that of the database: both are this machine's.
CLOCK_SECONDS = 0.05
# What runs is told, made to stop, killed, or given up with its worker.
CANCEL_SECONDS = 60.0


def nothing_begins_after_its_cancel(case: Case) -> Iterator[Break]:
    """No attempt begins after the API has said that the run is cancelled, but for the hooks of a cancelled run."""
    if case.cancelled_at is None:
        return
    hooks = {key for key, expected in case.expected.tasks.items() if expected.section is not Section.TASKS}
    for task, at in _beginnings(case):
        is_allowed = task.task_key in hooks and case.run.status == CANCELLED
        if at > case.cancelled_at + CLOCK_SECONDS and not is_allowed:
            message = f"an attempt began {at - case.cancelled_at:.3f} s after the run was cancelled"
            yield broken(case, "begun_after_cancel", message, task)


def what_ran_at_its_cancel_ends_soon(case: Case) -> Iterator[Break]:
    """No task of a run goes on for long after the API has said that the run is cancelled, but for its last hooks."""
    if case.cancelled_at is None:
        return
    for task, expected in tasks_of(case):
        seconds = task.finished_at.timestamp() - case.cancelled_at if task.finished_at else 0.0
        if expected.section is Section.TASKS and seconds > CANCEL_SECONDS:
            yield broken(case, "cancelled_late", f"it ended {seconds:.1f} s after the run was cancelled", task)


def what_is_cancelled_is_as_its_reason_says(case: Case) -> Iterator[Break]:
    """A task is cancelled for a reason that is known; what was proven to have ended does nothing afterwards."""
    for task in case.run.tasks:
        if not case.cancels(task):
            continue
        of_task = [effect for effect in case.effects if effect.task_key == task.task_key]
        if task.reason not in {"", UNCONFIRMED, *PROVEN}:
            yield broken(case, "wrong_reason", f"it is cancelled with the reason {task.reason}", task)
        if not task.attempt and of_task:
            yield broken(case, "effect_of_cancelled", "its code ran, and its row knows no attempt", task)
        if task.reason not in PROVEN or task.finished_at is None:
            continue
        ended_at = task.finished_at.timestamp() + CLOCK_SECONDS
        for effect in of_task:
            if effect.attempt == task.attempt and max(effect.begun_at, effect.ended_at or 0) > ended_at:
                yield broken(case, "effect_of_stopped", f"it is {task.reason}, and its code went on", task)


def nothing_begins_while_held(case: Case) -> Iterator[Break]:
    """No attempt begins between the answer to a pause and the question to let it go on."""
    for task, at in _beginnings(case):
        for hold in case.holds:
            if hold.begun_at + CLOCK_SECONDS < at < hold.ended_at - CLOCK_SECONDS:
                message = f"an attempt began {at - hold.begun_at:.3f} s after the {hold.scope} was paused"
                yield broken(case, "begun_while_held", message, task)


def waits_are_as_long_as_they_must_be(case: Case) -> Iterator[Break]:
    """What waits for a time does not end before it."""
    for task, expected in tasks_of(case):
        if task.status not in {"succeeded", "failed"} or task.started_at is None or task.finished_at is None:
            continue
        seconds = (task.finished_at - task.started_at).total_seconds()
        if expected.waits_seconds and seconds < expected.waits_seconds:
            message = f"it waited {seconds:g} s, expected {expected.waits_seconds:g} s or more"
            yield broken(case, "waited_too_little", message, task)


def signals_are_taken_once(case: Case) -> Iterator[Break]:
    """A signal that is sent again is stored once; a task that succeeds by one has taken it, and no other task has."""
    counts = Counter(signal.name for signal in case.signals)
    taken = Counter(signal.taken_by for signal in case.signals if signal.taken_by)
    for name, count in counts.items():
        if count > 1:
            yield broken(case, "signal_repeated", f"the signal {name} is stored {count} times")
    for task, expected in tasks_of(case):
        if expected.kind is not Kind.SIGNAL or task.status not in ENDED_TASK:
            continue
        wanted = int(task.status == "succeeded" and expected.is_answered)
        if taken[task.task_key] != wanted:
            yield broken(case, "signal_not_taken", f"it has taken {taken[task.task_key]} signals, not {wanted}", task)


def children_are_started_once(case: Case) -> Iterator[Break]:
    """A task starts a run for each of its tries, and no further one when an attempt is lost."""
    for task, expected in tasks_of(case):
        started = sum(child.parent_task == task.task_key for child in case.children)
        if case.cancels(task):
            if expected.kind is Kind.WORKFLOW and started > max(expected.most_children, 1):
                yield broken(case, "wrong_children", f"it has started {started} runs", task)
        elif task.status in ENDED_TASK and not expected.fewest_children <= started <= expected.most_children:
            message = f"it has started {started} runs, expected {expected.most_children}"
            yield broken(case, "wrong_children", message, task)


INVARIANTS: Sequence[Callable[[Case], Iterator[Break]]] = (
    nothing_begins_after_its_cancel,
    what_ran_at_its_cancel_ends_soon,
    what_is_cancelled_is_as_its_reason_says,
    nothing_begins_while_held,
    waits_are_as_long_as_they_must_be,
    signals_are_taken_once,
    children_are_started_once,
)


def _beginnings(case: Case) -> Iterator[tuple[TaskRow, float]]:
    for task in case.run.tasks:
        for started_at in (*(attempt.started_at for attempt in task.history), task.started_at):
            if started_at is not None:
                yield task, started_at.timestamp()
