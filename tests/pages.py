"""Reads the fenced blocks of a page of documentation, and what the comments before them say. Runs nothing.

What the comments mean to an author is told in CONTRIBUTING.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

RUNNABLE = frozenset({"console", "python", "sh", "yaml"})
"""Languages of blocks that a test runs or validates."""
SHOWN = frozenset({"json", "mermaid", "text"})
"""Languages of blocks that are only looked at."""

_PARSER = MarkdownIt("commonmark").enable("table")
_MARKER = re.compile(r"<!--\s*(file|exits|not run):?\s+(.+?)\s*-->", re.DOTALL)
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SHORT_TIME = r"\d+(?:\.\d+)? ?(?:ms|s)\b"
_LONG_TIME = r"\d+[mhd] \d+[smh]\b"
_MOMENT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?"
_AGE = r"(?:\d+ (?:second|minute|hour|day)s? ago|just now)"
_VARYING = re.compile(
    rf"(?P<id>{_UUID})|(?P<moment>{_MOMENT})|(?P<age>{_AGE})|(?P<time>{_LONG_TIME}|{_SHORT_TIME})"
    r"|(?P<rest>^[ ]*…[ ]*\n|…)|(?P<space>[ ]{2,})",
    re.MULTILINE,
)
_ANY = {"moment": _MOMENT, "age": _AGE, "time": f"(?:{_LONG_TIME}|{_SHORT_TIME})", "space": " +"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block."""

    line: int
    """1-based line of the page."""
    language: str
    """The first word after the fence; empty when there is none."""
    text: str
    """What stands between the fences."""
    file: str | None = None
    """The name under which the page tells its reader to save the block."""
    exits: int = 0
    """The exit code of the block's last command."""
    not_run: str | None = None
    """Why no test runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is typed at once, and what the page shows for it."""

    command: str
    """Lines for the shell."""
    shown: str = ""
    """The output the page shows; empty when it shows none."""


def read_blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page in order. A comment speaks of the block right after it."""
    blocks = []
    markers: dict[str, str] = {}
    for token in _PARSER.parse(page):
        if token.type == "html_block":
            markers |= dict(_MARKER.findall(token.content))
        elif token.type == "fence":
            assert token.map is not None
            blocks.append(
                Block(
                    line=token.map[0] + 1,
                    language=token.info.partition(" ")[0].strip(),
                    text=token.content,
                    file=markers.get("file"),
                    exits=int(markers.get("exits", 0)),
                    not_run=markers.get("not run"),
                )
            )
            markers = {}
        elif token.type.endswith("_open"):
            markers = {}
    return blocks


def read_code_spans(page: str) -> Iterator[str]:
    """Return the pieces of code inside the text of a page."""
    return (child.content for child in _inline(page) if child.type == "code_inline")


def read_links(page: str) -> Iterator[str]:
    """Return where the links of a page lead."""
    return (str(child.attrs["href"]) for child in _inline(page) if child.type == "link_open")


def steps_of(block: Block) -> list[Step]:
    """Return the commands of a block: all of `sh` at once, those after `$ ` in `console` one by one."""
    if block.language == "sh":
        return [Step(command=block.text)]
    steps: list[tuple[list[str], list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            steps.append(([line[2:]], []))
        elif not steps:
            raise ValueError(f"line {block.line}: a console block begins with `$ ` and a command, not with {line!r}")
        elif line.startswith("> ") and not steps[-1][1]:
            steps[-1][0].append(line[2:])
        else:
            steps[-1][1].append(line)
    return [
        Step(command="\n".join([*command, ""]), shown="".join(f"{line}\n" for line in shown))
        for command, shown in steps
    ]


def compare(shown: str, printed: str) -> Mapping[str, str] | None:
    """Return the ids of the page with those a command printed in their place; None if it did not print what is shown.

    Ids, times and the width of gaps may differ. `…` stands for anything on its line, alone on it for any lines.
    """
    ids: dict[str, int] = {}
    parts, end = [], 0
    for found in _VARYING.finditer(shown):
        parts += [re.escape(shown[end : found.start()]), _pattern_of(found, ids)]
        end = found.end()
    pattern = "".join([*parts, re.escape(shown[end:])])
    matched = re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed.splitlines()))
    return {each: matched[number] for each, number in ids.items()} if matched else None


def _pattern_of(found: re.Match[str], ids: dict[str, int]) -> str:
    """Return what may stand in the place of something that varies; an id is remembered by the number of its group."""
    kind = str(found.lastgroup)
    if kind == "rest":
        return r"(?:.*\n)*?" if found[0].endswith("\n") else ".*"
    if kind != "id":
        return _ANY[kind]
    if found[0] in ids:
        return rf"\{ids[found[0]]}"
    ids[found[0]] = len(ids) + 1
    return f"({_UUID})"


def _inline(page: str) -> Iterator[Token]:
    return (child for token in _PARSER.parse(page) for child in token.children or ())
