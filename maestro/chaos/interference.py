"""What must be true of runs that people or other runs interfere with: cancels, pauses, signals, child runs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from maestro.chaos.cases import CANCELLED, ENDED_TASK, Break, Case, broken, tasks_of
from maestro.chaos.expected import TIMED_OUT
from maestro.chaos.graphs import ASK_SECONDS, Kind
from maestro.chaos.rows import TaskRow
from workflows.definition.sections import Section

# What is said of an attempt that has ended: whatever it did, it did before.
PROVEN = frozenset({"stopped", "killed"})
UNCONFIRMED = "unconfirmed"
# A line may be written by the clock of the process, and the row by that of the database: both are this machine's.
CLOCK_SECONDS = 0.05
# What runs is told, made to stop, killed, or given up with its worker.
CANCEL_SECONDS = 60.0
# Whoever leaves a run alone stops it; where nobody is away, beat has done so after this if they could not.
LEFT_ALONE_SECONDS = 12.0


def nothing_begins_after_its_cancel(case: Case) -> Iterator[Break]:
    """No attempt begins after the API has said that the run is cancelled, but for the hooks of a cancelled run, and of
    one below it, which are spared.
    """
    if case.cancelled_at is None:
        return
    hooks = {key for key, expected in case.expected.tasks.items() if expected.section is not Section.TASKS}
    for task, at in _beginnings(case):
        is_allowed = task.task_key in hooks and (case.run.status == CANCELLED or not case.is_asked)
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
        if not task.attempt and not all(case.may_forget(effect) for effect in of_task):
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
        # What is outside goes on while an attempt is lost.
        first_at = min(at for _, at in _beginnings(case, task.task_key))
        since = first_at if expected.kind is Kind.HTTP else task.started_at.timestamp()
        seconds = task.finished_at.timestamp() - since
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


def questions_are_asked_in_time(case: Case) -> Iterator[Break]:
    """A task asks the outside in its time only, and not again before it should, unless an attempt of it was lost."""
    for task, expected in tasks_of(case):
        asked = [ask.at for ask in case.asks if ask.task_key == task.task_key]
        if expected.kind is not Kind.HTTP or task.finished_at is None or case.crashes:
            continue
        if not expected.runs and asked:
            yield broken(case, "asked_by_skipped", "it asked, and never began", task)
        if task.history or case.cancels(task):
            continue
        if asked and max(asked) > task.finished_at.timestamp() + CLOCK_SECONDS:
            yield broken(case, "asked_after_end", "it asked when it was over", task)
        for before, after in pairwise(asked):
            if after - before < ASK_SECONDS - CLOCK_SECONDS:
                yield broken(case, "asked_early", f"it asked again after {after - before:.3f} s", task)


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


def tasks_end_after_the_runs_they_wait_for(case: Case) -> Iterator[Break]:
    """A task ends after the run that it waits for, and one that does not wait says which it has started."""
    ends = {(task.task_key, task.attempt): task for task in case.run.tasks}
    for child in case.children:
        task = ends.get((child.parent_task, child.parent_attempt))
        if task is None or task.status not in {"succeeded", "failed"} or task.finished_at is None:
            continue
        if not child.is_awaited:
            if task.output != {"run_id": child.id}:
                yield broken(case, "wrong_output", f"output {task.output}, and it has started run {child.id}", task)
        elif task.error_code != TIMED_OUT and (child.finished_at is None or child.finished_at > task.finished_at):
            yield broken(case, "ended_before_child", f"it {task.status} before run {child.id} had ended", task)


def what_is_left_alone_ends(case: Case) -> Iterator[Break]:
    """Of a run that nobody waits for any more nothing begins, and what runs of it ends soon, but for its hooks."""
    if case.left_alone_at is None:
        return
    latest = case.left_alone_at + LEFT_ALONE_SECONDS
    hooks = {key for key, expected in case.expected.tasks.items() if expected.section is not Section.TASKS}
    for task, at in _beginnings(case):
        if task.task_key not in hooks and at > latest and not case.is_disturbed(case.left_alone_at, at):
            yield broken(case, "begun_left_alone", f"begun {at - case.left_alone_at:.1f} s after it was left", task)
    for task in case.run.tasks:
        ended_at = task.finished_at.timestamp() if task.finished_at is not None else 0.0
        is_late = task.task_key not in hooks and ended_at > latest + LEFT_ALONE_SECONDS
        if is_late and not case.is_disturbed(case.left_alone_at, ended_at):
            yield broken(
                case, "left_alone_late", f"ended {ended_at - case.left_alone_at:.1f} s after it was left", task
            )


INVARIANTS: Sequence[Callable[[Case], Iterator[Break]]] = (
    nothing_begins_after_its_cancel,
    what_ran_at_its_cancel_ends_soon,
    what_is_cancelled_is_as_its_reason_says,
    nothing_begins_while_held,
    waits_are_as_long_as_they_must_be,
    signals_are_taken_once,
    questions_are_asked_in_time,
    children_are_started_once,
    tasks_end_after_the_runs_they_wait_for,
    what_is_left_alone_ends,
)


def _beginnings(case: Case, key: str | None = None) -> Iterator[tuple[TaskRow, float]]:
    """Yield when the attempts of a task began, or of all tasks."""
    for task in (task for task in case.run.tasks if key in (None, task.task_key)):
        for started_at in (*(attempt.started_at for attempt in task.history), task.started_at):
            if started_at is not None:
                yield task, started_at.timestamp()
