"""How a command fails: for people lines about what was wrong and a paragraph, with --json one object; and an exit code.

Knows nothing of the client.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

import click

from maestro.cli import text

EXIT_INTERRUPTED = 130


class Failure(click.ClickException):
    """Ends a command: lines about what was wrong if there are any, a paragraph, exit code 1."""

    def __init__(
        self,
        paragraph: str,
        *,
        lines: Sequence[str] = (),
        code: str = "failed",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(paragraph)
        self.lines = tuple(lines)
        self.code = code
        self.details = dict(details or {})

    def show(self, file: IO[Any] | None = None) -> None:
        """Print to standard error."""
        for line in self.lines:
            click.echo(line, err=True, file=file)
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {self.message}", err=True, file=file)


class Interrupted(Failure):
    """Ends a command as shells expect after Ctrl-C, which is no error."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, paragraph: str) -> None:
        super().__init__(paragraph, code="interrupted")

    def show(self, file: IO[Any] | None = None) -> None:
        """Print to standard error."""
        click.echo(self.message, err=True, file=file)


def show_as_json(error: click.ClickException) -> None:
    """Print a failure as one JSON object to standard error: standard output holds nothing but data."""
    code, details = (error.code, error.details) if isinstance(error, Failure) else ("usage", {})
    document = {"code": code, "message": click.unstyle(error.format_message()).strip(), **details}
    click.echo(json.dumps(document, indent=2), err=True)


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest known names, or nothing when none is near."""
    near = difflib.get_close_matches(wrong, list(known), n=3)
    return f" Did you mean {' or '.join(text.one_line(name) for name in near)}?" if near else ""
