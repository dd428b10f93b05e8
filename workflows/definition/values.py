"""JSON values as the platform accepts them: what PostgreSQL can store and every JSON reader understands."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from workflows.definition.problems import Path, Problem

JsonValue: TypeAlias = Any  # None, bool, int, float, str, list or dict of the same: what JSON can say

MAX_DEPTH = 100
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

_Trail: TypeAlias = (
    "tuple[_Trail, str | int] | None"  # a path as a linked list: built cheaply, spelled out on a problem
)


def check_value(value: object, path: Path = ()) -> list[Problem]:
    """Return every reason why the value cannot be taken: NUL, lone surrogates, integers beyond int64, NaN, depth."""
    problems: list[Problem] = []
    stack: list[tuple[object, _Trail, int]] = [(value, None, 0)]
    while stack:
        current, trail, depth = stack.pop()
        if isinstance(current, (dict, list)) and depth >= MAX_DEPTH:
            problems.append(_problem(path, trail, "too_deep", f"is nested more than {MAX_DEPTH} levels deep"))
        elif isinstance(current, dict):
            for key, member in current.items():
                if fault := _key_fault(key):
                    problems.append(_problem(path, trail, *fault))
                else:
                    stack.append((member, (trail, key), depth + 1))
        elif isinstance(current, list):
            stack.extend((member, (trail, index), depth + 1) for index, member in enumerate(current))
        elif fault := scalar_fault(current):
            problems.append(_problem(path, trail, *fault))
    return problems


def is_deeper_than(value: object, limit: int) -> bool:
    """Tell whether lists and mappings nest more than `limit` levels deep, without recursion."""
    level = [value]
    for _ in range(limit):
        level = [
            member
            for container in level
            if isinstance(container, (dict, list))
            for member in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return False
    return any(isinstance(member, (dict, list)) for member in level)


def scalar_fault(value: object) -> tuple[str, str] | None:
    """Return the code and the message of what makes a value that is no list or mapping impossible, or None."""
    if isinstance(value, str):
        return text_fault(value)
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        if is_int64(value):
            return None
        return "integer_out_of_range", "is a whole number beyond 64 bits; write it as text"
    if isinstance(value, float):
        if math.isfinite(value):
            return None
        return "number_not_finite", "is not a finite number; JSON has no NaN and no infinity"
    return "not_json", f"is {describe(value)}, which JSON cannot express"


def text_fault(text: str) -> tuple[str, str] | None:
    """Return the code and the message of what makes a text impossible to store, or None."""
    if "\x00" in text:
        return "nul_character", "contains the NUL character, which cannot be stored; remove it"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "lone_surrogate", "contains half of a surrogate pair, which is not a character; remove it"
    return None


def is_int64(number: int) -> bool:
    """Tell whether a whole number fits in 64 bits, which is what PostgreSQL and CEL hold."""
    return _INT64_MIN <= number <= _INT64_MAX


def describe(value: object) -> str:
    """Name the type of a JSON value in plain words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def _key_fault(key: object) -> tuple[str, str] | None:
    if not isinstance(key, str):
        return "key_not_text", f"has the key {key!r}, which is {describe(key)}; a key must be text"
    if fault := text_fault(key):
        return fault[0], f"has a key that {fault[1]}"
    return None


def _problem(prefix: Path, trail: _Trail, code: str, message: str) -> Problem:
    steps: list[str | int] = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    return Problem(code=code, path=(*prefix, *reversed(steps)), message=message)
