"""Reading what a person hands over: definition files, inputs files, `--input name=value`. Nothing is sent from here."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from maestro.cli import text
from maestro.cli.explanations import explain_problems
from maestro.cli.failures import Failure, suggestion
from maestro.client import Problem

STANDARD_INPUT = "-"
DEFINITION_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
MAX_BYTES = 4 * 1024 * 1024
JSON_TYPES = ("null", "boolean", "integer", "number", "array", "object")


def is_file_name(target: str) -> bool:
    """Tell whether a target names a definition file rather than a workflow."""
    path = Path(target)
    return target == STANDARD_INPUT or path.suffix.lower() in DEFINITION_SUFFIXES or path.is_file()


def source_name(file: str) -> str:
    """Return what to call a file in messages."""
    return "standard input" if file == STANDARD_INPUT else file


def read_definition(file: str) -> str:
    """Return the text of a definition file. Raises Failure."""
    return _read(file)


def read_inputs_file(file: str) -> dict[str, Any]:
    """Return the inputs in a YAML or JSON file. Raises Failure."""
    from workflows.definition.problems import DefinitionInvalid

    source = source_name(file)
    try:
        value = _parse(_read(file))
    except DefinitionInvalid as error:
        problems = [Problem.from_json(problem.as_dict()) for problem in error.problems]
        raise explain_problems(problems, source=source, outcome="No run was started.", code="inputs_invalid") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Failure(
            f"{text.one_line(source)} must hold a mapping of input names to values, for example `day: 2026-01-31`.",
            code="inputs_invalid",
        )
    return value


def parse_inputs(pairs: Sequence[str], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs given as `name=value`, each read as the type its schema says.

    Raises click.UsageError with everything that is wrong with them.
    """
    inputs: dict[str, Any] = {}
    faults: list[str] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        try:
            if not equals or not name:
                raise click.UsageError(f"--input needs the form name=value, not '{text.one_line(pair)}'.")
            if name in inputs:
                raise click.UsageError(f"Input '{text.one_line(name)}' is given twice; give it once.")
            inputs[name] = None
            inputs[name] = _parse_input(name, value, schemas)
        except click.UsageError as error:
            faults.append(error.message)
    if faults:
        raise click.UsageError("\n".join(faults))
    return inputs


def _parse_input(name: str, value: str, schemas: Mapping[str, Any]) -> Any:
    if schemas and name not in schemas:
        known = ", ".join(text.one_line(each) for each in schemas)
        raise click.UsageError(
            f"The workflow has no input '{text.one_line(name)}'.{suggestion(name, schemas)} Its inputs: {known}."
        )
    return _typed_value(name, value, _types_of(schemas.get(name)))


def _typed_value(name: str, value: str, types: frozenset[str]) -> Any:
    from workflows.definition.values import check_value

    if "string" in types:
        return value
    is_json = True
    parsed: Any = value
    try:
        parsed = json.loads(value, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        is_json = False
    if types and not (is_json and _is_of(parsed, types)):
        expected = " or ".join(kind for kind in JSON_TYPES if kind in types)
        raise click.UsageError(
            f"Input '{text.one_line(name)}' is of type {expected}; '{text.one_line(value)}' is not{_hint(types)}."
        )
    if problems := check_value(parsed):
        raise click.UsageError(f"Input '{text.one_line(name)}' {text.one_line(problems[0].message)}.")
    return parsed


def _types_of(schema: Any) -> frozenset[str]:
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(kinds, str):
        return frozenset({kinds})
    return frozenset(str(kind) for kind in kinds) if isinstance(kinds, list) else frozenset()


def _is_of(value: Any, types: frozenset[str]) -> bool:
    """Tell whether a value is of one of the types as JSON Schema counts them: 3.0 is an integer, true no number."""
    if isinstance(value, bool):
        return "boolean" in types
    if isinstance(value, int | float):
        return "number" in types or ("integer" in types and float(value).is_integer())
    names = {type(None): "null", str: "string", list: "array", dict: "object"}
    return names[type(value)] in types


def _hint(types: frozenset[str]) -> str:
    if "boolean" in types:
        return " (write true or false)"
    if "array" in types:
        return ' (write JSON, for example ["a", "b"])'
    return ' (write JSON, for example {"a": 1})' if "object" in types else ""


def _read(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1) if file == STANDARD_INPUT else _read_bytes(Path(file))
    except FileNotFoundError as error:
        raise Failure(f"There is no file {text.one_line(file)}.{_near(Path(file))}", code="unreadable_file") from error
    except OSError as error:
        raise Failure(
            f"{text.one_line(file)} cannot be read: {error.strerror or 'input error'}.", code="unreadable_file"
        ) from error
    name = text.one_line(source_name(file))
    if len(raw) > MAX_BYTES:
        raise Failure(f"{name} is larger than 4 MB, the most a document may have.", code="too_large")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Failure(
            f"{name} is not UTF-8 text (byte {error.start}). Save it as UTF-8.", code="bad_encoding"
        ) from error


def _near(path: Path) -> str:
    """Return a sentence with the files that are named much like one that is not there."""
    with contextlib.suppress(OSError):
        near = suggestion(path.name, (each.name for each in path.parent.iterdir() if each.is_file()))
        return near or f" Its directory {text.one_line(path.parent.absolute())} has no file of such a name."
    return f" There is no directory {text.one_line(path.parent)} either."


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _parse(content: str) -> Any:
    """Parse JSON, or else YAML. Raises DefinitionInvalid."""
    from workflows.definition.problems import DefinitionInvalid
    from workflows.definition.values import check_value
    from workflows.definition.yaml_reader import read_yaml

    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return read_yaml(content)[0]
    if problems := check_value(value):
        raise DefinitionInvalid(problems)
    return value


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")
