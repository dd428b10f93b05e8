"""The `uses` and `with` of a task against the kinds that are installed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from pydantic import BaseModel, ValidationError

from workflows.definition.expressions import has_expression
from workflows.definition.model_problems import (
    MISSING_KEY,
    TOO_LONG,
    TOO_SHORT,
    UNKNOWN_KEY,
    WRONG_TYPE,
    Finding,
    read_errors,
)
from workflows.definition.problems import Path, Problem, suggestion
from workflows.definition.spec import UNSUPPORTED_KINDS
from workflows.definition.values import JsonValue

Kinds: TypeAlias = Mapping[str, type[BaseModel]]
"""The model of `with:` of each installed kind, by the name used in `uses:`."""


def check_kind(kind: str, kinds: Kinds, path: Path) -> Iterator[Problem]:
    """Yield a problem when no such kind is installed."""
    if kind in kinds:
        return
    if kind in UNSUPPORTED_KINDS:
        yield Problem(code="not_supported_yet", path=path, message=f'the kind "{kind}" is not supported yet')
        return
    near = suggestion(kind, kinds) or f"; there are {', '.join(sorted(kinds))}"
    yield Problem(code="unknown_kind", path=path, message=f'there is no kind "{kind}"{near}')


def check_options(options: Mapping[str, JsonValue], kind: str, model: type[BaseModel], path: Path) -> Iterator[Problem]:
    """Yield every way in which options do not fit the model of their kind.

    What holds an expression stands for a value of whatever type, so what the model says about it is left to the run.
    Options are JSON, and are judged as JSON: a strict model takes a list for a tuple, a text for a date.
    """
    try:
        model.model_validate_json(json.dumps(options))
    except ValidationError as error:
        findings = list(read_errors(error, options, prefix=path))
        excused = _excused_unions(findings)
        for finding in findings:
            if not _may_be_right(finding) and finding.union not in excused:
                yield _named(finding.problem, kind, model, path)


def option_names(model: type[BaseModel]) -> list[str]:
    """Return the names of a kind's options as authors write them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _may_be_right(finding: Finding) -> bool:
    """Tell whether the value may turn out right once its expressions have values."""
    if finding.problem.code in (MISSING_KEY, UNKNOWN_KEY):
        return False
    if isinstance(finding.offending, (dict, list)) and finding.problem.code in (WRONG_TYPE, TOO_SHORT, TOO_LONG):
        return False
    return has_expression(finding.offending)


def _excused_unions(findings: list[Finding]) -> set[Path | None]:
    """Return the choices of which one alternative has nothing against it but what expressions may put right."""
    alternatives: dict[tuple[Path | None, str | int | None], list[bool]] = {}
    for finding in findings:
        if finding.union is not None:
            alternatives.setdefault((finding.union, finding.alternative), []).append(_may_be_right(finding))
    return {union for (union, _), verdicts in alternatives.items() if all(verdicts)}


def _named(problem: Problem, kind: str, model: type[BaseModel], path: Path) -> Problem:
    """Say more about an option that is not known."""
    if problem.code != UNKNOWN_KEY:
        return problem
    name = str(problem.path[-1])
    names = option_names(model) if len(problem.path) == len(path) + 1 else []
    near = suggestion(name, names) or (f"; it takes {', '.join(names)}" if names else "")
    message = f'"{name}" is not an option of the kind "{kind}"{near}'
    return Problem(code="unknown_option", path=problem.path, message=message)
