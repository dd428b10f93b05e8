"""`maestro exec`: run a program as one of the stack's own, for instance Celery's command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from maestro.cli import failures
from maestro.cli.stack import HOME_OPTION


class Program(click.ParamType[str]):
    """A program with its arguments."""

    name = "program"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take it as it is."""
        return value

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Say what to give."""
        return "Name a program, for example `celery -A maestro status`."


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@HOME_OPTION
@click.argument("command", metavar="PROGRAM [ARGUMENT]...", nargs=-1, required=True, type=Program())
def exec_command(home: Path, command: tuple[str, ...]) -> None:
    """Run a program in the environment of the running stack, which joins it to its database and its broker.

    The stack's passwords are in that environment, so they reach this program only, and no shell or file.

    \b
    maestro exec celery -A maestro inspect active
    maestro exec celery -A maestro control pool_grow 2
    """
    from maestro.cli import text
    from maestro.embedded import control, programs
    from maestro.embedded.errors import StackError
    from maestro.embedded.home import Home, load_or_create_secrets

    chosen = Home(home.expanduser().absolute())
    try:
        record = control.find_running(chosen)
        if record is None:
            raise failures.Failure(f"No stack runs in {home}. Start one by `maestro up`.", code="not_running")
        environment = programs.environment(chosen, record.ports, load_or_create_secrets(chosen), component="command")
    except StackError as error:
        raise failures.Failure(error.message) from error
    # Celery's command is found beside ours, in an environment that nobody has activated too.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    try:
        os.execvpe(command[0], command, {**environment, "PATH": path})  # noqa: S606
    except OSError as error:
        raise failures.Failure(
            f"'{text.one_line(command[0])}' cannot be run: {error.strerror}.", code="program_not_run"
        ) from error
