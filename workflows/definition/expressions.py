"""`${{ }}` expressions inside JSON values: found, compiled once, rendered as often as needed.

An expression is CEL (see `cel`). A text that is exactly one expression keeps the type of its value; anywhere else the
value is written into the text. Only texts are templates: keys and other values stand for themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from workflows.definition.cel import (
    EvaluationFailed,
    Expression,
    ExpressionRefused,
    compile_expression,
)
from workflows.definition.cel_references import Reference
from workflows.definition.problems import DefinitionInvalid, Path, Problem, dotted
from workflows.definition.values import JsonValue, describe

OPENING, CLOSING = "${{", "}}"

MAX_EXPRESSION_LENGTH = 10_000

_LONGEST_SHOWN = 100

_TOKEN = re.compile(
    r"""
    (?:[bB]?[rR]|[rR][bB])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')                # raw string
    | [bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}
             |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')                                     # string
    | [A-Za-z_][A-Za-z0-9_]* | //[^\n]*                                                    # name, comment
    | (?P<open>\{) | (?P<close>\}) | .
    """,
    re.VERBOSE | re.DOTALL,
)


class ExpressionFailed(Exception):
    """An expression has no value in this run."""

    def __init__(self, *, path: Path, expression: str, reason: str) -> None:
        super().__init__(path, expression, reason)
        self.path = path
        """Where the expression stands."""
        self.expression = expression
        """The expression, without its braces."""
        self.reason = reason
        """Why it has no value, in plain words."""

    def __str__(self) -> str:
        where = f"{dotted(self.path)}: " if self.path else ""
        return f"{where}{show_expression(self.expression)}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """One expression at its place in a template."""

    path: Path
    """Where the text that holds it stands."""
    expression: Expression
    """The compiled expression."""


_Parts: TypeAlias = "tuple[str | Embedded, ...]"
_Node: TypeAlias = "Embedded | _Text | _Container"


@dataclass(frozen=True, slots=True)
class _Text:
    """Text with expressions in it."""

    parts: _Parts


@dataclass(frozen=True, slots=True)
class _Container:
    """A list or mapping with expressions somewhere below; `nodes` are the members that hold them."""

    value: list[JsonValue] | dict[str, JsonValue]
    nodes: tuple[tuple[str | int, _Node], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A JSON value whose texts may hold expressions."""

    value: JsonValue
    """The value as authored."""
    node: _Node | None
    """What has to be rendered; None when the value holds no expression."""
    expressions: tuple[Embedded, ...]
    """Every expression in it."""

    @property
    def references(self) -> frozenset[Reference]:
        """Return all that its expressions read."""
        return frozenset(reference for embedded in self.expressions for reference in embedded.expression.references)

    def render(self, scope: Mapping[str, JsonValue]) -> JsonValue:
        """Return the value with every expression replaced; what holds none is the same object as before.

        `scope` has `inputs`, `run`, `platform` and `tasks` (each with `output`, `status`, `error_message`). Raises
        ExpressionFailed.
        """
        return self.value if self.node is None else _render(self.node, scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """An expression that decides whether a task runs."""

    embedded: Embedded
    """The expression and its place."""

    @property
    def expressions(self) -> tuple[Embedded, ...]:
        """Return its one expression, as a template does."""
        return (self.embedded,)

    @property
    def references(self) -> frozenset[Reference]:
        """Return all that the expression reads."""
        return self.embedded.expression.references

    def is_met(self, scope: Mapping[str, JsonValue]) -> bool:
        """Evaluate the condition. Raises ExpressionFailed, also when the value is neither true nor false."""
        value = _evaluate(self.embedded, scope)
        if not isinstance(value, bool):
            reason = f"a condition must be true or false, not {describe(value)}"
            raise ExpressionFailed(path=self.embedded.path, expression=self.embedded.expression.text, reason=reason)
        return value


def has_expression(value: JsonValue) -> bool:
    """Tell whether a JSON value holds an expression anywhere."""
    if isinstance(value, str):
        return OPENING in value
    if isinstance(value, dict):
        return any(has_expression(member) for member in value.values())
    return isinstance(value, list) and any(has_expression(member) for member in value)


def show_expression(source: str) -> str:
    """Write an expression as people do, cut short when it is long."""
    text = source.strip()
    return f"{OPENING} {text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'} {CLOSING}"


def compile_template(value: JsonValue, path: Path = ()) -> Template:
    """Compile every expression in a JSON value. Raises DefinitionInvalid with all that are wrong."""
    problems: list[Problem] = []
    template = compile_right_parts(value, path, problems)
    if problems:
        raise DefinitionInvalid(problems)
    return template


def compile_right_parts(value: JsonValue, path: Path, problems: list[Problem]) -> Template:
    """Compile the expressions of a JSON value that can be compiled, and add what is wrong with the others."""
    expressions: list[Embedded] = []
    node = _compile(value, path, expressions, problems)
    return Template(value=value, node=node, expressions=tuple(expressions))


def compile_condition(text: str, path: Path = ()) -> Condition:
    """Compile the value of `if:`, which is exactly one expression. Raises DefinitionInvalid."""
    problems: list[Problem] = []
    parts = _split(text.strip(), path, problems)
    if problems:
        raise DefinitionInvalid(problems)
    if len(parts) != 1 or isinstance(parts[0], str):
        message = f'must be exactly one expression, such as "{OPENING} size(tasks.load.output) > 0 {CLOSING}"'
        raise DefinitionInvalid([Problem(code="bad_expression", path=path, message=message)])
    if not parts[0].expression.can_be_true_or_false:
        message = f"`{show_expression(parts[0].expression.text)}` is never true or false; compare it with something"
        raise DefinitionInvalid([Problem(code="bad_expression", path=path, message=message)])
    return Condition(embedded=parts[0])


def _compile(value: JsonValue, path: Path, expressions: list[Embedded], problems: list[Problem]) -> _Node | None:
    if isinstance(value, str):
        return _compile_text(value, path, expressions, problems) if OPENING in value else None
    members: Iterator[tuple[str | int, JsonValue]]
    if isinstance(value, dict):
        members = iter(value.items())
        for key in value:
            if OPENING in key:
                message = f"has the key {json.dumps(key, ensure_ascii=False)}, but a key cannot hold an expression"
                problems.append(Problem(code="bad_expression", path=path, message=message))
    elif isinstance(value, list):
        members = enumerate(value)
    else:
        return None
    compiled = ((key, _compile(member, (*path, key), expressions, problems)) for key, member in members)
    nodes = tuple((key, node) for key, node in compiled if node is not None)
    return _Container(value, nodes) if nodes else None


def _compile_text(text: str, path: Path, expressions: list[Embedded], problems: list[Problem]) -> _Node:
    parts = _split(text, path, problems)
    expressions.extend(part for part in parts if isinstance(part, Embedded))
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Embedded) else _Text(parts)


def _split(text: str, path: Path, problems: list[Problem]) -> _Parts:
    """Cut a text into plain text and expressions."""
    parts: list[str | Embedded] = []
    position = 0
    while (start := text.find(OPENING, position)) >= 0:
        end = _closing(text, start + len(OPENING))
        if end is None:
            message = f"an expression opens with `{OPENING}` but does not close with `{CLOSING}`"
            if len(text) - start > MAX_EXPRESSION_LENGTH:
                message += f" within {MAX_EXPRESSION_LENGTH:,} characters"
            problems.append(Problem(code="bad_expression", path=path, message=message))
            break
        source = text[start + len(OPENING) : end]
        try:
            parts.extend((text[position:start], Embedded(path=path, expression=compile_expression(source))))
        except ExpressionRefused as error:
            message = f"`{show_expression(source)}`: {error}"
            problems.append(Problem(code="bad_expression", path=path, message=message))
        position = end + len(CLOSING)
    return tuple(part for part in (*parts, text[position:]) if part != "")


def _closing(text: str, start: int) -> int | None:
    """Return where the `}}` stands that ends an expression: not in a string, a comment or a map of its own."""
    depth = 0
    limit = start + MAX_EXPRESSION_LENGTH + 1
    for token in _TOKEN.finditer(text, start, limit):
        if token["open"]:
            depth += 1
        elif token["close"]:
            if depth == 0:
                return token.start() if text.startswith(CLOSING, token.start()) else None
            depth -= 1
    return None


def _render(node: _Node, scope: Mapping[str, JsonValue]) -> JsonValue:
    match node:
        case Embedded():
            return _evaluate(node, scope)
        case _Text(parts):
            return "".join(part if isinstance(part, str) else _as_text(_evaluate(part, scope)) for part in parts)
        case _Container(value, nodes):
            rendered: JsonValue = value.copy()
            for key, member in nodes:
                rendered[key] = _render(member, scope)
            return rendered


def _evaluate(embedded: Embedded, scope: Mapping[str, JsonValue]) -> JsonValue:
    try:
        return embedded.expression.evaluate(scope)
    except EvaluationFailed as error:
        raise ExpressionFailed(path=embedded.path, expression=embedded.expression.text, reason=str(error)) from error


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
