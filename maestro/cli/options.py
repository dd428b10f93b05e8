"""What commands share: the flags that lead to the server, `--json`, and the forms of a name, a run id and a limit."""

from __future__ import annotations

import datetime
import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec
from uuid import UUID

import click
from click.shell_completion import CompletionItem

from maestro.cli import completing, text
from maestro.cli.configuration import Connection, resolve_connection
from maestro.cli.profiles import ConfigurationError
from maestro.core.durations import parse_duration

if TYPE_CHECKING:
    from maestro.client import Client

Parameters = ParamSpec("Parameters")
MOST_RESULTS = 1_000_000
MOST_PROCESSES = 1_000
REQUEST_SECONDS = 30.0


class WorkflowName(click.ParamType[str]):
    """A workflow's name or id."""

    name = "workflow"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what can be no name, before it becomes part of a URL."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
            self.fail(
                f"'{text.one_line(value)}' is no workflow name: letters, digits, '.', '_' and '-', at most 100. "
                "`maestro workflows` lists them.",
                param,
                ctx,
            )
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the workflows of the server."""
        return completing.complete_workflows(ctx, param, incomplete)

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Say where names are found."""
        return "`maestro workflows` lists them."


class WorkflowNotFile(WorkflowName):
    """A workflow's name or id, where a file is easily given instead."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse a file with the command that makes a workflow of it."""
        from maestro.cli import documents

        if documents.is_file_name(value):
            raise click.UsageError(f"Name an applied workflow; first `maestro apply {text.one_line(value)}`.", ctx)
        return super().convert(value, param, ctx)


class RunId(click.ParamType[str]):
    """The id of a run."""

    name = "run"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no UUID."""
        try:
            return str(UUID(value))
        except ValueError:
            self.fail(f"'{text.one_line(value)}' is no run id. `maestro runs` lists the runs.", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the latest runs of the server."""
        return completing.complete_runs(ctx, param, incomplete)

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Say where ids are found."""
        return "`maestro runs` lists the runs."


class Name(click.ParamType[str]):
    """A name inside a run; a missing one is answered with where to find it."""

    name = "name"

    def __init__(self, missing: str) -> None:
        self._missing = missing

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Say where names are found."""
        return self._missing


class DefinitionFile(click.ParamType[str]):
    """The name of a definition file, or '-'."""

    name = "file"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete the name of a file."""
        return completing.complete_files(ctx, param, incomplete)

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Say what to give."""
        return "Name a definition file, for example examples/flight-delays.yaml, or '-' for standard input."


class Target(click.ParamType[str]):
    """A workflow, or a definition file."""

    name = "target"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer workflows, or files where none begins so."""
        return completing.complete_targets(ctx, param, incomplete)

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Say what to give."""
        return "Name a definition file, or a workflow: `maestro workflows` lists them."


class WholeNumber(click.IntRange):
    """A whole number within bounds; a wrong one is answered with what is wanted."""

    name = "whole number"

    def __init__(self, least: int, most: int | None = None, *, wanted: str = "", missing: str = "") -> None:
        super().__init__(least, most)
        self._missing = missing
        bounds = f"of at least {least}" if most is None else f"from {least} to {most:,}"
        self._fault = f"is no {wanted}: give a whole number {bounds}" if wanted else f"is no whole number {bounds}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"'{text.one_line(value)}' {self._fault}.", param, ctx)

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Say where numbers are found."""
        return self._missing


class Processes(click.ParamType[tuple[int, int]]):
    """The most and the least processes of a worker, as Celery spells them."""

    name = "max,min"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Read both numbers."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,4}),(\d{1,4})", value)
        most, least = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= least <= most <= MOST_PROCESSES:
            self.fail(
                f"'{text.one_line(value)}' is not MAX,MIN: give the most processes and the least, from "
                f"{MOST_PROCESSES:,} to 1, for example 8,2.",
                param,
                ctx,
            )
        return most, least


class Moment(click.ParamType[datetime.datetime]):
    """A date and time with its zone."""

    name = "time"

    def convert(
        self, value: str | datetime.datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime.datetime:
        """Refuse what is no time, or one of which nobody knows where it is that late."""
        try:
            moment = datetime.datetime.fromisoformat(str(value))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(
                f"'{text.one_line(value)}' is no time with its zone, such as 2030-01-31T08:00:00Z or "
                "2030-01-31T09:00:00+01:00.",
                param,
                ctx,
            )
        return moment


class Span(click.ParamType[str]):
    """A duration as the definition language writes it."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no duration."""
        try:
            parse_duration(value)
        except ValueError:
            self.fail(f"'{text.one_line(value)}' is no duration such as 90s, 5m, 2h or 1d.", param, ctx)
        return value


class MomentOrSpan(click.ParamType[str]):
    """A date and time with its zone, or a duration."""

    name = "time|duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is neither."""
        with suppress(click.BadParameter):
            return Span().convert(value, param, ctx)
        with suppress(click.BadParameter):
            return Moment().convert(value, param, ctx).isoformat()
        raise click.BadParameter(
            f"'{text.one_line(value)}' is neither a duration such as 45m or 2h nor a time with its zone such as "
            "2030-01-31T08:00:00Z.",
            ctx,
            param,
        )


class IdempotencyKey(click.ParamType[str]):
    """A key under which a call is done once."""

    name = "key"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no header can hold."""
        if not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?", value):
            self.fail(f"'{text.one_line(value)}' is no key: give 1 to 255 printable ASCII characters.", param, ctx)
        return value


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def limit_option(default: int) -> Callable[[Callable[Parameters, None]], Callable[Parameters, None]]:
    """Return the option that bounds how many results are listed."""
    return click.option(
        "--limit",
        type=WholeNumber(1, MOST_RESULTS),
        default=default,
        show_default=True,
        help="List at most this many.",
    )


def server_options(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Give a command `--url`, `--profile` and `--home`: where the server is, and with which key."""
    for option in (
        click.option(
            "--home",
            metavar="DIRECTORY",
            help="The home of `maestro up`, with the API key.  [env: MAESTRO_HOME; default: .maestro here or above]",
        ),
        click.option(
            "--profile",
            metavar="NAME",
            shell_complete=completing.complete_profiles,
            help="A server of ~/.config/maestro/config.toml.  [env: MAESTRO_PROFILE]",
        ),
        click.option("--url", metavar="URL", help="Where Maestro listens.  [env: MAESTRO_URL]"),
    ):
        function = option(function)
    return function


def connected(function: Callable[Concatenate[Client, Parameters], None]) -> Callable[Parameters, None]:
    """Give a command the server options, a client as its first argument, and errors a person can read."""

    @functools.wraps(function)
    def command(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        given = {name: kwargs.pop(name) for name in ("url", "home", "profile")}
        with open_client(find_connection(**given)) as client:  # type: ignore[arg-type]
            function(client, *args, **kwargs)

    return server_options(command)


def find_connection(*, url: str | None, home: str | None, profile: str | None) -> Connection:
    """Return how to reach the server that the flags and the environment choose. Raises Failure, click.UsageError."""
    from maestro.cli.failures import Failure

    if profile and (url or home):
        raise click.UsageError(f"Give --profile or {'--url' if url else '--home'}: a profile names its own server.")
    try:
        connection = resolve_connection(
            url=url, home=home, profile=profile, environment=os.environ, directory=Path.cwd()
        )
    except ConfigurationError as error:
        raise Failure(text.one_line(error), code="invalid_configuration") from error
    if connection.warning:
        click.echo(f"{click.style('Warning:', fg='yellow')} {text.one_line(connection.warning)}", err=True)
    return connection


@contextmanager
def open_client(connection: Connection, *, timeout: float = REQUEST_SECONDS) -> Iterator[Client]:
    """Yield a client of a server, and turn its errors into failures of the command."""
    from maestro.cli.explanations import explain
    from maestro.client import Client, ClientError

    try:
        with Client(connection.url, connection.api_key, timeout) as client:
            yield client
    except ClientError as error:
        raise explain(error, connection) from error
