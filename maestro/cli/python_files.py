"""Workflows in Python files: `flow.py`, or `flow.py:name` where a file has several. Runs the file to read them."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from maestro.cli import text
from maestro.cli.explanations import explain_problems
from maestro.cli.failures import Failure, suggestion
from maestro.client import Problem

if TYPE_CHECKING:
    from maestro.sdk import Workflow

SUFFIX = ".py"


def is_python_file(target: str) -> bool:
    """Tell whether a target names a workflow in a Python file."""
    return _split(target) is not None


def read_definition(target: str) -> str:
    """Return the definition that a workflow in a Python file comes to, as JSON. Raises Failure."""
    found = _split(target)
    assert found is not None
    path, name = found
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for what the command says
        try:
            workflow = _pick(_workflows(_load(path)), path, name)
            return json.dumps(workflow.definition())
        except Failure:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's file raises
            raise _explain(error, path) from error


def _split(target: str) -> tuple[Path, str | None] | None:
    """Return file and name of the workflow; None when the target names no Python file."""
    if Path(target).suffix.lower() == SUFFIX:
        return Path(target), None
    file, _, name = target.rpartition(":")
    return (Path(file), name) if Path(file).suffix.lower() == SUFFIX else None


def _load(path: Path) -> ModuleType:
    """Import a file under the name by which workers import it: below its outermost package."""
    if not path.is_file():
        reason = "is a directory" if path.is_dir() else "does not exist"
        raise Failure(f"{text.one_line(path)} {reason}.", code="unreadable_file")
    file = path.resolve()
    names = [file.stem]
    root = file.parent
    while (root / "__init__.py").is_file():
        names.append(root.name)
        root = root.parent
    name = ".".join(reversed(names))
    if not all(part.isidentifier() for part in names):
        raise Failure(
            f"{text.one_line(path)} is no module that Python can import as {text.one_line(name)!r}: use letters, "
            "digits and _ in its name.",
            code="definition_invalid",
        )
    sys.path.insert(0, str(root))
    module = importlib.import_module(name)
    if module.__file__ is None or not file.samefile(module.__file__):
        raise Failure(
            f"{text.one_line(path)} cannot be imported: Python has another module {name!r} "
            f"({text.one_line(module.__file__ or 'built in')}). Give the file another name.",
            code="definition_invalid",
        )
    return module


def _workflows(module: ModuleType) -> dict[str, Workflow]:
    """Return the workflows a module defines, those it imports left out, by the name of their variable."""
    from maestro.sdk import Workflow

    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Workflow) and value.function.__module__ == module.__name__
    }


def _pick(workflows: dict[str, Workflow], path: Path, name: str | None) -> Workflow:
    shown = text.one_line(path)
    if not workflows:
        raise Failure(
            f"{shown} has no workflow: decorate a function by @workflow from maestro.sdk.", code="definition_invalid"
        )
    if name is None:
        if len(workflows) == 1:
            return next(iter(workflows.values()))
        choices = " or ".join(f"{shown}:{each}" for each in workflows)
        raise Failure(f"{shown} has {len(workflows)} workflows. Say which: {choices}.", code="definition_invalid")
    for variable, workflow in workflows.items():
        if name in (variable, workflow.name):
            return workflow
    near, known = suggestion(name, workflows), ", ".join(workflows)
    raise Failure(f"{shown} has no workflow '{text.one_line(name)}'.{near} It has: {known}.", code="definition_invalid")


def _explain(error: BaseException, path: Path) -> Failure:
    """Return a failure that names the line of the user's file at which it happened, and what."""
    from maestro.core.user_code.exceptions import summarize
    from maestro.sdk import DefinitionError

    file = str(path.resolve())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines = [error.lineno]
    is_ours = isinstance(error, DefinitionError)
    problem = Problem(
        message=str(error) if is_ours else summarize(error),
        code="bad_workflow" if is_ours else "python_error",
        line=lines[-1] if lines else None,
    )
    return explain_problems([problem], source=str(path), outcome="", code="definition_invalid")
