"""The `uses` and `with` of a task against the kinds that are installed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from pydantic import BaseModel, ValidationError

from workflows.definition.expressions import has_expression
from workflows.definition.model_problems import MISSING_KEY, UNKNOWN_KEY, read_errors
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
        names = option_names(model)
        for problem, offending in read_errors(error, options, prefix=path):
            if problem.code == UNKNOWN_KEY:
                known = names if len(problem.path) == len(path) + 1 else []
                yield _unknown_option(problem, kind, known)
            elif problem.code == MISSING_KEY or not has_expression(offending):
                yield problem


def option_names(model: type[BaseModel]) -> list[str]:
    """Return the names of a kind's options as authors write them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _unknown_option(problem: Problem, kind: str, names: list[str]) -> Problem:
    name = str(problem.path[-1])
    near = suggestion(name, names) or (f"; it takes {', '.join(names)}" if names else "")
    message = f'"{name}" is not an option of the kind "{kind}"{near}'
    return Problem(code="unknown_option", path=problem.path, message=message)
