"""Which inputs, tasks and facts of run and platform a compiled CEL expression reads.

The runtime offers no syntax tree, but it can serialize one: `cel.expr.CheckedExpr`, the protocol buffer of the CEL
specification (field numbers below are its own). Reading that instead of the text means that strings, comments,
macros and the variables they bind cannot be mistaken for references.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Root: TypeAlias = Literal["inputs", "tasks", "run", "platform"]

ROOTS: tuple[Root, ...] = ("inputs", "tasks", "run", "platform")

_ANY_VALUE, _CHECKED_EXPR = 2, 4
_CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _COMPREHENSION = 3, 4, 5, 6, 7, 8, 9
_STRING_VALUE = 6
_VARINT, _BYTES = 0, 2
_FIXED_SIZES = {1: 8, 5: 4}

_Scope: TypeAlias = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reference:
    """Something an expression reads."""

    root: Root
    """The variable it starts from."""
    name: str | None = None
    """An input, a task key, or a fact of the run or the platform; None for all of them."""
    member: str | None = None
    """`output`, `status` or `error_message` of a task; None for all of them."""


def find_references(serialized: bytes) -> frozenset[Reference]:
    """Return what the serialized expression reads from outside itself."""
    expression = _message(_message(serialized)[_ANY_VALUE][0])[_CHECKED_EXPR][0]
    return frozenset(_walk(expression, frozenset(), ()))


def _walk(expression: bytes, bound: _Scope, trail: tuple[str, ...]) -> Iterator[Reference]:
    """Yield references below a node. `trail` is the constant path that is taken from its value."""
    node = _message(expression)
    if _IDENT in node:
        name = _text(_message(node[_IDENT][0]), 1)
        yield from _reference(name, bound, trail)
    elif _SELECT in node:
        select = _message(node[_SELECT][0])
        yield from _walk(select[1][0], bound, (_text(select, 2), *trail))
    elif _CALL in node:
        yield from _walk_call(_message(node[_CALL][0]), bound, trail)
    elif _LIST in node:
        for element in _message(node[_LIST][0]).get(1, ()):
            yield from _walk(element, bound, ())
    elif _STRUCT in node:
        for entry in _message(node[_STRUCT][0]).get(2, ()):
            for part in (*_message(entry).get(3, ()), *_message(entry).get(4, ())):
                yield from _walk(part, bound, ())
    elif _COMPREHENSION in node:
        yield from _walk_comprehension(_message(node[_COMPREHENSION][0]), bound)


def _walk_call(call: dict[int, list[bytes]], bound: _Scope, trail: tuple[str, ...]) -> Iterator[Reference]:
    arguments = [*call.get(1, ()), *call.get(3, ())]
    if _text(call, 2) == "_[_]":
        key = _constant_text(arguments[1])
        if key is not None:
            yield from _walk(arguments[0], bound, (key, *trail))
            return
    for argument in arguments:
        yield from _walk(argument, bound, ())


def _walk_comprehension(node: dict[int, list[bytes]], bound: _Scope) -> Iterator[Reference]:
    """A macro such as `map`: its variables (fields 1, 8 and 3) exist in all but the range and the first value."""
    inside = bound | {_text(node, field) for field in (1, 3, 8) if field in node}
    for field, scope in ((2, bound), (4, bound), (5, inside), (6, inside), (7, inside)):
        for part in node.get(field, ()):
            yield from _walk(part, scope, ())


def _reference(name: str, bound: _Scope, trail: tuple[str, ...]) -> Iterator[Reference]:
    is_absolute = name.startswith(".")  # `.tasks` means the variable of that name whatever a macro has bound
    for root in ROOTS:
        if name.lstrip(".") == root and (is_absolute or root not in bound):
            member = trail[1] if root == "tasks" and len(trail) > 1 else None
            yield Reference(root=root, name=trail[0] if trail else None, member=member)


def _constant_text(expression: bytes) -> str | None:
    constant = _message(expression).get(_CONST)
    if constant is None:
        return None
    value = _message(constant[0])
    return _text(value, _STRING_VALUE) if _STRING_VALUE in value else None


def _text(message: dict[int, list[bytes]], field: int) -> str:
    return message[field][0].decode() if field in message else ""


def _message(encoded: bytes) -> dict[int, list[bytes]]:
    """Split a protocol buffer message into its length-delimited fields; nothing else is needed here."""
    fields: dict[int, list[bytes]] = {}
    position, end = 0, len(encoded)
    while position < end:
        tag, position = _varint(encoded, position)
        wire_type = tag & 7
        if wire_type == _BYTES:
            length, position = _varint(encoded, position)
            fields.setdefault(tag >> 3, []).append(encoded[position : position + length])
            position += length
        elif wire_type == _VARINT:
            _, position = _varint(encoded, position)
        else:
            position += _FIXED_SIZES[wire_type]
    return fields


def _varint(encoded: bytes, position: int) -> tuple[int, int]:
    byte = encoded[position]
    position += 1
    number, shift = byte & 0x7F, 7
    while byte & 0x80:
        byte = encoded[position]
        position += 1
        number |= (byte & 0x7F) << shift
        shift += 7
    return number, position
