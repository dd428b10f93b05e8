"""A function whose arguments come as JSON and become what its annotations say, and whose value goes out as JSON.

`maestro.sdk` makes tasks of it and the kind `python` calls them, so neither needs the other.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, NoReturn, ParamSpec, TypeVar

from pydantic import BaseModel, SecretBytes, SecretStr, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import PydanticSerializationError, to_jsonable_python

JsonValue = Any  # None, bool, int, float, str, list or dict of the same: what JSON can say

_ASTERISKS = str(SecretStr("any"))

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


class InvalidArguments(TypeError):
    """The arguments do not fit the function; the message names each one that does not."""


class UnusableSignature(TypeError):
    """The parameters of the function cannot come as JSON; the message names the first such one."""


class NotJson(TypeError):
    """A value cannot be turned into JSON."""


class TypedFunction(Generic[Parameters, Returned]):
    """Wraps a function; called like the function, it is the function."""

    def __init__(self, function: Callable[Parameters, Returned]) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __reduce__(self) -> str:
        """Pickle as functions are, by name, so that another process may be handed it."""
        return self.function.__qualname__

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The function's parameters, their annotations as types. Raises `UnusableSignature`."""
        return typed_signature(self.function)

    def read_arguments(self, arguments: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Return the arguments as the annotations want them.

        Raises `InvalidArguments` with everything that is wrong, and `UnusableSignature`.
        """
        try:
            self.signature.bind(**arguments)
        except TypeError as error:
            raise InvalidArguments(str(error)) from error
        return self.convert(arguments)

    def convert(self, arguments: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Return some of the arguments as the annotations want them; raises as `read_arguments` does."""
        read: dict[str, Any] = {}
        problems: list[str] = []
        for name, value in arguments.items():
            try:
                read[name] = self._adapters[name].validate_python(value) if name in self._adapters else value
            except ValidationError as error:
                problems += _explain(name, error)
        if problems:
            raise InvalidArguments("; ".join(problems))
        return read

    @functools.cached_property
    def _adapters(self) -> dict[str, TypeAdapter[Any]]:
        return {
            name: type_adapter(name, parameter.annotation)
            for name, parameter in self.signature.parameters.items()
            if parameter.annotation is not parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        }


def typed_signature(function: Callable[..., object]) -> inspect.Signature:
    """Return a function's parameters with types for annotations. Raises `UnusableSignature`."""
    signature = inspect.signature(function)
    try:
        types = typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # an annotation is an expression of the user's
        raise UnusableSignature(f"an annotation cannot be read: {error}") from error
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise UnusableSignature(f"parameter {name!r} has no name to give it by; arguments come by name")
    parameters = [
        parameter.replace(annotation=types.get(name, parameter.empty))
        for name, parameter in signature.parameters.items()
    ]
    return signature.replace(parameters=parameters)


def type_adapter(name: str, annotation: Any) -> TypeAdapter[Any]:
    """Return what reads values for a parameter. Raises `UnusableSignature`."""
    try:
        return TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as error:
        reason = str(error.message).partition(". ")[0].partition("\n")[0]
        raise UnusableSignature(f"the type of parameter {name!r} cannot come as JSON: {reason}") from error


def refuse(value: object) -> NoReturn:
    """Raise `NotJson` about a value."""
    raise NotJson(
        f"{value!r:.100} is of type {type(value).__qualname__}, which JSON cannot say; use text, numbers, lists, "
        "dicts, dates, dataclasses or pydantic models"
    )


def to_json(value: object, other: Callable[[object], JsonValue] = refuse) -> JsonValue:
    """Return a value as JSON: dataclasses and models as mappings, dates as text, sets as lists. Raises `NotJson`.

    `other` is asked about values of types that are none of these.
    """
    try:
        written = to_jsonable_python(value, fallback=other)
    except (PydanticSerializationError, ValueError) as error:
        raise NotJson(str(error)) from error
    # Pydantic writes its asterisks, which would pass for the value.
    if _ASTERISKS in repr(written) and _holds_secret(value):
        raise NotJson("a SecretStr hides its value from JSON too; hand on what its get_secret_value() returns")
    return written


def _holds_secret(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_secret, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_holds_secret, value))
    if isinstance(value, BaseModel):
        return any(map(_holds_secret, vars(value).values()))
    return isinstance(value, (SecretStr, SecretBytes))


def _explain(name: str, error: ValidationError) -> list[str]:
    problems = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in detail["loc"])
        problems.append(f"{name}{steps}: {detail['msg'].removeprefix('Value error, ')}")
    return problems
