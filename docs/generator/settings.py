"""The page about environment variables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from types import UnionType
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from docs.generator.markdown import code, table
from maestro.env import Environment

_PAGE = """# Settings

Written by `make docs` from `maestro/env.py`, the one reader of the environment. `maestro up` sets the addresses and secrets itself; elsewhere they are
yours to set. A wrong value stops the start and is named. What the command line reads is in [the command line](cli.md).

{variables}
A *secret* is a value that is never logged or shown.
"""


def page() -> str:
    """Return the page."""
    return _PAGE.format(variables=table(("variable", "type", "default", "meaning"), _rows()))


def _rows() -> Iterator[Sequence[str]]:
    for name, field in Environment.model_fields.items():
        yield code(field.alias or name.upper()), _type(field.annotation), _default(field), field.description or ""


def _type(annotation: Any) -> str:
    if isinstance(annotation, UnionType):
        return " or ".join(_type(each) for each in get_args(annotation) if each is not type(None))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(code(str(each.value)) for each in annotation)
    if getattr(annotation, "__origin__", None) in (tuple, list, frozenset):
        return "list, separated by commas"
    words = {SecretStr: "secret", str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple | list | frozenset):
        value = ",".join(map(str, value))
    if isinstance(value, bool):
        value = str(value).lower()
    return code(str(value)) if value not in (None, "") else "none"
