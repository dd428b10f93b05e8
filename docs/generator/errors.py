"""The page about the codes of refused calls."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus

from django.apps import apps
from rest_framework import exceptions

from docs.generator.markdown import code, table
from maestro.core.errors import MaestroError
from maestro.core.rest import errors as rest_errors

_PAGE = """# Error codes

Written by `make docs` from the error classes. A refused call answers a problem document (RFC 9457) whose `code` never changes; its `detail` says what to
do. The command line prints the same code with `--json`.

{errors}
Problems inside a definition or inputs come in the member `errors`, each with a `path`, a `code` and a message.
"""
_PLACEHOLDER = re.compile(r' "\{\w+\}"')


def page() -> str:
    """Return the page."""
    rows = sorted({(name, status): meaning for name, status, meaning in (*_own(), *_framework(), *_server())}.items())
    return _PAGE.format(
        errors=table(
            ("code", "HTTP status", "meaning"),
            ((code(name), f"{status.value} {status.phrase}", meaning) for (name, status), meaning in rows),
        )
    )


def _own() -> Iterator[tuple[str, HTTPStatus, str]]:
    for configuration in apps.get_app_configs():
        if configuration.name in ("accounts", "executors", "workflows", "billing"):
            for module in ("errors", "kinds.errors"):
                _import_if_there(f"{configuration.name}.{module}")
    for error in _subclasses(MaestroError):
        status = rest_errors._STATUSES[error.category]  # noqa: SLF001
        yield error.code, status, (inspect.getdoc(error) or "").partition("\n")[0]


def _import_if_there(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise


def _subclasses(base: type[MaestroError]) -> Iterator[type[MaestroError]]:
    for each in base.__subclasses__():
        if "code" in vars(each):
            yield each
        yield from _subclasses(each)


def _framework() -> Iterator[tuple[str, HTTPStatus, str]]:
    """Yield what the REST framework answers."""
    for error in exceptions.APIException.__subclasses__():
        if error is not exceptions.ValidationError:
            detail = _PLACEHOLDER.sub("", str(error.default_detail))
            yield str(error.default_code), HTTPStatus(error.status_code), detail


def _server() -> Iterator[tuple[str, HTTPStatus, str]]:
    """Yield what is answered outside any view: the codes that `maestro.core.rest.errors` writes itself."""
    for function in ast.parse(inspect.getsource(rest_errors)).body:
        if isinstance(function, ast.FunctionDef):
            for call in ast.walk(function):
                match call:
                    case ast.Call(
                        func=ast.Name(id="_answer"),
                        args=[_, ast.Attribute(attr=status), ast.Constant(value=str(name)), _],
                    ):
                        said = (ast.get_docstring(function) or "").partition("\n")[0].removeprefix("Answer ")
                        yield name, HTTPStatus[status], said[:1].upper() + said[1:]
