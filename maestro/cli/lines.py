"""The lines in which a run's tasks are told: which ones, in what order, saying what. Pure; drawn by the views."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from maestro.cli import outline, text
from maestro.cli.tracking import Progress
from maestro.client.representations import TaskExecution

MOST_LISTED = 40
DEEPEST_INDENTATION = 6
# What `wake_at` means for each reason to wait. It is left out of an approval, which may only be escalated then.
TIMED_REASONS = {"sleep": "until", "signal": "until", "poll": "again at", "retry_backoff": "again at"}
STATUS_ORDER = ("succeeded", "failed", "skipped", "cancelled", "running", "waiting", "queued", "pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """One task, ready to be drawn."""

    key: str
    """The task key, made safe to print."""
    indentation: int
    """How far to move it to the right, in levels."""
    status: str
    """The task's status."""
    duration: str
    """How long it took or has been running; empty before it starts."""
    detail: str
    """Why it is where it is, in a few words; often empty."""


def task_lines(progress: Progress, now: datetime.datetime, *, most: int = MOST_LISTED) -> tuple[TaskLine, ...]:
    """Return a line for every task, or of a big run for those that matter now: failed, active, lately finished."""
    tasks = progress.tasks
    if len(tasks) <= most:
        needs = outline.needs_of(tasks)
        depth = outline.indentation(needs, [task.task_key for task in tasks])
        return tuple(_line(task, now, depth[task.task_key]) for task in tasks)
    chosen = {task.task_key for task in _most_interesting(tasks, most)}
    return tuple(_line(task, now, 0) for task in tasks if task.task_key in chosen)


def summary(progress: Progress) -> str:
    """Return how many tasks have each status: `9 tasks: 8 succeeded, 1 failed`."""
    counts = progress.status_counts
    known = [status for status in STATUS_ORDER if counts.get(status)]
    others = sorted(set(counts) - set(STATUS_ORDER))
    parts = ", ".join(f"{counts[status]:,} {text.one_line(status)}" for status in (*known, *others))
    total = text.count(len(progress.tasks), "task")
    return f"{total}: {parts}" if parts else total


def root_cause(tasks: Sequence[TaskExecution]) -> TaskExecution | None:
    """Return the task that failed first, of those that may not: what came after it may have failed because of it."""
    failed = [task for task in tasks if task.status == "failed" and not task.continue_on_error and not task.is_hook]
    latest = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    return min(failed, key=lambda task: task.finished_at or latest, default=None)


def task_detail(task: TaskExecution) -> str:
    """Return why a task is where it is: its reason, its error's first line, its attempt when it is not the first; and
    the run it has started, unless its error says that.
    """
    parts = [text.one_line(task.section)] if task.is_hook else []
    if task.attempt > 1:
        parts.append(f"attempt {task.attempt}{f' ({task.lost_attempts} lost)' if task.lost_attempts else ''}")
    if task.status == "failed" and task.error_message:
        reason = f"{text.one_line(task.reason)}: " if task.reason else ""
        parts.append(reason + text.one_line(task.error_message.strip().partition("\n")[0]))
    elif task.reason and task.status != "succeeded":
        when = f" {TIMED_REASONS[task.reason]} {text.timestamp(task.wake_at)}" if _has_its_time(task) else ""
        parts.append(text.one_line(task.reason) + when)
    if task.child_run_id and task.child_run_id not in "".join(parts):
        parts.append(f"→ run {text.one_line(task.child_run_id)}")
    return ", ".join(parts)


def _has_its_time(task: TaskExecution) -> bool:
    return task.status == "waiting" and task.wake_at is not None and task.reason in TIMED_REASONS


def _line(task: TaskExecution, now: datetime.datetime, depth: int) -> TaskLine:
    return TaskLine(
        key=text.one_line(task.task_key),
        indentation=min(depth, DEEPEST_INDENTATION),
        status=task.status,
        duration=text.elapsed(task.started_at, task.finished_at, now),
        detail=task_detail(task),
    )


def _most_interesting(tasks: Sequence[TaskExecution], most: int) -> list[TaskExecution]:
    failed = [task for task in tasks if task.status == "failed"]
    active = [task for task in tasks if task.status in {"running", "waiting"}]
    done = [(task.finished_at, task) for task in tasks if task.status == "succeeded" and task.finished_at]
    lately = [task for _, task in sorted(done, key=lambda each: each[0], reverse=True)]
    chosen = [*failed[: most // 2], *active[: most // 2]]
    return [*chosen, *lately[: min(most - len(chosen), most // 4)]]
