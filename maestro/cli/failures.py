"""How a command fails: lines about what was wrong, a paragraph, exit code 1. Knows nothing of the client."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click

from maestro.cli import text


class Failure(click.ClickException):
    """Ends a command: lines about what was wrong if there are any, a paragraph, exit code 1."""

    def __init__(self, paragraph: str, *, lines: Sequence[str] = ()) -> None:
        super().__init__(paragraph)
        self.lines = tuple(lines)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print to standard error."""
        for line in self.lines:
            click.echo(line, err=True, file=file)
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {self.message}", err=True, file=file)


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest known names, or nothing when none is near."""
    near = difflib.get_close_matches(wrong, list(known), n=3)
    return f" Did you mean {' or '.join(text.one_line(name) for name in near)}?" if near else ""
