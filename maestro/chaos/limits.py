"""What must be true of tasks that take longer than they may. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence

from maestro.chaos.cases import CANCELLED, ENDED_TASK, FENCED, Break, Case, broken, tasks_of
from maestro.chaos.expected import FAILED, SKIPPED, TIMED_OUT
from maestro.chaos.graphs import QUEUE_SECONDS, RUN_SECONDS, TOTAL_SECONDS, Kind, Limit, Task
from maestro.chaos.rows import TaskRow
from workflows.definition.sections import Section

# What is overdue is ended within this, where nothing is away that does it: sooner than the grace of an attempt that
# does as it is told, and later than that of one that does not and has to be killed.
LATE_SECONDS = 8.0
# Of a process by its own clock: what a moment is by that of the database.
EARLY_SECONDS = 0.05
# What runs is told at first, then interrupted, then killed.
RUN_LATE_SECONDS = 12.0


def attempts_end_at_their_time(case: Case) -> Iterator[Break]:
    """An attempt that takes longer than it may is ended then: not before, and not much later."""
    for task, expected in tasks_of(case):
        planned = case.graph[task.task_key]
        if planned.limit not in (Limit.ATTEMPT, Limit.TOTAL) or not expected.runs:
            continue
        for started_at, finished_at in _timed_out(task):
            due_at = _due_at(task, planned, started_at)
            yield from _judge(case, task, started_at, finished_at, due_at)
        begun_at = _begun_at(task)
        if expected.reason == TIMED_OUT and begun_at is not None and task.finished_at is not None:
            due_at = begun_at.timestamp() + TOTAL_SECONDS
            yield from _judge(case, task, begun_at, task.finished_at, due_at)


def tasks_are_begun_or_ended_at_their_time(case: Case) -> Iterator[Break]:
    """A task that waits to be begun for longer than it may is ended then, and has not begun."""
    finished = {task.task_key: task.finished_at for task in case.run.tasks}
    for task, expected in tasks_of(case):
        planned = case.graph[task.task_key]
        if planned.limit is not Limit.QUEUE or task.status not in ENDED_TASK or expected.status == SKIPPED:
            continue
        ready_at = max((task.created_at, *(at for need in planned.needs if (at := finished.get(need)) is not None)))
        begun_at = _begun_at(task)
        if expected.is_unbegun:
            if begun_at is not None:
                yield broken(case, "begun_and_unbegun", "it has begun, and failed because it had not", task)
            if task.finished_at is not None:
                due_at = ready_at.timestamp() + QUEUE_SECONDS
                yield from _judge(case, task, ready_at, task.finished_at, due_at)
        elif begun_at is not None and not case.cancels(task):
            latest = ready_at.timestamp() + QUEUE_SECONDS + LATE_SECONDS
            if begun_at.timestamp() > latest and not case.is_disturbed(ready_at.timestamp(), begun_at.timestamp()):
                yield broken(case, "begun_late", "it was begun long after the time in which it must be", task)


def runs_end_at_their_time(case: Case) -> Iterator[Break]:
    """The tasks of a run that takes longer than it may are ended then: not before, and not much later."""
    run = case.run
    limit = next((task.limit for task in case.graph.values() if task.limit.ends_run), None)
    if limit is None or run.status == CANCELLED or run.started_at is None:
        return
    due_at = run.started_at.timestamp() + RUN_SECONDS
    if limit is Limit.DEADLINE and run.deadline_at is not None:
        # It may begin later than that.
        due_at = max(run.started_at, run.deadline_at).timestamp()
    for task, expected in tasks_of(case):
        if task.status == CANCELLED and task.finished_at is not None and expected.section is Section.TASKS:
            yield from _judge(case, task, run.started_at, task.finished_at, due_at, RUN_LATE_SECONDS)


def code_is_told_and_ends(case: Case) -> Iterator[Break]:
    """Code that takes longer than it may is told so, where that can be, and does not come to its end."""
    for task, expected in tasks_of(case):
        if not expected.is_endless or not expected.works:
            continue
        ends = [(started.timestamp(), finished.timestamp()) for started, finished in _timed_out(task)]
        for effect in (each for each in case.effects if each.task_key == task.task_key):
            if effect.ended_at is not None and not case.is_disturbed(effect.begun_at, effect.ended_at):
                yield broken(case, "overdue_went_on", f"the code of attempt {effect.attempt} came to its end", task)
            if expected.kind is not Kind.PYTHON or effect.is_told:
                continue
            for started_at, finished_at in ends:
                is_within = started_at <= effect.begun_at <= finished_at
                if is_within and not case.is_disturbed(started_at, finished_at):
                    yield broken(case, "overdue_not_told", f"nobody told the code of attempt {effect.attempt}", task)


INVARIANTS: Sequence[Callable[[Case], Iterator[Break]]] = (
    attempts_end_at_their_time,
    tasks_are_begun_or_ended_at_their_time,
    runs_end_at_their_time,
    code_is_told_and_ends,
)


def _judge(
    case: Case,
    task: TaskRow,
    begun_at: datetime.datetime,
    ended_at: datetime.datetime,
    due_at: float,
    late_seconds: float = LATE_SECONDS,
) -> Iterator[Break]:
    seconds = ended_at.timestamp() - due_at
    if seconds < -EARLY_SECONDS:
        yield broken(case, "ended_early", f"it was ended {-seconds:.3f} s before its time was over", task)
    if seconds > late_seconds and not case.is_disturbed(begun_at.timestamp(), ended_at.timestamp()):
        yield broken(case, "ended_late", f"it was ended {seconds:.1f} s after its time was over", task)


def _timed_out(task: TaskRow) -> Iterator[tuple[datetime.datetime, datetime.datetime]]:
    """Yield from when until when the attempts were that took longer than they may."""
    for attempt in task.history:
        if attempt.error_code == TIMED_OUT and attempt.started_at is not None:
            yield attempt.started_at, attempt.finished_at
    by_attempt = task.status == FAILED and task.error_code == TIMED_OUT and task.reason != TIMED_OUT
    if by_attempt and task.started_at is not None and task.finished_at is not None:
        yield task.started_at, task.finished_at


def _begun_at(task: TaskRow) -> datetime.datetime | None:
    """Return when its first attempt began; what the database forgot is no beginning."""
    begun = [*(attempt.started_at for attempt in task.history if attempt.status != FENCED), task.started_at]
    return min((at for at in begun if at is not None), default=None)


def _due_at(task: TaskRow, planned: Task, started_at: datetime.datetime) -> float:
    """Return when the time of an attempt is over."""
    due = [started_at.timestamp() + planned.attempt_seconds] if planned.attempt_seconds is not None else []
    begun_at = _begun_at(task)
    if planned.limit is Limit.TOTAL and begun_at is not None:
        due.append(begun_at.timestamp() + TOTAL_SECONDS)
    return min(due)
