"""The definition while its workflow function runs: each call of a task adds one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from maestro.sdk.errors import DefinitionError, check_name
from maestro.sdk.references import Reference, as_template, text_of
from workflows.definition.expressions import compile_right_parts
from workflows.definition.limits import Limit
from workflows.definition.model_problems import read_errors
from workflows.definition.priority import Priority
from workflows.definition.problems import Problem, suggestion
from workflows.definition.sections import Section
from workflows.definition.spec import OnWorkerLost, RunIf, TaskDefaults
from workflows.definition.values import JsonValue

Timeout: TypeAlias = str | float | Mapping[str, str | float]
"""How long each attempt may take (`"20s"`, or seconds), or several limits by the names that a definition has."""


class _RunTimeout(BaseModel):
    timeout: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a definition says about a task beside its kind and options."""

    key: str | None = None
    """Its key; by default the name of the function or kind, numbered from the second on."""
    after: tuple[object, ...] = ()
    """Tasks it waits for without reading them."""
    run_if: str | None = None
    """How its needs must have ended."""
    condition: Reference | str | None = None
    """Its `if:`."""
    on_worker_lost: str | None = None
    """What happens when its worker is lost."""
    retry: Mapping[str, JsonValue] | None = None
    """How often and when it is tried again."""
    timeout: JsonValue = None
    """How long it may take."""
    continue_on_error: bool | None = None
    """Whether it may fail without failing the run."""
    output: Mapping[str, JsonValue] | None = None
    """What its output must be."""
    description: str | None = None
    """What it is for."""


def make_settings(
    *,
    key: str | None = None,
    after: object = (),
    run_if: str | None = None,
    if_: Reference | str | None = None,
    on_worker_lost: str | None = None,
    retry: Mapping[str, JsonValue] | None = None,
    timeout: Timeout | None = None,
    continue_on_error: bool | None = None,
    output: Mapping[str, JsonValue] | None = None,
    description: str | None = None,
) -> Settings:
    """Check the keywords that every task takes. Raises DefinitionError."""
    _check_choice("run_if", run_if, RunIf)
    _check_choice("on_worker_lost", on_worker_lost, OnWorkerLost)
    if if_ is not None and not isinstance(if_, (Reference, str)):
        raise DefinitionError(
            f"if_ is a comparison of references such as `rows.count > 0`, not {if_!r}, which Python knows already"
        )
    tasks = tuple(after) if isinstance(after, (list, tuple)) else (after,)
    return Settings(
        key=key,
        after=tasks,
        run_if=run_if,
        condition=if_,
        retry=check_retry(retry),
        timeout=check_timeout(timeout),
        continue_on_error=continue_on_error,
        output=output,
        on_worker_lost=on_worker_lost,
        description=description,
    )


def check_retry(given: Mapping[str, JsonValue] | None) -> dict[str, JsonValue] | None:
    """Return `retry=` as a definition has it. Raises DefinitionError."""
    if given is None:
        return None
    _check("retry", given, TaskDefaults, "retry")
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def check_timeout(given: Timeout | None, *, name: str = "timeout") -> JsonValue:
    """Return how long tasks may take as a definition has it, given by this keyword. Raises DefinitionError."""
    if given is None:
        return None
    _check(name, given, TaskDefaults, "timeout")
    return dict(given) if isinstance(given, Mapping) else given


def check_run_timeout(given: str | float | None) -> JsonValue:
    """Return how long a run may take as a definition has it. Raises DefinitionError."""
    if isinstance(given, Mapping):
        raise DefinitionError(f"timeout={given!r}: is how long a run may take; limits of tasks are its task_timeout")
    if given is not None:
        _check("timeout", given, _RunTimeout, "timeout")
    return given


class Building:
    """One definition in the making."""

    def __init__(self) -> None:
        self.sections: dict[Section, dict[str, dict[str, JsonValue]]] = {section: {} for section in Section}
        self.section = Section.TASKS
        """Where calls of tasks add theirs."""
        self.callables: dict[str, Any] = {}
        """The decorated function behind each task that has one."""

    @property
    def tasks(self) -> dict[str, dict[str, JsonValue]]:
        """The tasks of the section that is being drawn."""
        return self.sections[self.section]

    def add(self, kind: str, options: Mapping[str, object], settings: Settings, *, default_key: str) -> Reference:
        """Add a task and return the reference to its output. Raises DefinitionError."""
        key = self._key(settings.key, default_key)
        template = {name: as_template(value) for name, value in options.items()}
        task: dict[str, JsonValue] = {"uses": kind}
        if template:
            task["with"] = template
        condition = settings.condition
        written = str(condition) if condition is not None else None
        needs = dict.fromkeys(
            (*_tasks_read(template), *_tasks_read(written), *(_only_task(each) for each in settings.after))
        )
        # Hooks run when all tasks have ended, so they need none of them.
        needed = [need for need in needs if need in self.tasks or self.section is Section.TASKS]
        if needed:
            task["needs"] = needed
        more = {
            "run_if": settings.run_if,
            "if": written,
            "on_worker_lost": settings.on_worker_lost,
            "description": settings.description,
        }
        task |= {name: str(value) for name, value in more.items() if value is not None}
        if settings.retry is not None:
            task["retry"] = settings.retry
        if settings.timeout is not None:
            task["timeout"] = settings.timeout
        if settings.continue_on_error is not None:
            task["continue_on_error"] = settings.continue_on_error
        if settings.output is not None:
            task["output"] = dict(settings.output)
        self.tasks[key] = task
        return Reference(f"tasks.{key}.output")

    def _key(self, wanted: str | None, default: str) -> str:
        check_name(default if wanted is None else wanted, "its key (say another by key=)")
        taken = {key for tasks in self.sections.values() for key in tasks}
        if wanted is not None:
            if wanted in taken:
                raise DefinitionError(f"two tasks have the key {wanted!r}; give one of them another `key=`")
            return wanted
        number = 1
        while (key := default if number == 1 else f"{default}_{number}") in taken:
            number += 1
        return key


_current: ContextVar[Building | None] = ContextVar("maestro_building", default=None)


def current_building() -> Building | None:
    """Return the definition that is being made, None outside of a workflow function."""
    return _current.get()


def require_building(what: str) -> Building:
    """Return the definition that is being made; raises DefinitionError outside of a workflow function."""
    building = _current.get()
    if building is None:
        raise DefinitionError(f"{what} adds a task to a workflow: call it inside a function decorated by @workflow")
    return building


@contextmanager
def building() -> Iterator[Building]:
    """Collect the tasks that calls inside add."""
    fresh = Building()
    token = _current.set(fresh)
    try:
        yield fresh
    finally:
        _current.reset(token)


@contextmanager
def drawing_section(section: Section) -> Iterator[None]:
    """Collect the tasks that calls inside add into a section. Raises DefinitionError."""
    current = require_building(f"{section}()")
    if current.section is not Section.TASKS:
        raise DefinitionError(f"{section}() stands inside {current.section}(); hooks have no hooks")
    current.section = section
    try:
        yield
    finally:
        current.section = Section.TASKS


def check_priority(given: str | None) -> str | None:
    """Return whose tasks workers take first as a definition has it. Raises DefinitionError."""
    _check_choice("priority", given, Priority)
    return given


def _check(keyword: str, given: object, model: type[BaseModel], field: str) -> None:
    """Check a keyword's value as the model does its field. Raises DefinitionError."""
    value: JsonValue = {field: dict(given) if isinstance(given, Mapping) else given}
    try:
        model.model_validate(value)
    except ValidationError as error:
        first = next(read_errors(error, value)).problem
        where = "".join(f"{part}: " for part in first.path[1:])
        raise DefinitionError(f"{keyword}={given!r}: {where}{first.message}") from error


def _check_choice(name: str, value: str | None, choices: type[StrEnum]) -> None:
    known = [choice.value for choice in choices]
    if value is not None and value not in known:
        raise DefinitionError(f"{name} is one of {', '.join(known)}, not {value!r}{suggestion(str(value), known)}")


def _tasks_read(value: JsonValue) -> Iterable[str]:
    """Return the tasks that expressions read, in order; what cannot be compiled is told by the validation."""
    ignored: list[Problem] = []
    for embedded in compile_right_parts(value, (), ignored).expressions:
        names = {reference.name for reference in embedded.expression.references if reference.root == "tasks"}
        yield from sorted(name for name in names if name is not None)


def _only_task(value: object) -> str:
    names = list(_tasks_read(str(value))) if isinstance(value, Reference) else []
    if len(names) != 1:
        shown = text_of(value) if isinstance(value, Reference) else repr(value)
        raise DefinitionError(f"after= takes what calls of tasks returned, one or a list, not {shown}")
    return names[0]
