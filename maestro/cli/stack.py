"""`maestro up`, `down` and `status`: the embedded stack on the command line. What they do is in `maestro.embedded`."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from maestro.cli import colours, failures, output, text
from maestro.cli.configuration import HOME_NAME, find_home, resolve_connection
from maestro.cli.options import Processes, WholeNumber, json_option
from maestro.cli.profiles import ConfigurationError

if TYPE_CHECKING:
    from maestro.embedded.record import ProcessRecord, StackRecord


def _found_home(ctx: click.Context, param: click.Parameter, home: Path | None) -> Path:
    """Return the home that was named, or the one that every other command would find from here."""
    if home:
        return home
    directory = Path.cwd()
    found = find_home(None, directory)
    return found.relative_to(directory) if found.is_relative_to(directory) else found


NEW_HOME_OPTION = click.option(
    "--home",
    envvar="MAESTRO_HOME",
    default=HOME_NAME,
    show_default=True,
    show_envvar=True,
    type=click.Path(readable=False, path_type=Path),
    help="Directory of this stack: data, passwords, log.",
)
HOME_OPTION = click.option(
    "--home",
    envvar="MAESTRO_HOME",
    type=click.Path(readable=False, path_type=Path),
    callback=_found_home,
    help="Directory of the stack: data, passwords, log.  [env: MAESTRO_HOME; default: .maestro here or above]",
)
PORT = WholeNumber(1, 65535, wanted="port")


@click.command()
@NEW_HOME_OPTION
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
    type=WholeNumber(1, 1000, wanted="number of tasks"),
    show_envvar=True,
    help="How many tasks a worker runs at a time.  [default: number of cores, at least 2]",
)
@click.option(
    "--workers",
    envvar="MAESTRO_WORKERS",
    default=1,
    show_default=True,
    show_envvar=True,
    type=WholeNumber(1, 100, wanted="number of workers"),
    help="How many workers run.",
)
@click.option(
    "--autoscale",
    envvar="MAESTRO_AUTOSCALE",
    type=Processes(),
    show_envvar=True,
    help="Run more tasks at a time while work waits, fewer while none does; instead of --concurrency.",
)
@click.option(
    "--drain-seconds",
    envvar="MAESTRO_DRAIN_SECONDS",
    default=20,
    show_default=True,
    type=WholeNumber(0, 86400, wanted="number of seconds"),
    show_envvar=True,
    help="How long running tasks have to finish when the stack is stopped.",
)
@click.option("--detach", is_flag=True, help="Return once everything is ready; go on in the background.")
@json_option
def up(
    home: Path,
    port: int,
    flower_port: int,
    concurrency: int | None,
    workers: int,
    autoscale: tuple[int, int] | None,
    drain_seconds: int,
    detach: bool,
    as_json: bool,
) -> None:
    """Start everything on this machine: PostgreSQL, Valkey, API, worker, beat, Flower. Ctrl-C stops it."""
    from maestro.embedded import announcement, control, supervisor
    from maestro.embedded.errors import StackError
    from maestro.embedded.home import Home
    from maestro.embedded.options import StackOptions
    from maestro.embedded.output import Log

    if as_json and not detach:
        raise click.UsageError("--json needs --detach. Of a stack in the foreground, `maestro status --json` tells.")
    if concurrency and autoscale:
        raise click.UsageError("--concurrency says how many tasks run at a time, --autoscale lets it vary: give one.")
    options = StackOptions(
        home=home.expanduser().absolute(),
        port=port,
        flower_port=flower_port,
        concurrency=concurrency or max(2, os.cpu_count() or 2),
        workers=workers,
        autoscale=autoscale,
        drain_seconds=drain_seconds,
    )
    try:
        if detach:
            record = control.start_detached(options)
            if as_json:
                output.print_json(record.model_dump(mode="json"))
            else:
                click.echo(announcement.describe(Home(options.home), record), nl=False)
        else:
            is_coloured = colours.wants_colours(os.environ)
            is_coloured = sys.stdout.isatty() if is_coloured is None else is_coloured
            supervisor.run_stack(options, Log(sys.stdout.buffer, is_coloured=is_coloured))
    except StackError as error:
        raise failures.Failure(error.message) from error


@click.command()
@HOME_OPTION
@json_option
def down(home: Path, as_json: bool) -> None:
    """Stop the stack that `maestro up` started, wherever it runs, and end what a killed one left."""
    from maestro.embedded import control, leftovers
    from maestro.embedded.errors import StackError
    from maestro.embedded.home import Home

    try:
        stop = control.stop(Home(home.expanduser().absolute()))
    except StackError as error:
        raise failures.Failure(error.message) from error
    if as_json:
        output.print_json(stop.model_dump(mode="json"))
        return
    click.echo("Stopped." if stop.was_running else f"No stack runs in {home}.")
    if stop.leftovers:
        click.echo(f"Ended what an earlier stack had left running: {leftovers.describe(stop.leftovers)}.")


@click.command()
@HOME_OPTION
@json_option
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
        if any(process.pid for process in record.processes):
            click.echo("Its supervisor was killed, and what the table shows is left of it: `maestro down` ends that.")
        return
    click.echo(f"{'Stack':<8}{record.status} in {home}, supervisor pid {record.pid}")
    for name, address in record.urls.model_dump().items():
        click.echo(f"{name.capitalize():<8}{address}")
    click.echo(f"\n{_commands_go_to()}")


def _commands_go_to() -> str:
    """Return which server the other commands talk to when they are called like this one, and why."""
    source = click.get_current_context().get_parameter_source("home")
    home = str(click.get_current_context().params["home"]) if source is ParameterSource.COMMANDLINE else None
    try:
        connection = resolve_connection(url=None, home=home, profile=None, environment=os.environ, directory=Path.cwd())
    except ConfigurationError as error:
        return text.one_line(error)
    flag = f" with --home {text.one_line(home)}" if home else ""
    return (
        f"Other commands{flag} go to {text.one_line(connection.url)} (from {text.one_line(connection.url_source)}), "
        f"with the API key from {text.one_line(connection.key_source)}."
    )


def _row(process: ProcessRecord, now: datetime.datetime, port: int | None) -> tuple[str, ...]:
    """Return a process's line."""
    age = str(now - process.started_at).partition(".")[0] if process.started_at else "-"
    return (process.name, str(process.pid or "-"), process.status, age, str(process.restarts), str(port or "-"))
