"""Reading what a person hands over: definition files, inputs files, `--input name=value`, payloads. Nothing is sent
from here.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from maestro.cli import python_files, text
from maestro.cli.explanations import explain_problems
from maestro.cli.failures import Failure, suggestion
from maestro.client import Problem

STANDARD_INPUT = "-"
DEFINITION_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
MAX_BYTES = 4 * 1024 * 1024


def is_file_name(target: str) -> bool:
    """Tell whether a target names a definition file rather than a workflow."""
    path = Path(target)
    is_document = target == STANDARD_INPUT or path.suffix.lower() in DEFINITION_SUFFIXES or path.is_file()
    return is_document or python_files.is_python_file(target)


def source_name(file: str) -> str:
    """Return what to call a file in messages."""
    return "standard input" if file == STANDARD_INPUT else file


def read_definition(file: str) -> str:
    """Return the text of a definition file; of a workflow in a Python file, its definition. Raises Failure."""
    return python_files.read_definition(file) if python_files.is_python_file(file) else _read(file)


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


def read_payload(given: str) -> Any:
    """Return the JSON given as such, or as `@file`, JSON or YAML, of which `@-` is standard input.

    Raises Failure, click.UsageError.
    """
    from workflows.definition.problems import DefinitionInvalid
    from workflows.definition.values import check_value

    try:
        is_file = given.startswith("@")
        value = _parse(_read(given[1:])) if is_file else json.loads(given, parse_constant=_refuse_constant)
        if problems := check_value(value):
            raise DefinitionInvalid(problems)
    except DefinitionInvalid as error:
        found = [Problem.from_json(problem.as_dict()) for problem in error.problems]
        source = source_name(given[1:]) if is_file else "--payload"
        raise explain_problems(found, source=source, outcome="Nothing was sent.", code="payload_invalid") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(
            "--payload needs JSON, for example '{\"amount\": 3}'; a text has quotes of its own: '\"ok\"'. "
            "@FILE reads a file, @- standard input."
        ) from error
    return value


def read_inputs(pairs: Sequence[str], *, option: str = "--input", noun: str = "Input") -> dict[str, str]:
    """Return the inputs given as `name=value`, `name=@file` or `name`, which asks for the value without echo, as text.

    `option` and `noun` are what messages call them. Raises click.UsageError with everything that keeps values from
    being read.
    """
    inputs: dict[str, str] = {}
    faults: list[str] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        try:
            if not name:
                raise click.UsageError(f"{option} needs the form name=value; the name is missing.")
            if name in inputs:
                raise click.UsageError(f"{noun} '{text.one_line(name)}' is given twice; give it once.")
            inputs[name] = ""
            inputs[name] = _given_value(noun, name, value) if equals else _asked_value(noun, name)
        except click.UsageError as error:
            faults.append(error.message)
    if faults:
        raise click.UsageError("\n".join(faults))
    return inputs


def typed_inputs(inputs: Mapping[str, str], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs with the types of their schemas.

    A value is text where the input's schema takes text, and otherwise JSON. What is no JSON stays text: the server
    tells what is wrong with it, together with all else that is wrong with the inputs.
    """
    return {name: _typed_value(value, schemas.get(name)) for name, value in inputs.items()}


def reads_standard_input(pair: str) -> bool:
    """Tell whether an `--input` takes its value from standard input."""
    return pair.partition("=")[2] == f"@{STANDARD_INPUT}"


def _given_value(noun: str, name: str, value: str) -> str:
    """Return what follows `name=`: the value itself, or what is in the file it names."""
    if not value.startswith("@"):
        return value
    if value.startswith("@@"):
        return value[1:]
    try:
        content = _read(value[1:])
    except Failure as failure:
        hint = f" For a text that begins with @ write {text.one_line(name)}=@{text.one_line(value)}."
        raise click.UsageError(f"{noun} '{text.one_line(name)}': {failure.message}{hint}") from failure
    return content.removesuffix("\n").removesuffix("\r")


def _asked_value(noun: str, name: str) -> str:
    """Ask for a value at the terminal, where nobody can read along."""
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{noun} '{text.one_line(name)}' has no value: write {text.one_line(name)}=VALUE or "
            f"{text.one_line(name)}=@FILE (@- reads standard input). At a terminal, the bare name asks for it."
        )
    answer: str = click.prompt(text.one_line(name), hide_input=True, default="", show_default=False, err=True)
    return answer


def _typed_value(value: str, schema: Any) -> Any:
    from workflows.definition.values import check_value

    if "string" in _types_of(schema):
        return value
    try:
        parsed = json.loads(value, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return value
    return value if check_value(parsed) else parsed


def _types_of(schema: Any) -> Sequence[str]:
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    return [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []


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
