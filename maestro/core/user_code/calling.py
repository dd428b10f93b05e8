"""One call of a user's function with JSON values: the same on a worker and in a local run."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from maestro.core.user_code.typed_function import (
    JsonValue,
    NotJson,
    TypedFunction,
    UnusableSignature,
    to_json,
)


class CallRefused(Exception):
    """The function cannot be called as the task says, or its value not be kept; trying again cannot help."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """Stable snake_case code of the task's error."""
        self.message = message
        """For the person who reads it."""


def call_function(path: str, function: Callable[..., object], arguments: Mapping[str, JsonValue]) -> JsonValue:
    """Call the function of that path, an `async` one to its end, and return its value.

    A typed function takes and returns what its annotations say. Raises `CallRefused`, and whatever the function raises.
    """
    read = read_arguments(path, function, arguments)
    value = wait_for(function(**read))
    if not isinstance(function, TypedFunction):
        return value
    try:
        return to_json(value)
    except NotJson as error:
        raise CallRefused("output_not_json", f"What {path}() returned: {error}.") from error


def wait_for(value: object) -> object:
    """Return what the call of an `async` function comes to, any other value as it is."""
    return asyncio.run(value) if inspect.iscoroutine(value) else value


def read_arguments(path: str, function: Callable[..., object], arguments: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Return the arguments as the function takes them. Raises `CallRefused`."""
    try:
        if isinstance(function, TypedFunction):
            return function.read_arguments(arguments)
        inspect.signature(function).bind(**arguments)
    except UnusableSignature as error:
        raise CallRefused("unusable_signature", f"with.function: {path}(): {error}.") from error
    except TypeError as error:  # InvalidArguments too
        raise CallRefused("invalid_arguments", f"with.args: {path}() does not take them: {error}.") from error
    return dict(arguments)
