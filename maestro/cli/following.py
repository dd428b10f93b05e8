"""`--follow` from end to end: choose the view, watch the run, print its result, decide the exit code."""

from __future__ import annotations

import datetime
import signal
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from types import FrameType

import click

from maestro.cli import lines, output, text
from maestro.cli.failures import Failure, Interrupted
from maestro.cli.polling import ServerLost, follow_run
from maestro.cli.tracking import Progress
from maestro.cli.views import JsonView, PlainView
from maestro.client import Client, LogLine, Run, TaskExecution

EXIT_CODES = {"succeeded": 0, "failed": 1, "cancelled": 130}
EXIT_TERMINATED = 143
LAST_LOG_LINES = 10
MOST_LOG_LINES_READ = 10_000


def follow_to_the_end(client: Client, run_id: str, *, as_json: bool) -> None:
    """Show a run until it is finished, then its result, and exit by its outcome. Raises Failure, ClientError."""
    with told_when_left(run_id, again=f"maestro show {run_id} --follow"):
        progress = _follow(client, run_id, as_json=as_json)
        if not as_json:
            print_result(client, progress)
    sys.exit(EXIT_CODES[progress.run.status])


@contextmanager
def told_when_left(run_id: str, *, again: str) -> Iterator[None]:
    """Follow a run inside; say what becomes of it when the person leaves by Ctrl-C, or the server does. Raises Failure.

    `again` is the command that follows it again.
    """
    try:
        with _ended_cleanly_by_sigterm():
            yield
    except KeyboardInterrupt as error:
        raise Interrupted(
            "\nNo longer following; the run goes on. To watch it again, or to cancel it:\n"
            f"  {again}\n"
            f"  maestro cancel {run_id}"
        ) from error
    except ServerLost as error:
        raise Failure(
            f"{error} The run goes on as soon as Maestro does; see how it went with `maestro show {run_id}`.",
            code="server_lost",
        ) from error


def print_result(client: Client, progress: Progress) -> None:
    """Print how a finished run ended: its outputs, or what went wrong and where to look."""
    run = progress.run
    took = text.elapsed(run.started_at or run.created_at, run.finished_at, _now())
    click.echo(f"Run {output.status(run.status)}{f' in {took}' if took else ''}. {lines.summary(progress)}.")
    if run.status == "succeeded":
        if run.error_message:
            click.echo(text.block(run.error_message))
        if run.outputs:
            click.echo()
        output.print_values(run.outputs)
    elif run.status == "failed":
        _print_failure(client, run, lines.root_cause(progress.tasks))
    elif run.error_message:
        click.echo(text.block(run.error_message))


def _follow(client: Client, run_id: str, *, as_json: bool) -> Progress:
    if as_json:
        return follow_run(client.runs, run_id, JsonView())
    if not output.can_redraw():
        return follow_run(client.runs, run_id, PlainView(_now))
    from rich.console import Console

    from maestro.cli.live import LiveView

    with LiveView(Console(highlight=False, markup=False, emoji=False), _now) as view:
        return follow_run(client.runs, run_id, view)


def _print_failure(client: Client, run: Run, cause: TaskExecution | None) -> None:
    click.echo()
    said = cause.error_message if cause is not None and cause.error_message else ""
    if cause is not None:
        reason = f" ({text.one_line(cause.reason)})" if cause.reason and said else ""
        click.echo(click.style(f"Task {text.one_line(cause.task_key)} failed{reason}:", fg="red", bold=True))
        click.echo(_indented(said or cause.reason or "no reason was given"))
    if run.error_message and (not said or said.strip().partition("\n")[0] not in run.error_message):
        click.echo(text.block(run.error_message.strip()))
    if cause is None:
        click.echo(f"\nMore: maestro show {text.one_line(run.id)}")
        return
    last = _last_log_lines(client, run.id, cause.task_key)
    if last:
        click.echo("\nIts last log lines:")
        for line in last:
            click.echo(f"  {text.tabbed_line(line.message)}")
    run_id = text.one_line(run.id)
    click.echo(f"\nMore: maestro logs {run_id} {text.one_line(cause.task_key)}\n      maestro show {run_id}")


def _last_log_lines(client: Client, run_id: str, task_key: str) -> list[LogLine]:
    """Return the end of a task's log, or nothing when it is too long to be read through."""
    read = islice(client.runs.iterate_logs(run_id, task_key=task_key), MOST_LOG_LINES_READ + 1)
    last: deque[LogLine] = deque(maxlen=LAST_LOG_LINES)
    total = 0
    for line in read:
        last.append(line)
        total += 1
    return list(last) if total <= MOST_LOG_LINES_READ else []


def _indented(value: str) -> str:
    return "\n".join(f"  {line}" for line in text.block(value.strip("\n")).split("\n"))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@contextmanager
def _ended_cleanly_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack: the live view hides the cursor, and must be able to give it back."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(EXIT_TERMINATED)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
