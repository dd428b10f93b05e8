"""YAML text to JSON values with the place of every key and item: the YAML 1.2 core schema over libyaml's events.

Reading events, not PyYAML's nodes, is five times as fast and lets depth and aliases be bounded before they hurt.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import yaml

from workflows.definition.problems import DefinitionInvalid, Path, Problem
from workflows.definition.values import MAX_DEPTH, JsonValue, describe, is_int64, text_fault

MAX_ALIASED_VALUES = 500_000
MAX_ALIASED_CHARACTERS = 4 * 1024 * 1024

Place: TypeAlias = tuple[int, int]
"""Line and column, both from 0 as the parser counts them."""

Places: TypeAlias = dict[int, dict[str | int, Place]]
"""The place of each key or item, by the `id` of the container that holds it."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMERIC_START = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_INTEGER = 400
_BASES = {"0o": 8, "0x": 16}


def read_yaml(text: str) -> tuple[JsonValue, Places]:
    """Parse one YAML document into JSON values and the places of its keys and items.

    Raises DefinitionInvalid with every problem up to the first that makes the rest unreadable.
    """
    return _Reader(text).read()


@dataclass(slots=True, kw_only=True)
class _Frame:
    """A list or mapping whose end has not been read yet."""

    container: list[JsonValue] | dict[str, JsonValue]
    anchor: str | None
    places: dict[str | int, Place] = field(default_factory=dict)
    key: str = ""
    """The key read last."""
    has_open_key: bool = False
    """True while that key waits for its value."""
    key_place: Place = (0, 0)
    values: int = 1
    """How many values this one holds when every alias is written out, itself included."""
    characters: int = 0
    """How many characters its scalars have when every alias is written out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anchored:
    """A value that aliases may repeat, and what it weighs when written out."""

    value: JsonValue
    values: int
    characters: int


class _Unreadable(Exception):
    """The rest of the text cannot be read; the problem that says why is in the list."""


class _Reader:
    """One pass over the events of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._root: JsonValue = None
        self._places: Places = {}
        self._problems: list[Problem] = []
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored | None] = {}  # None while the anchored value is still open
        self._aliased = [0, 0]
        self._documents = 0

    def read(self) -> tuple[JsonValue, Places]:
        take: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._take_scalar,
            yaml.MappingStartEvent: self._open,
            yaml.SequenceStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._take_alias,
            yaml.DocumentStartEvent: self._start_document,
        }
        with contextlib.suppress(_Unreadable):
            for event in self._events():
                if type(event) in take:
                    take[type(event)](event)
        if self._problems:
            raise DefinitionInvalid(self._problems)
        return self._root, self._places

    def _events(self) -> Iterator[Any]:
        if control := _CONTROL.search(self._text):
            before = self._text[: control.start()]
            place = (before.count("\n"), len(before) - before.rfind("\n") - 1)
            self._report("control_character", f"the character U+{ord(control[0]):04X} is not allowed; remove it", place)
            return
        loader = _LOADER(self._text)
        try:
            while loader.check_event():
                yield loader.get_event()
        except yaml.MarkedYAMLError as error:
            self._stop("bad_syntax", f"is not YAML: {self._reason(error)}", error.problem_mark)

    def _reason(self, error: yaml.MarkedYAMLError) -> str:
        """Return why the parser stopped; that a tab indents the line, which nobody sees, it does not say."""
        if error.problem_mark is not None:
            line = self._text.splitlines()[error.problem_mark.line :][:1]
            if line and "\t" in line[0][: len(line[0]) - len(line[0].lstrip(" -\t"))]:
                return "a tab indents this line; indent with spaces"
        return " ".join(part for part in (error.problem, error.context) if part)

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop("several_documents", "is a second document in the same text; keep one", event.start_mark)

    def _take_scalar(self, event: Any) -> None:
        text: str = event.value
        is_plain = event.implicit[0]
        if self._is_key_next() and is_plain and text == "<<":
            self._refuse("merge_key", "merge keys (<<) are not part of YAML 1.2; write the keys out", event.start_mark)
        self._refuse_tag(event)
        if fault := text_fault(text):
            self._refuse(*fault, event.start_mark)
        value = self._resolve(text, event.start_mark) if is_plain else text
        self._put(value, event.start_mark)
        self._weigh(values=1, characters=len(text))
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value=value, values=1, characters=len(text))

    def _take_alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            self._stop("unknown_alias", f"*{event.anchor} names no anchor above it", event.start_mark)
        anchored = self._anchors[event.anchor]
        if anchored is None:
            self._stop("recursive_alias", f"*{event.anchor} stands inside the value it repeats", event.start_mark)
        self._aliased[0] += anchored.values
        self._aliased[1] += anchored.characters
        if self._aliased[0] > MAX_ALIASED_VALUES or self._aliased[1] > MAX_ALIASED_CHARACTERS:
            self._stop("too_many_aliases", "aliases repeat more than the document may hold", event.start_mark)
        self._put(anchored.value, event.start_mark)
        self._weigh(values=anchored.values, characters=anchored.characters)

    def _open(self, event: Any) -> None:
        if len(self._frames) == MAX_DEPTH:
            self._stop("too_deep", f"is nested more than {MAX_DEPTH} levels deep", event.start_mark)
        self._refuse_tag(event)
        container: list[JsonValue] | dict[str, JsonValue] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._put(container, event.start_mark)
        frame = _Frame(container=container, anchor=event.anchor)
        self._places[id(container)] = frame.places
        self._frames.append(frame)
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def _close(self, _event: Any) -> None:
        frame = self._frames.pop()
        self._weigh(values=frame.values, characters=frame.characters)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchored(
                value=frame.container, values=frame.values, characters=frame.characters
            )

    def _put(self, value: JsonValue, mark: Any) -> None:
        """Hang a value where the reading stands: as the root, an item, a key, or the value of a key."""
        if not self._frames:
            self._root = value
            return
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            frame.places[len(frame.container)] = (mark.line, mark.column)
            frame.container.append(value)
        elif frame.has_open_key:
            frame.container[frame.key] = value
            frame.places[frame.key] = frame.key_place
            frame.has_open_key = False
        else:
            self._put_key(frame, frame.container, value, mark)

    def _put_key(self, frame: _Frame, container: dict[str, JsonValue], key: JsonValue, mark: Any) -> None:
        if isinstance(key, (dict, list)):
            self._stop("key_not_text", f"a key must be text, not {describe(key)}", mark)
        if not isinstance(key, str):
            self._refuse("key_not_text", f"a key must be text, not {describe(key)}; quote it", mark)
        elif key in container:
            line = frame.places[key][0] + 1
            self._refuse("duplicate_key", f'the key "{key}" stands here twice; the first is on line {line}', mark)
        frame.key = str(key)
        frame.key_place = (mark.line, mark.column)
        frame.has_open_key = True

    def _weigh(self, *, values: int, characters: int) -> None:
        if self._frames:
            self._frames[-1].values += values
            self._frames[-1].characters += characters

    def _resolve(self, text: str, mark: Any) -> JsonValue:
        """Resolve an unquoted scalar by the YAML 1.2 core schema: `on`, `yes`, dates and the like stay text."""
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text[0] not in _NUMERIC_START:
            return text
        if _INTEGER.fullmatch(text):
            integer = int(text, _BASES.get(text[:2], 10)) if len(text) <= _LONGEST_INTEGER else None
            if integer is None or not is_int64(integer):
                self._refuse("integer_out_of_range", "is a whole number beyond 64 bits; quote it", mark)
            return integer
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                self._refuse("number_not_finite", "is a number too large to hold; quote it", mark)
            return number
        if _NOT_FINITE.fullmatch(text):
            self._refuse("number_not_finite", f"{text} cannot be said in JSON; quote it", mark)
        return text

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            self._refuse("tag", f"the tag {event.tag} is not supported; leave it out", event.start_mark)

    def _is_key_next(self) -> bool:
        return bool(self._frames) and isinstance(self._frames[-1].container, dict) and not self._frames[-1].has_open_key

    def _refuse(self, code: str, message: str, mark: Any) -> None:
        self._report(code, message, (mark.line, mark.column) if mark else None)

    def _stop(self, code: str, message: str, mark: Any) -> NoReturn:
        self._refuse(code, message, mark)
        raise _Unreadable

    def _report(self, code: str, message: str, place: Place | None) -> None:
        line, column = (place[0] + 1, place[1] + 1) if place else (None, None)
        self._problems.append(Problem(code=code, path=self._path(), message=message, line=line, column=column))

    def _path(self) -> Path:
        """Return the path of the value that is being read."""
        steps: list[str | int] = []
        for frame in self._frames:
            is_inside = frame is not self._frames[-1]
            if isinstance(frame.container, list):
                steps.append(len(frame.container) - is_inside)
            elif is_inside or frame.has_open_key:
                steps.append(frame.key)
        return tuple(steps)
