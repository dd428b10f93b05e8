"""Values of a run that are not known while the workflow function draws the graph: inputs, and what tasks return."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from maestro.core.user_code import typed_function
from maestro.sdk.errors import DefinitionError, UnknownUntilRun
from workflows.definition.cel import ExpressionRefused, compile_expression
from workflows.definition.expressions import CLOSING, OPENING
from workflows.definition.spec import RESERVED_WORDS
from workflows.definition.values import JsonValue

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TASK_OUTPUT = re.compile(r"tasks\.([a-z0-9_]+)\.output")


class Reference:
    """Stands for a value of the run: `rows.count`, `rows["x"]`, `rows[0]`, `rows.count > 3`, `f"{rows.count} rows"`.

    Attributes and items are members of the value, whatever their names; what can be asked about a reference itself are
    the functions of this module.
    """

    __slots__ = ("_expression", "_is_compound")

    def __init__(self, expression: str, *, is_compound: bool = False) -> None:
        self._expression = expression
        self._is_compound = is_compound

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("_"):
            raise AttributeError(name)
        return _member(self, name)

    def __getitem__(self, key: str | int | Reference) -> Reference:
        if isinstance(key, str):
            return _member(self, key)
        return Reference(f"{_operand(self)}[{literal(key)}]")

    def __str__(self) -> str:
        return f"{OPENING} {self._expression} {CLOSING}"

    def __format__(self, specification: str) -> str:
        if specification:
            raise UnknownUntilRun(self._expression, f"format it as {specification!r}")
        return str(self)

    def __repr__(self) -> str:
        return f"<Reference {self._expression}>"

    def __eq__(self, other: object) -> Reference:  # type: ignore[override]
        return _operation(self, "==", other)

    def __ne__(self, other: object) -> Reference:  # type: ignore[override]
        return _operation(self, "!=", other)

    def __lt__(self, other: object) -> Reference:
        return _operation(self, "<", other)

    def __le__(self, other: object) -> Reference:
        return _operation(self, "<=", other)

    def __gt__(self, other: object) -> Reference:
        return _operation(self, ">", other)

    def __ge__(self, other: object) -> Reference:
        return _operation(self, ">=", other)

    def __and__(self, other: object) -> Reference:
        return _operation(self, "&&", other)

    def __or__(self, other: object) -> Reference:
        return _operation(self, "||", other)

    def __invert__(self) -> Reference:
        return Reference(f"!{_operand(self)}", is_compound=True)

    def __add__(self, other: object) -> Reference:
        return _operation(self, "+", other)

    def __radd__(self, other: object) -> Reference:
        return _operation(other, "+", self)

    def __sub__(self, other: object) -> Reference:
        return _operation(self, "-", other)

    def __rsub__(self, other: object) -> Reference:
        return _operation(other, "-", self)

    def __mul__(self, other: object) -> Reference:
        return _operation(self, "*", other)

    def __rmul__(self, other: object) -> Reference:
        return _operation(other, "*", self)

    def __truediv__(self, other: object) -> Reference:
        return _operation(self, "/", other)

    def __rtruediv__(self, other: object) -> Reference:
        return _operation(other, "/", self)

    def __mod__(self, other: object) -> Reference:
        return _operation(self, "%", other)

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> NoReturn:
        raise UnknownUntilRun(self._expression, "decide by it")

    def __len__(self) -> NoReturn:
        raise UnknownUntilRun(self._expression, "count it")

    def __iter__(self) -> Iterator[Any]:
        raise UnknownUntilRun(self._expression, "loop over it")

    def __contains__(self, item: object) -> NoReturn:
        raise UnknownUntilRun(self._expression, "look into it")

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        raise UnknownUntilRun(self._expression, "call it")


def expression(text: str) -> Reference:
    """Return the value of a CEL expression of the definition language: `expression("tasks.read.output.filter(…)")`."""
    try:
        compile_expression(text)
    except ExpressionRefused as error:
        raise DefinitionError(f"`{text}` is no expression: {error}") from error
    return Reference(text.strip(), is_compound=_NAME.fullmatch(text.strip()) is None)


def size(value: object) -> Reference:
    """Return how many members a list or mapping has, or characters a text."""
    return Reference(f"size({literal(value)})")


def status(task: object) -> Reference:
    """Return how a task ended: `succeeded`, `failed`, `skipped` or `cancelled`. Give what the call of it returned."""
    return Reference(f"tasks.{_key(task)}.status")


def error_message(task: object) -> Reference:
    """Return why a task failed. Give what the call of it returned."""
    return Reference(f"tasks.{_key(task)}.error_message")


def text_of(reference: Reference) -> str:
    """Return the expression a reference stands for, without its braces."""
    return str(reference)[len(OPENING) + 1 : -len(CLOSING) - 1]


def literal(value: object) -> str:
    """Write a value of Python, references in it included, as an expression."""
    match value:
        case Reference():
            return text_of(value)
        case bool() | None:
            return json.dumps(value)
        case int() | str():
            return json.dumps(value, ensure_ascii=False)
        case float() if math.isfinite(value):
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(map(literal, value))}]"
        case dict():
            return f"{{{', '.join(f'{literal(key)}: {literal(member)}' for key, member in value.items())}}}"
    try:
        return literal(typed_function.to_json(value))
    except (typed_function.NotJson, RecursionError) as error:
        raise DefinitionError(f"{value!r} cannot stand in an expression: {error}") from error


def as_template(value: object) -> JsonValue:
    """Return a value as it stands in a definition: JSON, with `${{ }}` where it holds references."""
    try:
        return typed_function.to_json(value, _template_of)
    except typed_function.NotJson as error:
        raise DefinitionError(str(error)) from error


def _template_of(value: object) -> str:
    return str(value) if isinstance(value, Reference) else typed_function.refuse(value)


def _member(reference: Reference, name: str) -> Reference:
    is_plain = _NAME.fullmatch(name) and name not in RESERVED_WORDS
    return Reference(f"{_operand(reference)}.{name}" if is_plain else f"{_operand(reference)}[{literal(name)}]")


def _operation(left: object, operator: str, right: object) -> Reference:
    return Reference(f"{_operand(left)} {operator} {_operand(right)}", is_compound=True)


def _operand(value: object) -> str:
    text = literal(value)
    is_compound = isinstance(value, Reference) and value._is_compound  # noqa: SLF001 - its attributes are members of the value
    return f"({text})" if is_compound else text


def _key(task: object) -> str:
    found = _TASK_OUTPUT.fullmatch(text_of(task)) if isinstance(task, Reference) else None
    if found is None:
        raise DefinitionError(f"{task!r} is not what a call of a task returned")
    return found[1]
