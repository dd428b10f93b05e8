"""What is wrong with a definition or with a run's inputs, told all at once. Nothing here finds a problem."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The way from the root of a document to a value: keys and list positions."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SINGULARS = {"characters": "character", "entries": "entry", "items": "item", "keys": "key"}
_MOST_STEPS_SHOWN = 24
_LONGEST_NAME_COMPARED = 200
_MOST_SUGGESTIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a text, as editors count it."""

    line: int
    """From 1."""
    column: int
    """From 1, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing a person has to mend."""

    code: str
    """Stable snake_case code, for example `missing_need`."""
    path: Path
    """Where in the document."""
    message: str
    """What is wrong and what to do about it."""
    line: int | None = None
    """Line in the authored text, from 1; None when the text had no lines to speak of."""
    column: int | None = None
    """Column in the authored text, from 1."""

    @property
    def pointer(self) -> str:
        """Return the path as a person writes it: `tasks.clean.needs[0]`."""
        return dotted(self.path)

    @property
    def unplaced(self) -> str:
        """Return path and message, without a place in the text; a problem of the whole document has no path."""
        return f"{self.pointer}: {self.message}" if self.path else self.message

    def at(self, position: Position | None) -> Problem:
        """Return this problem with a place in the text, unless it has one already."""
        if position is None or self.line is not None:
            return self
        return dataclasses.replace(self, line=position.line, column=position.column)

    def as_dict(self) -> dict[str, str | int | None]:
        """Return what the API shows of this problem."""
        return {
            "code": self.code,
            "path": self.pointer,
            "message": self.message,
            "line": self.line,
            "column": self.column,
        }

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line is not None else ""
        return f"{place}{self.unplaced}"


class _Invalid(Exception):
    """Base of the two exceptions below: a sentence, and every problem in the order of the text."""

    subject = "The document"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=_place))
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = "a problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        return f"{self.subject} has {count}:{lines}"


class DefinitionInvalid(_Invalid):
    """A definition cannot be accepted as it is written."""

    subject = "The definition"


class InputsInvalid(_Invalid):
    """The inputs given for a run do not fit what the workflow declares."""

    subject = "The inputs"

    def __str__(self) -> str:
        return super().__str__().replace("The inputs has", "The inputs have", 1)


def dotted(path: Path) -> str:
    """Write a path as `tasks.clean.needs[0]`; of a very long one the beginning and the end."""
    parts: list[str] = []
    if len(path) > _MOST_STEPS_SHOWN:
        half = _MOST_STEPS_SHOWN // 2
        return f"{dotted(path[:half])}…{dotted(path[-half:])}"
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _PLAIN_KEY.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{json.dumps(step, ensure_ascii=False)}]")
    return "".join(parts)


def in_singular(message: str) -> str:
    """Return a message that counts things with `1 entries` said as `1 entry`."""
    return re.sub(rf"(?<![\d,.])1 ({'|'.join(_SINGULARS)})\b", lambda found: f"1 {_SINGULARS[found[1]]}", message)


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """Return `; did you mean "…"?` with the candidate nearest to the name, or an empty text when none is near."""
    if len(name) > _LONGEST_NAME_COMPARED:
        return ""
    nearest = difflib.get_close_matches(name, candidates, n=1)
    return f'; did you mean "{nearest[0]}"?' if nearest else ""


class Suggester:
    """Suggests names out of many, but not for ever: past a score of unknown names it is not a slip of the pen."""

    def __init__(self, candidates: Collection[str]) -> None:
        self._candidates = candidates
        self._remaining = _MOST_SUGGESTIONS

    def suggest(self, name: str) -> str:
        """Return what `suggestion` does, or an empty text once the score is used up."""
        self._remaining -= 1
        return suggestion(name, self._candidates) if self._remaining >= 0 else ""


def _place(problem: Problem) -> tuple[bool, int, int]:
    return (problem.line is None, problem.line or 0, problem.column or 0)
