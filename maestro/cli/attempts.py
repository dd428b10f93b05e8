"""`maestro attempts`: how often the tasks of a run were tried, and how each attempt ended."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import click

from maestro.cli import completing
from maestro.cli.options import RunId, connected, json_option

if TYPE_CHECKING:
    from maestro.client import Client
    from maestro.client.representations import TaskAttempt, TaskExecution


@click.command("attempts")
@click.argument("run_id", metavar="RUN", type=RunId())
@click.argument("task_key", metavar="[TASK]", required=False, shell_complete=completing.complete_tasks)
@json_option
@connected
def attempts_command(client: Client, run_id: str, task_key: str | None, as_json: bool) -> None:
    """List the attempts of the tasks of a run, or of TASK, and what each came to. The last one ended its task."""
    from maestro.cli import output, text
    from maestro.cli.runs import naming_task

    with naming_task(client, run_id, task_key):
        tasks = list(client.runs.iterate_task_executions(run_id, task_key=task_key))
        past = list(client.runs.iterate_past_attempts(run_id, task_key=task_key))
    attempts = _in_order(tasks, past)
    if as_json:
        output.print_json([attempt.to_json() for attempt in attempts])
        return
    if not attempts:
        click.echo("No attempts yet.", err=True)
        return
    now = datetime.datetime.now(datetime.UTC)
    output.print_table(
        ("task", "attempt", "status", "started", "duration", "error"),
        (
            (
                _name(attempt),
                str(attempt.attempt),
                output.status(attempt.status),
                text.timestamp(attempt.started_at),
                text.elapsed(attempt.started_at, attempt.finished_at, now),
                text.one_line((attempt.error_message or "").strip().partition("\n")[0]),
            )
            for attempt in attempts
        ),
    )


def _in_order(tasks: list[TaskExecution], past: list[TaskAttempt]) -> list[TaskAttempt]:
    """Return all attempts, task by task in the order of the run."""
    from maestro.client.representations import TaskAttempt

    by_task: dict[tuple[str, int | None], list[TaskAttempt]] = {(task.task_key, task.map_index): [] for task in tasks}
    for attempt in past:
        by_task.setdefault((attempt.task_key, attempt.map_index), []).append(attempt)
    for task in tasks:
        known = by_task[task.task_key, task.map_index]
        # Of a task that waits for its next attempt, the last one is among those that are over.
        if task.attempt and all(attempt.attempt != task.attempt for attempt in known):
            members = task.model_dump(include=set(TaskAttempt.model_fields) - {"id"})
            known.append(TaskAttempt(**members))
    return [attempt for attempts in by_task.values() for attempt in attempts]


def _name(attempt: TaskAttempt) -> str:
    from maestro.cli import text

    index = "" if attempt.map_index is None else f"[{attempt.map_index}]"
    return text.one_line(attempt.task_key) + index
