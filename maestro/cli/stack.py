"""`maestro up`, `down` and `status`: the embedded stack on the command line. What they do is in `maestro.embedded`."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maestro.cli import failures, output

if TYPE_CHECKING:
    from maestro.embedded.record import ProcessRecord, StackRecord

HOME_OPTION = click.option(
    "--home",
    envvar="MAESTRO_HOME",
    default=".maestro",
    show_default=True,
    show_envvar=True,
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="Directory of this stack: data, passwords, log.",
)
PORT = click.IntRange(1, 65535)


@click.command()
@HOME_OPTION
@click.option(
    "--port",
    envvar="MAESTRO_PORT",
    default=3000,
    show_default=True,
    show_envvar=True,
    type=PORT,
    help="Port of the API.",
)
@click.option(
    "--flower-port",
    envvar="MAESTRO_FLOWER_PORT",
    default=5555,
    show_default=True,
    show_envvar=True,
    type=PORT,
    help="Port of Flower.",
)
@click.option(
    "--concurrency",
    envvar="MAESTRO_CONCURRENCY",
    type=click.IntRange(min=1),
    show_envvar=True,
    help="How many tasks run at a time.  [default: number of cores, at least 2]",
)
@click.option("--detach", is_flag=True, help="Return once everything is ready; go on in the background.")
def up(home: Path, port: int, flower_port: int, concurrency: int | None, detach: bool) -> None:
    """Start everything on this machine: PostgreSQL, Valkey, API, worker, beat, Flower. Ctrl-C stops it."""
    from maestro.embedded import control, supervisor
    from maestro.embedded.errors import StackError
    from maestro.embedded.options import StackOptions
    from maestro.embedded.output import Log, is_terminal

    options = StackOptions(
        home=home.expanduser().absolute(),
        port=port,
        flower_port=flower_port,
        concurrency=concurrency or max(2, os.cpu_count() or 2),
    )
    try:
        if detach:
            click.echo(control.start_detached(options), nl=False)
        else:
            stream = sys.stdout.buffer
            supervisor.run_stack(options, Log(stream, is_coloured=is_terminal(stream)))
    except StackError as error:
        raise failures.Failure(error.message) from error


@click.command()
@HOME_OPTION
def down(home: Path) -> None:
    """Stop the stack that `maestro up` started, wherever it runs."""
    from maestro.embedded import control
    from maestro.embedded.errors import StackError
    from maestro.embedded.home import Home

    try:
        was_running = control.stop(Home(home.expanduser().absolute()))
    except StackError as error:
        raise failures.Failure(error.message) from error
    click.echo("Stopped." if was_running else f"No stack runs in {home}.")


@click.command()
@HOME_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(home: Path, as_json: bool) -> None:
    """Show the stack's processes, ports and addresses. Exit code 0 when all of them run, 1 when not."""
    from maestro.embedded import control
    from maestro.embedded.errors import StackError
    from maestro.embedded.home import Home

    try:
        record = control.look(Home(home.expanduser().absolute()))
    except StackError as error:
        raise failures.Failure(error.message) from error
    if as_json:
        output.print_json(record.model_dump(mode="json") if record else {"status": "stopped", "processes": []})
    elif record is None:
        click.echo(f"No stack has run in {home} yet. Start one by `maestro up`.")
    else:
        _print_record(home, record)
    sys.exit(0 if record and record.is_whole else 1)


def _print_record(home: Path, record: StackRecord) -> None:
    """Print what runs for people."""
    now = datetime.datetime.now(datetime.UTC)
    ports = record.ports.model_dump()
    output.print_table(
        ("process", "pid", "status", "up for", "restarts", "port"),
        [_row(process, now, ports.get(process.name)) for process in record.processes],
    )
    click.echo()
    if not record.is_running:
        click.echo(f"Stopped. Start it by `maestro up`; its home is {home}.")
        return
    click.echo(f"{'Stack':<8}{record.status} in {home}, supervisor pid {record.pid}")
    for name, address in record.urls.model_dump().items():
        click.echo(f"{name.capitalize():<8}{address}")


def _row(process: ProcessRecord, now: datetime.datetime, port: int | None) -> tuple[str, ...]:
    """Return a process's line."""
    age = str(now - process.started_at).partition(".")[0] if process.started_at else "-"
    return (process.name, str(process.pid or "-"), process.status, age, str(process.restarts), str(port or "-"))
