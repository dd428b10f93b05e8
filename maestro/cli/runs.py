"""The commands about runs: runs, show, cancel. Starting one is in `starting`, what its tasks wrote in `logs`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import click

from maestro.cli.options import RunId, WorkflowName, connected, json_option, limit_option

if TYPE_CHECKING:
    from maestro.cli.tracking import Progress
    from maestro.client import Client, Run
    from maestro.client.representations import Parent

RUN_STATUSES = ("pending", "running", "succeeded", "failed", "cancelled")


@click.command("runs")
@click.option("--status", type=click.Choice(RUN_STATUSES), help="Only runs with this status.")
@click.option("--workflow", type=WorkflowName(), metavar="NAME", help="Only runs of this workflow, by its name or id.")
@limit_option(20)
@json_option
@connected
def runs_command(client: Client, status: str | None, workflow: str | None, limit: int, as_json: bool) -> None:
    """List runs, the latest first."""
    from maestro.cli import output, text
    from maestro.cli.workflows import naming_workflow

    found = client.runs.iterate(status=status, workflow=workflow, page_size=min(limit, 200))
    runs = list(islice(found, limit))
    if as_json:
        output.print_json([run.to_json() for run in runs])
        return
    if not runs:
        if workflow:
            with naming_workflow(client, workflow):
                client.workflows.get(workflow)
        click.echo("No such runs." if status or workflow else "No runs yet. `maestro run NAME` starts one.", err=True)
        return
    now = datetime.datetime.now(datetime.UTC)
    output.print_table(
        ("run", "workflow", "status", "created", "duration", ""),
        (
            (
                text.one_line(run.id),
                text.one_line(run.workflow) + (f" v{run.version}" if run.version is not None else ""),
                output.status(run.status),
                text.age(run.created_at, now),
                text.elapsed(run.started_at, run.finished_at, now),
                _detail(run),
            )
            for run in runs
        ),
    )


@click.command("show")
@click.argument("run_id", metavar="RUN", type=RunId())
@click.option("--follow", "-f", is_flag=True, help="Watch the run until it ends; exit 0, 1 or 130 by its outcome.")
@json_option
@connected
def show_command(client: Client, run_id: str, follow: bool, as_json: bool) -> None:
    """Show one run: its status, its tasks, its outputs or its error."""
    from maestro.cli import following, output
    from maestro.cli.tracking import RunTracker

    if follow:
        client.runs.get(run_id)  # A server that is not up is told at once; one that goes away is waited for.
        following.follow_to_the_end(client, run_id, as_json=as_json)
    progress = RunTracker(client.runs, run_id).refresh()
    if as_json:
        tasks = [task.to_json() for task in progress.tasks]
        output.print_json({**progress.run.to_json(), "task_executions": tasks})
        return
    _print_run(progress.run)
    if progress.run.is_paused and not progress.run.is_finished:
        _print_pauses(client, run_id)
    _print_tasks(progress)
    if progress.run.is_finished:
        following.print_result(client, progress)
    elif progress.run.is_paused or progress.status_counts.get("waiting"):
        click.echo(f"What keeps it: maestro why {run_id}")


@click.command("cancel")
@click.argument("run_id", metavar="RUN", type=RunId())
@json_option
@connected
def cancel_command(client: Client, run_id: str, as_json: bool) -> None:
    """Cancel a run: no further task begins, and running ones are asked to stop.

    Its `finally` tasks run all the same; cancel once more to end them too.
    """
    from maestro.cli import output

    run = client.runs.cancel(run_id)
    if as_json:
        output.print_json(run.to_json())
    elif run.is_finished:
        click.echo(f"Run {run_id} is {output.status(run.status)}.")
    elif run.outcome:
        click.echo(f"Run {run_id} ends as {output.status(run.outcome)}; what still runs is asked to stop.")
    else:
        click.echo(f"Run {run_id} is being cancelled; running tasks are asked to stop.")


@contextmanager
def naming_task(client: Client, run_id: str, task_key: str | None) -> Iterator[None]:
    """Turn "not found" into a failure that names the nearest tasks, when it is the task that does not exist."""
    from maestro.cli import explanations, failures, text
    from maestro.client import ClientError

    try:
        yield
    except ClientError as error:
        if task_key is None or not explanations.is_not_found(error):
            raise
        keys = {task.task_key for task in client.runs.iterate_task_executions(run_id)}
        raise failures.Failure(
            f"The run has no task '{text.one_line(task_key)}'.{failures.suggestion(task_key, keys)} "
            f"`maestro show {run_id}` lists them.",
            code="task_not_found",
        ) from error


def _detail(run: Run) -> str:
    from maestro.cli import text

    if run.is_delayed:
        return f"begins {text.timestamp(run.start_at)}"
    return text.one_line((run.error_message or run.reason or "").strip().partition("\n")[0])


def _print_run(run: Run) -> None:
    from maestro.cli import output, text

    now = datetime.datetime.now(datetime.UTC)
    status = output.status(run.status) + (f" ({text.one_line(run.reason)})" if run.reason else "")
    version = f" version {run.version}" if run.version is not None else ""
    click.echo(f"{output.heading(run.workflow)}{version}  {status}")
    for label, value in (
        ("run", text.one_line(run.id)),
        ("parent", _told(run.parent)),
        ("ends as", output.status(run.outcome) if run.outcome and not run.is_finished else ""),
        ("priority", "" if run.priority == "normal" else text.one_line(run.priority)),
        ("created", text.timestamp(run.created_at)),
        ("begins", text.timestamp(run.start_at) if run.is_delayed else ""),
        ("started", text.timestamp(run.started_at)),
        ("deadline", text.timestamp(run.deadline_at)),
        ("finished", text.timestamp(run.finished_at)),
        ("duration", text.elapsed(run.started_at, run.finished_at, now)),
        ("cancelled", f"by {text.one_line(run.cancelled_by)}" if run.cancelled_by else ""),
    ):
        if value:
            click.echo(f"{output.faint(f'{label:<9}')} {value}")
    if run.inputs:
        output.print_value("inputs", run.inputs)
    click.echo()


def _print_pauses(client: Client, run_id: str) -> None:
    from maestro.cli.pausing import describe

    for paused in client.pauses.iterate(run_id=run_id):
        click.echo(f"{describe(paused)}.")
    click.echo()


def _told(parent: Parent | None) -> str:
    from maestro.cli import text

    return f"task {text.one_line(parent.task_key)} of run {text.one_line(parent.run_id)}" if parent is not None else ""


def _print_tasks(progress: Progress) -> None:
    from maestro.cli import lines, output, text

    task_lines = lines.task_lines(progress, datetime.datetime.now(datetime.UTC))
    if task_lines:
        output.print_table(
            ("task", "status", "duration", ""),
            (
                ("  " * line.indentation + line.key, output.status(line.status), line.duration, line.detail)
                for line in task_lines
            ),
        )
    hidden = len(progress.tasks) - len(task_lines)
    if hidden:
        click.echo(f"… and {text.count(hidden, 'task')} more; --json lists all. {lines.summary(progress)}.")
    click.echo()
