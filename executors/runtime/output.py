"""What an attempt's output may be: JSON that PostgreSQL, CEL and any client can hold. Where it is kept: elsewhere."""

from __future__ import annotations

import json
import math
import re

from executors.base import MAX_OUTPUT_BYTES, JsonValue

MAX_DEPTH = 100
"""Lists and objects inside one another; also what stops a list that contains itself."""
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class InvalidOutput(ValueError):
    """The output cannot be kept; `code` becomes the code of the task's error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def normalize_output(value: object) -> JsonValue:
    """Return the output as plain JSON values: tuples become lists, text and number enums their values.

    Raises `InvalidOutput`, which names the path of the first value that is not JSON, or both sizes of one too large.
    """
    if value is None:
        return None
    output = _normalize(value, "output", 1)
    size = len(json.dumps(output, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_OUTPUT_BYTES:
        raise InvalidOutput(
            "output_too_large",
            f"The output is {size:,} bytes as JSON; at most {MAX_OUTPUT_BYTES:,} are kept. "
            "Return less, or store it elsewhere and return where it is.",
        )
    return output


def _normalize(value: object, path: str, depth: int) -> JsonValue:
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, path)
        case int():
            if not MIN_INTEGER <= value <= MAX_INTEGER:
                raise _refused(path, "is an integer of more than 64 bits; return it as text")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise _refused(path, f"is {value}, which JSON cannot say; return None or text")
            return float(value)
        case list() | tuple() | dict() if depth > MAX_DEPTH:
            raise _refused(path[:200] + "…", f"is nested deeper than {MAX_DEPTH} levels")
        case list() | tuple():
            return [_normalize(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
        case dict():
            return {_key(key, path): _normalize(item, _member(path, key), depth + 1) for key, item in value.items()}
    raise _refused(
        path, f"is of type {type(value).__qualname__}, which JSON cannot say; return text, numbers, lists or dicts"
    )


def _text(value: str, path: str) -> str:
    found = _UNSTORABLE.search(value)
    if found:
        what = "a NUL character" if found[0] == "\x00" else "a lone surrogate"
        raise _refused(path, f"has {what} at position {found.start()}, which cannot be stored")
    return str.__str__(value)


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise _refused(path, f"has the key {key!r:.100} of type {type(key).__qualname__}; keys in JSON are text")
    return _text(key, f"{path} (a key)")


def _member(path: str, key: object) -> str:
    return f"{path}.{key}" if isinstance(key, str) and key.isidentifier() else f"{path}[{key!r:.100}]"


def _refused(path: str, fact: str) -> InvalidOutput:
    return InvalidOutput("output_not_json", f"{path} {fact}.")
