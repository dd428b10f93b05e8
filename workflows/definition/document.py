"""A definition as it came in: JSON values, and where in the text each stands. What they mean is not known here."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from workflows.definition.problems import DefinitionInvalid, Path, Position, Problem
from workflows.definition.values import MAX_DEPTH, JsonValue, check_value
from workflows.definition.yaml_reader import Places, read_yaml

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

_LONGEST_INTEGER = 20
_BEYOND_INT64 = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One authored document. Its value is shared, never changed."""

    value: JsonValue
    """The content: JSON values only."""
    places: Places | None = field(default=None, repr=False, compare=False)
    """Where keys and items stand in a YAML text; None for JSON."""

    @classmethod
    def of(cls, value: object) -> Document:
        """Take an already decoded JSON value. Raises DefinitionInvalid when it holds what cannot be stored."""
        if problems := check_value(value):
            raise DefinitionInvalid(problems)
        _check_size(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
        return cls(value=value)

    def position(self, path: Path) -> Position | None:
        """Return where the key or item of a path stands, or the nearest thing around it; None for JSON."""
        if self.places is None:
            return None
        line, column = 0, 0
        container = self.value
        for step in path:
            place = self.places.get(id(container), {}).get(step)
            if place is None:
                break
            line, column = place
            container = container[step]
        return Position(line=line + 1, column=column + 1)


def parse_document(text: str | bytes) -> Document:
    """Read a definition from YAML or JSON text. Raises DefinitionInvalid with every problem found in it."""
    decoded = _decode(text)
    if decoded.lstrip().startswith("{"):
        try:
            value = _read_json(decoded)
        except json.JSONDecodeError:
            pass  # a YAML flow mapping starts alike; if it is neither, the YAML reader names line and column
        else:
            return Document(value=value)
    value, places = read_yaml(decoded)
    return Document(value=value, places=places)


def _decode(text: str | bytes) -> str:
    try:
        encoded = text if isinstance(text, bytes) else text.encode()
        _check_size(encoded)
        return encoded.decode("utf-8-sig")
    except UnicodeError as error:
        raise _refusal("bad_encoding", "is not UTF-8 text; save it as UTF-8") from error


def _check_size(encoded: bytes) -> None:
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise _refusal("too_large", f"has {len(encoded):,} bytes; at most {MAX_DOCUMENT_BYTES:,} are allowed")


def _read_json(text: str) -> JsonValue:
    repeated: list[str] = []

    def build_object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        members = dict(pairs)
        if len(members) < len(pairs):
            repeated.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return members

    try:
        value = json.loads(text, object_pairs_hook=build_object, parse_int=_read_integer)
    except RecursionError as error:
        raise _refusal("too_deep", f"is nested more than {MAX_DEPTH} levels deep") from error
    problems = check_value(value)
    for key in repeated:
        message = f"an object names the key {json.dumps(key)} more than once"
        problems.append(Problem(code="duplicate_key", path=(), message=message))
    if problems:
        raise DefinitionInvalid(problems)
    return value


def _read_integer(digits: str) -> int:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else _BEYOND_INT64


def _refusal(code: str, message: str) -> DefinitionInvalid:
    return DefinitionInvalid([Problem(code=code, path=(), message=message)])
