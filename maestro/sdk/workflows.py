"""`@workflow`: a function that draws a graph of tasks, and the definition it comes to."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, overload

from maestro.sdk.building import (
    Building,
    Timeout,
    building,
    check_priority,
    check_retry,
    check_run_timeout,
    check_timeout,
    current_building,
)
from maestro.sdk.errors import DefinitionError
from maestro.sdk.inputs import input_schemas
from maestro.sdk.references import Reference, as_template
from workflows.definition.document import Document
from workflows.definition.problems import DefinitionInvalid
from workflows.definition.values import JsonValue

SCHEMA_VERSION = 1


class Workflow:
    """A workflow written as a function."""

    def __init__(
        self,
        function: Callable[..., object],
        *,
        name: str,
        description: str | None,
        retry: Mapping[str, JsonValue] | None = None,
        timeout: str | float | None = None,
        task_timeout: Timeout | None = None,
        priority: str | None = None,
    ) -> None:
        self.function = function
        """The function that draws the graph."""
        self.name = name
        """Name of the workflow."""
        self.description = description
        """What it is for."""
        self.retry = check_retry(retry)
        """How often and when its tasks are tried again that do not say otherwise."""
        self.timeout = check_run_timeout(timeout)
        """How long a run may take."""
        self.task_timeout = check_timeout(task_timeout, name="task_timeout")
        """How long its tasks may take that do not say otherwise."""
        self.priority = check_priority(priority)
        """Whose tasks workers take first."""

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a workflow is run by Maestro, or in a test by `run_locally`."""
        if current_building() is not None:
            raise DefinitionError(
                f"workflow {self.name!r} is called inside another one, which is not supported yet; call its tasks"
            )
        raise DefinitionError(
            f"workflow {self.name!r} cannot be called: run it by `maestro run FILE`, or in a test by run_locally()"
        )

    def definition(self) -> dict[str, JsonValue]:
        """Return the definition, the same document as one written in YAML. Raises DefinitionError."""
        return self.draw()[0]

    def draw(self) -> tuple[dict[str, JsonValue], Building]:
        """Return the definition and what it was made of. Raises DefinitionError."""
        inputs = input_schemas(self.function)
        with building() as made:
            returned = self.function(**{name: Reference(f"inputs.{name}") for name in inputs})
        if not made.tasks:
            raise DefinitionError(f"workflow {self.name!r} has no tasks: its function calls none")
        defaults = {"retry": self.retry, "timeout": self.task_timeout}
        parts: dict[str, JsonValue] = {
            "description": self.description,
            "inputs": inputs,
            "timeout": self.timeout,
            "priority": self.priority,
            "defaults": {key: value for key, value in defaults.items() if value is not None},
            **{section.value: tasks for section, tasks in made.sections.items()},
            "outputs": _outputs(returned),
        }
        written = {key: value for key, value in parts.items() if value}
        definition = {"schema_version": SCHEMA_VERSION, "name": self.name, **written}
        try:
            Document.of(definition)
        except DefinitionInvalid as error:
            raise DefinitionError(str(error)) from error
        return definition, made


@overload
def workflow(
    function: Callable[..., object],
    *,
    name: str | None = None,
    description: str | None = None,
    retry: Mapping[str, JsonValue] | None = None,
    timeout: str | float | None = None,
    task_timeout: Timeout | None = None,
    priority: str | None = None,
) -> Workflow: ...


@overload
def workflow(
    *,
    name: str | None = None,
    description: str | None = None,
    retry: Mapping[str, JsonValue] | None = None,
    timeout: str | float | None = None,
    task_timeout: Timeout | None = None,
    priority: str | None = None,
) -> Callable[[Callable[..., object]], Workflow]: ...


def workflow(
    function: Callable[..., object] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    retry: Mapping[str, JsonValue] | None = None,
    timeout: str | float | None = None,
    task_timeout: Timeout | None = None,
    priority: str | None = None,
) -> Workflow | Callable[[Callable[..., object]], Workflow]:
    """Make a function a workflow: its parameters are the inputs, each call of a task is a task, what it returns is the
    output (a dict: one output for each key; anything else: the output `result`).

    The name is by default the function's with `-` for `_`; the description is the first paragraph of its docstring.
    `retry` and `task_timeout` are `retry` and `timeout` of every task which does not say otherwise, with the keys a
    definition has; `timeout` is how long a run may take, and `priority` (`high`, `normal`, `low`) whose tasks workers
    take first.
    """

    def decorate(function: Callable[..., object]) -> Workflow:
        return Workflow(
            function,
            name=function.__name__.replace("_", "-") if name is None else name,
            description=_first_paragraph(function) if description is None else description,
            retry=retry,
            timeout=timeout,
            task_timeout=task_timeout,
            priority=priority,
        )

    return decorate if function is None else decorate(function)


def _first_paragraph(function: Callable[..., object]) -> str | None:
    paragraph = re.split(r"\n\s*\n", inspect.getdoc(function) or "")[0]
    return " ".join(paragraph.split()) or None


def _outputs(returned: object) -> dict[str, JsonValue]:
    if returned is None:
        return {}
    named: Mapping[Any, object] = returned if isinstance(returned, dict) else {"result": returned}
    return {str(name): as_template(value) for name, value in named.items()}
