"""`@task`: a function that becomes a task of the kind `python` where a workflow function calls it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar, cast

from maestro.core.user_code.typed_function import InvalidArguments, TypedFunction, UnusableSignature
from maestro.sdk.building import Building, Settings, Timeout, current_building, make_settings
from maestro.sdk.errors import DefinitionError
from maestro.sdk.references import Reference, as_template
from workflows.definition.expressions import has_expression
from workflows.definition.values import JsonValue

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


class Task(TypedFunction[Parameters, Returned]):
    """A function that is a task inside a workflow function, and itself everywhere else."""

    settings = Settings()
    """What the definition says about it beside its kind and options."""

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        """Add the task to the workflow that is being drawn and return a reference to its output; else call it."""
        building = current_building()
        if building is None:
            return super().__call__(*args, **kwargs)
        return cast("Returned", self._add(building, args, kwargs))

    def set(
        self,
        *,
        key: str | None = None,
        after: object = (),
        run_if: str | None = None,
        if_: object = None,
        on_worker_lost: str | None = None,
        retry: Mapping[str, JsonValue] | None = None,
        timeout: Timeout | None = None,
        continue_on_error: bool | None = None,
        output: Mapping[str, JsonValue] | None = None,
        description: str | None = None,
    ) -> Task[Parameters, Returned]:
        """Return the same task with more said about it: `report.set(after=[loaded], if_=rows.count > 0)(rows)`.

        `key` names it, `after` waits for tasks without reading them, `run_if` and `if_` say when it runs, `retry`
        how often and when it is tried again, with the keys a definition has (`{"max_attempts": 5, "delay": "2s"}`),
        `timeout` how long it may take (`"20s"` for each attempt, or `{"attempt": "20s", "total": "5m"}`), `output`
        is the JSON Schema that its output must satisfy, `continue_on_error=True` says that it may fail, and
        `on_worker_lost="fail"` that it must not run twice.
        """
        changed = Task(self.function)
        changed.settings = make_settings(
            key=key,
            after=after,
            run_if=run_if,
            if_=cast("Reference | str | None", if_),
            on_worker_lost=on_worker_lost,
            retry=retry,
            timeout=timeout,
            continue_on_error=continue_on_error,
            output=output,
            description=description,
        )
        return changed

    @functools.cached_property
    def path(self) -> str:
        """Where the worker finds the function: `package.module.function`. Raises DefinitionError."""
        module, name = self.function.__module__, self.function.__qualname__
        found = getattr(sys.modules.get(module), name, None)
        if not (isinstance(found, Task) and found.function is self.function):
            raise DefinitionError(
                f"a worker would not find it as {module}.{name}. Decorate a function by @task where it is defined, "
                "at the top level of a module."
            )
        return f"{module}.{name}"

    def _add(self, building: Building, args: tuple[object, ...], kwargs: dict[str, object]) -> Reference:
        name = self.function.__name__
        try:
            arguments = self._arguments(args, kwargs)
            options: dict[str, object] = {"function": self.path, **({"args": arguments} if arguments else {})}
            reference = building.add("python", options, self.settings, default_key=name)
        except (InvalidArguments, UnusableSignature, DefinitionError) as error:
            raise DefinitionError(f"task {name}: {error}") from error
        building.callables[next(reversed(building.tasks))] = self
        return reference

    def _arguments(self, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, JsonValue]:
        """Return what the call gives, by name; what is known already is checked already."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(str(error)) from error
        given: dict[str, object] = {}
        for name, value in bound.arguments.items():
            is_rest = self.signature.parameters[name].kind is self.signature.parameters[name].VAR_KEYWORD
            given |= value if is_rest else {name: value}
        arguments = {name: as_template(value) for name, value in given.items()}
        self.convert({name: value for name, value in arguments.items() if not has_expression(value)})
        return arguments


def task(function: Callable[Parameters, Returned]) -> Task[Parameters, Returned]:
    """Make a function a task. Called in a workflow function it is a task of the kind `python`; elsewhere, itself.

    On the worker its arguments become what their annotations say (dates, dataclasses, pydantic models, …), and what it
    returns becomes JSON.
    """
    if not callable(function) or isinstance(function, (type, TypedFunction)):
        raise DefinitionError(f"@task decorates a function, without parentheses, not {function!r}")
    return Task(function)
