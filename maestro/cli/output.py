"""Printing: JSON, tables, statuses in colour, named values. Text of others is made safe before it is printed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from maestro.cli import text

STATUS_COLOURS: Mapping[str, str] = {
    "pending": "bright_black",
    "queued": "cyan",
    "running": "blue",
    "waiting": "yellow",
    "succeeded": "green",
    "failed": "red",
    "skipped": "bright_black",
    "cancelled": "magenta",
}
COLUMN_GAP = "  "
NARROWEST_LAST_COLUMN = 12
LONGEST_INLINE_VALUE = 80


def is_terminal() -> bool:
    """Tell whether standard output is a terminal a person looks at."""
    return sys.stdout.isatty()


def can_redraw() -> bool:
    """Tell whether standard output is a terminal on which lines can be written over."""
    return is_terminal() and os.environ.get("TERM") != "dumb"


def print_json(value: Any) -> None:
    """Print one JSON document, in ASCII: no character of it can be a command to the terminal."""
    click.echo(json.dumps(value, indent=2))


def print_json_line(value: Any) -> None:
    """Print one JSON document on a line of its own, for a stream of them."""
    click.echo(json.dumps(value, separators=(",", ":")))


def status(value: str) -> str:
    """Return a status in its colour."""
    return click.style(text.one_line(value), fg=STATUS_COLOURS.get(value))


def heading(value: str) -> str:
    """Return a text as a heading."""
    return click.style(text.one_line(value), bold=True) if value else ""


def faint(value: str) -> str:
    """Return a text that matters less."""
    return click.style(text.one_line(value), fg="bright_black")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under upper-case headings. On a terminal the last column is cut to the width; in a pipe nothing is.

    On a terminal that even the other columns do not fit, the first cell of each row has a line of its own; on one that
    the rest of them does not fit either, each row is a paragraph.
    """
    table = [[heading(column.upper()) for column in columns], *(list(row) for row in rows)]
    width = shutil.get_terminal_size().columns
    if not is_terminal() or _fits(table, width):
        for line in _lines(table, width):
            click.echo(line.rstrip())
    elif _fits([row[1:] for row in table], width - len(COLUMN_GAP)):
        _print_below_first_cells(table, width)
    else:
        _print_paragraphs(columns, table[1:], width)


def print_value(name: str, value: Any) -> None:
    """Print a named JSON value for reading: several lines of text as text, a structure indented, the rest inline."""
    label = heading(name)
    if isinstance(value, str) and "\n" in value.strip("\n"):
        click.echo(f"{label}:\n\n{text.block(value).rstrip()}\n")
        return
    plain = value.strip("\n") if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict | list) and len(plain) > LONGEST_INLINE_VALUE:
        lines = json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n  ")
        click.echo(f"{label}:\n  {text.block(lines)}")
    else:
        click.echo(f"{label}: {text.one_line(plain)}")


def print_values(values: Any) -> None:
    """Print the members of a JSON object for reading, or the value itself when it is no object."""
    if isinstance(values, dict):
        for name, value in values.items():
            print_value(name, value)
    elif values is not None:
        print_value("outputs", values)


def _fits(table: Sequence[Sequence[str]], width: int) -> bool:
    *widths, last_width = _widths(table)
    return _room(widths, width) >= min(last_width, NARROWEST_LAST_COLUMN)


def _print_below_first_cells(table: Sequence[Sequence[str]], width: int) -> None:
    """Print the first cell of each row, and below it the others as a table."""
    rest = _lines([row[1:] for row in table], width - len(COLUMN_GAP))
    for row, line in zip(table, rest, strict=True):
        click.echo(_cut(row[0], width))
        click.echo(f"{COLUMN_GAP}{line}".rstrip())


def _lines(table: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    *widths, _ = _widths(table)
    room = max(_room(widths, width), NARROWEST_LAST_COLUMN)
    for row in table:
        cells = [cell + " " * (column - _width(cell)) for cell, column in zip(row, widths, strict=False)]
        yield COLUMN_GAP.join([*cells, _cut(row[-1], room) if is_terminal() else row[-1]])


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, column)) for column in zip(*table, strict=True)]


def _room(widths: Sequence[int], width: int) -> int:
    """Return how wide the last column may be, after the others."""
    return width - sum(widths) - len(COLUMN_GAP) * len(widths)


def _print_paragraphs(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> None:
    """Print a line for each filled cell, its column before it, and break long ones between words."""
    label_width = max(map(len, columns)) + len(COLUMN_GAP)
    for number, row in enumerate(rows):
        if number:
            click.echo()
        for column, cell in zip(columns, row, strict=True):
            fits = label_width + _width(cell) <= width
            lines = [cell] if fits else textwrap.wrap(click.unstyle(cell), width - label_width, break_on_hyphens=False)
            for position, line in enumerate(lines if cell else ()):
                click.echo(f"{'' if position else column.upper():{label_width}}{line}")


def _width(cell: str) -> int:
    from rich.cells import cell_len

    return cell_len(click.unstyle(cell))


def _cut(cell: str, width: int) -> str:
    from rich.cells import set_cell_size

    return cell if _width(cell) <= width else set_cell_size(click.unstyle(cell), width - 1).rstrip() + "…"
