"""One CEL expression: compiled, checked, evaluated to a JSON value. The only home of the CEL runtime.

Templates (`${{ }}` in text, lists and mappings) are in `expressions`.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from cel_expr_python import cel

from workflows.definition.cel_messages import explain_compilation, explain_evaluation
from workflows.definition.cel_references import ROOTS, Reference, Root, find_references
from workflows.definition.problems import suggestion
from workflows.definition.values import MAX_DEPTH, JsonValue, describe, is_deeper_than, scalar_fault

CACHED_EXPRESSIONS = 4_096

_PLAIN_PATH = re.compile(r"\s*(inputs|tasks|run|platform)((?:\.[A-Za-z_][A-Za-z0-9_]*)+)\s*")
_KEYWORDS = frozenset({"in", "true", "false", "null"})


class ExpressionRefused(Exception):
    """The text is not an expression of this language; the message says why."""


class EvaluationFailed(Exception):
    """The expression has no value for what it was given; the message says why."""


class Expression(Protocol):
    """A compiled expression."""

    @property
    def text(self) -> str:
        """Return the expression as authored."""

    @property
    def references(self) -> frozenset[Reference]:
        """Return what it reads."""

    @property
    def can_be_true_or_false(self) -> bool:
        """Tell whether it may yield a boolean, as far as its types are known."""

    def evaluate(self, scope: Mapping[str, JsonValue]) -> JsonValue:
        """Return its value. Raises EvaluationFailed."""


@functools.lru_cache(maxsize=CACHED_EXPRESSIONS)
def compile_expression(text: str) -> Expression:
    """Compile the text between `${{` and `}}`. Raises ExpressionRefused."""
    if not text.strip():
        raise ExpressionRefused("it is empty")
    plain = _PLAIN_PATH.fullmatch(text)
    if plain and _KEYWORDS.isdisjoint(steps := plain[2][1:].split(".")):
        return _PlainPath(text=text.strip(), root=cast("Root", plain[1]), steps=tuple(steps))
    try:
        program = _environment().compile(text)
    except RuntimeError as error:
        raise ExpressionRefused(explain_compilation(str(error), text, ROOTS)) from error
    return _Program(text=text.strip(), program=program, references=find_references(program.serialize()))


def matches_pattern(pattern: str, text: str) -> bool:
    """Tell whether a regular expression is found in a text, in time linear in both (RE2). Raises EvaluationFailed."""
    result = _matcher().eval(data={"pattern": pattern, "text": text})
    value = result.plain_value()
    if result.type() == cel.Type.ERROR:
        raise EvaluationFailed(explain_evaluation(str(value)))
    return bool(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlainPath:
    """A path such as `tasks.extract.output.rows`: most expressions are one, and looking it up needs no runtime.

    The value found is handed over as it is, however large; CEL would convert it there and back.
    """

    text: str
    root: Root
    steps: tuple[str, ...]

    @property
    def references(self) -> frozenset[Reference]:
        member = self.steps[1] if self.root == "tasks" and len(self.steps) > 1 else None
        return frozenset({Reference(root=self.root, name=self.steps[0], member=member)})

    @property
    def can_be_true_or_false(self) -> bool:
        return True

    def evaluate(self, scope: Mapping[str, JsonValue]) -> JsonValue:
        value: JsonValue = scope.get(self.root, {})
        for count, step in enumerate(self.steps):
            if not isinstance(value, Mapping):
                before = ".".join((self.root, *self.steps[:count]))
                raise EvaluationFailed(f'`{before}` is {describe(value)}, so it has no "{step}"')
            if step not in value:
                before = ".".join((self.root, *self.steps[:count]))
                raise EvaluationFailed(f'`{before}` has no "{step}"{suggestion(step, value)}')
            value = value[step]
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    """Anything else, evaluated by CEL."""

    text: str
    program: Any
    references: frozenset[Reference]

    @property
    def can_be_true_or_false(self) -> bool:
        kind = self.program.return_type()
        return bool(kind == cel.Type.BOOL or kind == cel.Type.DYN)

    def evaluate(self, scope: Mapping[str, JsonValue]) -> JsonValue:
        bound = _bind(self.references, scope)
        if is_deeper_than(bound, MAX_DEPTH):  # the runtime converts by recursion and would take the process down
            raise EvaluationFailed(f"it reads a value that is nested more than {MAX_DEPTH} levels deep")
        try:
            result = self.program.eval(data=bound)
            value = result.plain_value()
        except RuntimeError as error:  # an exhausted iteration budget, unlike other failures, is raised
            raise EvaluationFailed(explain_evaluation(str(error))) from error
        if result.type() == cel.Type.ERROR:
            raise EvaluationFailed(explain_evaluation(str(value)))
        return _as_json(value)


@functools.cache
def _environment() -> Any:
    variable = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.NewEnv(variables=dict.fromkeys(ROOTS, variable))


@functools.cache
def _matcher() -> Any:
    environment = cel.NewEnv(variables={"pattern": cel.Type.STRING, "text": cel.Type.STRING})
    return environment.compile("text.matches(pattern)")


def _bind(references: frozenset[Reference], scope: Mapping[str, JsonValue]) -> dict[str, dict[str, JsonValue]]:
    """Return only what is read: the runtime converts all it is given, read or not."""
    bound: dict[str, dict[str, JsonValue]] = {root: {} for root in ROOTS}
    for reference in sorted(references, key=_narrowness):
        available = scope.get(reference.root, {})
        target = bound[reference.root]
        if reference.name is None:
            target.update(available)
        elif reference.name not in available:
            continue
        elif reference.member is None:
            target[reference.name] = available[reference.name]
        else:
            members = available[reference.name]
            narrowed = target.setdefault(reference.name, {})
            narrowed.update({reference.member: members[reference.member]} if reference.member in members else {})
    return bound


def _narrowness(reference: Reference) -> tuple[bool, bool]:
    """Sort what reads a part before what reads the whole, which then takes its place."""
    return (reference.name is None, reference.member is None)


def _as_json(value: object) -> JsonValue:
    """Turn a value of CEL into one of JSON. Raises EvaluationFailed when there is none."""
    match value:
        case list():
            return [_as_json(member) for member in value]
        case dict():
            return {_as_key(key): _as_json(member) for key, member in value.items()}
        case datetime.datetime():
            return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
        case datetime.timedelta():
            return _duration_text(value)
        case bytes() | bytearray():
            raise EvaluationFailed("its value is bytes, which JSON cannot express; turn them into text with string()")
        case cel.Type():
            raise EvaluationFailed("its value is a type, which JSON cannot express")
    if fault := scalar_fault(value):
        raise EvaluationFailed(f"its value {fault[1]}")
    return value


def _as_key(key: object) -> str:
    if not isinstance(key, str):
        raise EvaluationFailed(f"its value is a mapping with a key that is {describe(key)}; keys must be text")
    return cast("str", _as_json(key))


def _duration_text(duration: datetime.timedelta) -> str:
    sign = "-" if duration < datetime.timedelta() else ""
    seconds, rest = divmod(abs(duration), datetime.timedelta(seconds=1))
    fraction = f".{rest.microseconds:06d}".rstrip("0") if rest else ""
    return f"{sign}{seconds}{fraction}s"
