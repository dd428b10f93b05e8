"""Checks the rendered `with:` of a task against its kind's model, and tells a person what is wrong. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from executors.base import JsonValue, Options

OptionsT = TypeVar("OptionsT", bound=Options)


class InvalidOptions(ValueError):
    """The options of a task do not fit its kind; the message names every wrong one."""


def parse_options(model: type[OptionsT], raw_options: Mapping[str, JsonValue]) -> OptionsT:
    """Return the options as the kind's model; raises `InvalidOptions`."""
    try:
        # As JSON, like the check when the definition is applied: strict mode takes a list for a tuple only there.
        return model.model_validate_json(json.dumps(dict(raw_options)))
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        for detail in error.errors(include_url=False, include_input=False):
            messages = problems.setdefault(_path(detail, raw_options), [])
            if (message := _message(detail)) not in messages:
                messages.append(message)
        raise InvalidOptions("; ".join(f"{path}: {' or '.join(found)}" for path, found in problems.items())) from error


def _path(detail: ErrorDetails, raw_options: Mapping[str, JsonValue]) -> str:
    """Write where the problem is, without the members of a union, which pydantic adds and nobody wrote."""
    path = "with"
    value: JsonValue = raw_options
    for part in detail["loc"]:
        is_there = (isinstance(value, Mapping) and part in value) or (isinstance(value, list) and isinstance(part, int))
        if not is_there and detail["type"] != "missing":
            break
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
        value = value[part] if is_there else None
    return path


def _message(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "there is no such option"
        case "missing":
            return "is required"
    return detail["msg"].removeprefix("Value error, ")
