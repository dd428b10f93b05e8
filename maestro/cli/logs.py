"""`maestro logs`: what the tasks of a run wrote, so far or as it comes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from maestro.cli import completing
from maestro.cli.options import RunId, WholeNumber, connected, json_option

if TYPE_CHECKING:
    from maestro.client import Client, LogExtract, LogLine

LEVELS = ("debug", "info", "warning", "error")
LEVEL_COLOURS = {"debug": "bright_black", "warning": "yellow", "error": "red"}


@click.command("logs")
@click.argument("run_id", metavar="RUN", type=RunId())
@click.argument("task_key", metavar="[TASK]", required=False, shell_complete=completing.complete_tasks)
@click.option("--follow", "-f", is_flag=True, help="Print lines as they come; exit 0, 1 or 130 by the run's outcome.")
@click.option("--timestamps", "-t", is_flag=True, help="Begin each line with its time, in UTC.")
@click.option("--level", type=click.Choice(LEVELS), help="Only lines of this level or above.")
@click.option("--attempt", type=WholeNumber(1), help="Only lines of attempts of this number.")
@json_option
@connected
def logs_command(
    client: Client,
    run_id: str,
    task_key: str | None,
    follow: bool,
    timestamps: bool,
    level: str | None,
    attempt: int | None,
    as_json: bool,
) -> None:
    """Print what the tasks of a run wrote, or only what TASK wrote. With --json, one document a line.

    Lines of an attempt after the first are marked by its number.
    """
    from maestro.cli import output, text
    from maestro.cli.runs import naming_task

    is_empty = True

    def show(line: LogLine) -> None:
        nonlocal is_empty
        is_empty = False
        if as_json:
            output.print_json_line(line.to_json())
        else:
            click.echo(format_line(line, is_task_named=task_key is not None, has_time=timestamps))

    def read(after: int) -> LogExtract:
        return client.runs.read_log(run_id, after=after, task_key=task_key, attempt=attempt, level=level)

    with naming_task(client, run_id, task_key):
        if follow:
            _follow(client, run_id, read, show)
        for line in client.runs.iterate_logs(run_id, task_key=task_key, attempt=attempt, level=level):
            show(line)
    if as_json or not is_empty:
        return
    if read(0).is_pruned:
        click.echo("The run ended so long ago that its log is not kept.", err=True)
        return
    wanted = " of that kind" if level or attempt else ""
    click.echo(f"{text.one_line(task_key) if task_key else 'The run'} has written nothing{wanted}.", err=True)


def format_line(line: LogLine, *, is_task_named: bool, has_time: bool) -> str:
    """Return a line as a person reads it: its time if wanted, who wrote it, and the text in the colour of its level."""
    from maestro.cli import text

    message = text.tabbed_line(line.message)
    colour = "red" if line.stream == "stderr" else LEVEL_COLOURS.get(line.level)
    shown = click.style(message, fg=colour) if colour else message
    index = f"[{line.map_index}]" if line.map_index is not None else ""
    again = f"attempt {line.attempt}" if line.attempt > 1 else ""
    parts = ("" if is_task_named else text.one_line(line.task_key)) + index, again
    writer = " ".join(part for part in parts if part)
    time = f"{click.style(text.precise_timestamp(line.created_at), fg='bright_black')} " if has_time else ""
    return f"{time}{click.style(writer, fg='cyan')} | {shown}" if writer else f"{time}{shown}"


def _follow(client: Client, run_id: str, read: Callable[[int], LogExtract], show: Callable[[LogLine], None]) -> None:
    """Show lines as they come until the run ends, and exit by its outcome."""
    from maestro.cli import following, output
    from maestro.cli.tailing import follow_log

    def notice(message: str) -> None:
        click.echo(message, err=True)

    client.runs.get(run_id)  # A server that is not up is told at once; one that goes away is waited for.
    with following.told_when_left(run_id, again=f"maestro logs {run_id} --follow"):
        run = follow_log(lambda: client.runs.get(run_id), read, show, notice)
    notice(f"Run {output.status(run.status)}. More: maestro show {run_id}")
    sys.exit(following.EXIT_CODES[run.status])
