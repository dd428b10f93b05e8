"""The inputs of one run: what was given, checked against what the workflow declares, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping

from workflows.definition.canonical import canonical_json
from workflows.definition.input_schema import check_against, complete
from workflows.definition.problems import InputsInvalid, Problem, Suggester
from workflows.definition.secrets import MAX_TEXTS, Secrets
from workflows.definition.values import JsonValue, check_value, describe

MAX_INPUTS_BYTES = 1024 * 1024


def resolve_inputs(schemas: Mapping[str, Mapping[str, JsonValue]], given: JsonValue) -> dict[str, JsonValue]:
    """Return a value for every declared input, in the order declared.

    An input that has no `default` is required, also when its schema allows null: a run never sees an input without a
    value. Keys that an object lacks are filled in from the defaults in its `properties`, before it is checked. Raises
    InputsInvalid with every problem.
    """
    if not isinstance(given, dict):
        message = f"inputs must be a mapping of names to values, not {describe(given)}"
        raise InputsInvalid([Problem(code="wrong_type", path=(), message=message)])
    if problems := check_value(given):
        raise InputsInvalid(problems)
    size = len(canonical_json(given).encode())
    if size > MAX_INPUTS_BYTES:
        message = f"inputs have {size:,} bytes as JSON; at most {MAX_INPUTS_BYTES:,} are allowed"
        raise InputsInvalid([Problem(code="too_large", path=(), message=message)])
    problems = _check_names(schemas, given)
    resolved: dict[str, JsonValue] = {}
    for name, schema in schemas.items():
        if name in given:
            resolved[name] = complete(schema, given[name])
            problems += check_against(schema, resolved[name], (name,))
        elif "default" in schema:
            resolved[name] = complete(schema, schema["default"])
        else:
            problems.append(Problem(code="missing_input", path=(name,), message="is required; it has no default"))
    problems += check_value(resolved)
    hidden = len(Secrets.of(schemas, resolved).texts)
    if hidden > MAX_TEXTS:
        message = f"the secrets among the inputs have {hidden:,} lines; at most {MAX_TEXTS} can be hidden"
        problems.append(Problem(code="too_large", path=(), message=message))
    if problems:
        raise InputsInvalid(problems)
    return resolved


def _check_names(schemas: Mapping[str, Mapping[str, JsonValue]], given: Mapping[str, JsonValue]) -> list[Problem]:
    suggester = Suggester(schemas)
    return [
        Problem(code="unknown_input", path=(name,), message=f"is not an input{suggester.suggest(name)}")
        for name in given
        if name not in schemas
    ]
