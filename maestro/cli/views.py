"""How a followed run looks where nobody watches a screen: plain lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import click

from maestro.cli import lines, output, text
from maestro.cli.tracking import Progress
from maestro.client.representations import Run, TaskExecution

TaskKey = str
Status = str


class Changes:
    """Finds what changed since the last time, so that each change is told once."""

    def __init__(self) -> None:
        self._task_statuses: dict[TaskKey, Status] = {}
        self._run_status: Status = ""

    def of_tasks(self, progress: Progress) -> list[TaskExecution]:
        """Return the tasks whose status changed; at first those that have begun."""
        changed = [task for task in progress.tasks if task.status != self._task_statuses.get(task.task_key, "pending")]
        self._task_statuses.update({task.task_key: task.status for task in changed})
        return sorted(changed, key=_happened_at)

    def of_run(self, progress: Progress) -> bool:
        """Tell whether the run's status changed."""
        is_changed = progress.run.status != self._run_status
        self._run_status = progress.run.status
        return is_changed


class PlainView:
    """One line for each change of a task's status, and for what keeps the whole run from beginning anything."""

    def __init__(self, now: Callable[[], datetime.datetime]) -> None:
        self._changes = Changes()
        self._now = now
        self._told = ""

    def show(self, progress: Progress) -> None:
        """Print what changed."""
        kept = _what_keeps(progress.run)
        if kept and kept != self._told:
            click.echo(kept)
        self._told = kept
        for task in self._changes.of_tasks(progress):
            click.echo(self._line(task))

    def notice(self, message: str) -> None:
        """Print the message among the lines."""
        click.echo(message)

    def _line(self, task: TaskExecution) -> str:
        took = text.elapsed(task.started_at, task.finished_at, self._now()) if task.is_finished else ""
        detail = lines.task_detail(task)
        return (
            f"{text.one_line(task.task_key)}: {text.one_line(task.status)}"
            f"{f' in {took}' if took else ''}{f' ({detail})' if detail else ''}"
        )


class JsonView:
    """One JSON document a line: `{"task_execution": …}` for each change of a task, `{"run": …}` for each of the run."""

    def __init__(self) -> None:
        self._changes = Changes()

    def show(self, progress: Progress) -> None:
        """Print what changed."""
        for task in self._changes.of_tasks(progress):
            output.print_json_line({"task_execution": task.to_json()})
        if self._changes.of_run(progress):
            output.print_json_line({"run": progress.run.to_json()})

    def notice(self, message: str) -> None:
        """Print the message where people look, not among the documents."""
        click.echo(message, err=True)


def _what_keeps(run: Run) -> str:
    if run.is_finished:
        return ""
    if run.is_paused:
        return f"The run is paused: maestro pauses --run {text.one_line(run.id)}"
    return f"The run begins {text.timestamp(run.start_at)}." if run.is_delayed else ""


def _happened_at(task: TaskExecution) -> datetime.datetime:
    latest = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    return task.finished_at or task.started_at or task.queued_at or latest
