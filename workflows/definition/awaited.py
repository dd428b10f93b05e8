"""What tasks take from outside while they wait: the payloads of signals and the forms of approvals, by JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from workflows.definition.canonical import canonical_json
from workflows.definition.expressions import Embedded, has_expression, show_expression
from workflows.definition.input_schema import check_against, check_output_schema, check_schema, complete
from workflows.definition.inputs import MAX_INPUTS_BYTES
from workflows.definition.problems import Path, Problem, suggestion
from workflows.definition.secrets import marks_secret
from workflows.definition.sections import Section
from workflows.definition.spec import WorkflowDefinition
from workflows.definition.values import JsonValue, check_value

SIGNAL = "signal"
APPROVAL = "approval"

# The options of an approval that say who may decide, whose paths are `tasks.KEY.with.approvers…`.
_APPROVERS = frozenset({"approvers", "escalate"})
_Mapping: TypeAlias = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitedSignal:
    """A signal that tasks of a workflow wait for."""

    schema: _Mapping
    """JSON Schema of its payload; an empty one takes anything."""
    task_keys: tuple[str, ...]
    """The tasks that wait for it."""
    contracts: tuple[_Mapping, ...]
    """What the output of each of them must satisfy, which the payload becomes; an empty one takes anything."""


def awaited_signals(definition: WorkflowDefinition) -> dict[str, AwaitedSignal]:
    """Return the signals that a workflow waits for, by name, in the order of its tasks."""
    found: dict[str, AwaitedSignal] = {}
    for key, task in definition.all_tasks.items():
        if task.uses == SIGNAL:
            name = signal_name(key, task.options)
            earlier = found.get(name)
            found[name] = AwaitedSignal(
                schema=task.options.get("schema") or {},
                task_keys=(*(earlier.task_keys if earlier else ()), key),
                contracts=(*(earlier.contracts if earlier else ()), task.output or {}),
            )
    return found


def signal_name(task_key: str, options: _Mapping) -> str:
    """Return the name of the signal that a task waits for."""
    return str(options.get("name") or task_key)


def form_of(options: _Mapping) -> dict[str, dict[str, JsonValue]]:
    """Return the form of an approval, name to JSON Schema, from the options of its task."""
    form: dict[str, dict[str, JsonValue]] = options.get("form") or {}
    return form


def resolve_payload(awaited: AwaitedSignal, payload: JsonValue) -> tuple[JsonValue, list[Problem]]:
    """Return the payload of a signal with what its schema adds, and every way in which it cannot be taken.

    What would break the contract of each task that waits for it cannot be taken either: it would be used up.
    """
    path: Path = ("payload",)
    if problems := _check_size(payload, path):
        return payload, problems
    value = complete(awaited.schema, payload)
    # With its defaults it may be too large, and has no more than any output.
    if problems := check_against(awaited.schema, value, path) or _check_size(value, path):
        return value, problems
    return value, min((check_against(contract, value, path) for contract in awaited.contracts), key=len)


def resolve_form(
    form: Mapping[str, _Mapping], answers: _Mapping, *, is_whole: bool
) -> tuple[dict[str, JsonValue], list[Problem]]:
    """Return the answers of a form in its order, and every way in which they cannot be taken.

    `is_whole` says that what has no default has to be answered, and fills in the defaults of the rest.
    """
    path: Path = ("form",)
    if problems := _check_size(answers, path):
        return {}, problems
    problems = [
        Problem(code="unknown_key", path=(*path, name), message=f"is not in the form{suggestion(name, form)}")
        for name in answers
        if name not in form
    ]
    resolved: dict[str, JsonValue] = {}
    for name, schema in form.items():
        if name in answers:
            resolved[name] = complete(schema, answers[name])
            problems += check_against(schema, resolved[name], (*path, name))
        elif is_whole and "default" in schema:
            resolved[name] = complete(schema, schema["default"])
        elif is_whole:
            problems.append(Problem(code="missing_key", path=(*path, name), message="is required; it has no default"))
    return resolved, problems or check_value(resolved, path)


def check_awaited(sections: Mapping[Section, Mapping[str, _Mapping]]) -> list[Problem]:
    """Return what is wrong with the schemas of signals and forms, in all of the tasks that can be read at all."""
    problems: list[Problem] = []
    first_of_name: dict[str, tuple[str, JsonValue]] = {}
    placed = [(section, key, task) for section, tasks in sections.items() for key, task in tasks.items()]
    for section, key, task in placed:
        options = task.get("with", {})
        if not isinstance(options, dict):
            continue
        path: Path = (section, key, "with")
        if task.get("uses") == SIGNAL:
            problems += _check_signal(options, path, contract=task.get("output"))
            name, schema = signal_name(key, options), options.get("schema") or {}
            first, expected = first_of_name.setdefault(name, (key, schema))
            if schema != expected:
                message = f'the signal "{name}" has another schema in the task "{first}"; give both the same, or names'
                problems.append(Problem(code="schemas_differ", path=(*path, "schema"), message=message))
        elif task.get("uses") == APPROVAL:
            problems += _check_form(options, path)
    return problems


def check_approvers(task: _Mapping, expressions: Iterable[Embedded], inputs: _Mapping) -> Iterator[Problem]:
    """Yield a problem for each secret input that says who may decide: that is kept with the wait, and shown."""
    for embedded in expressions if task.get("uses") == APPROVAL else ():
        if not _APPROVERS.intersection(embedded.path[3:4]):
            continue
        for reference in sorted(embedded.expression.references, key=str):
            read = inputs if reference.name is None else inputs.get(reference.name)
            if reference.root == "inputs" and marks_secret(read):
                shown = show_expression(embedded.expression.text)
                message = "who may decide is kept and shown, and cannot be a secret; read an input without `writeOnly`"
                yield Problem(code="not_allowed", path=embedded.path, message=f"`{shown}`: {message}")


def _check_signal(options: _Mapping, path: Path, *, contract: JsonValue) -> Iterator[Problem]:
    for option in ("name", "schema", "default"):
        if has_expression(options.get(option)):
            yield _evaluated(option, (*path, option))
    schema = options.get("schema") or {}
    if not isinstance(schema, dict) or has_expression(schema):
        return
    problems = list(_check_schema(schema, (*path, "schema")))
    yield from problems
    default = options.get("default")
    if "default" in options and not problems and not has_expression(default):
        payload, at = complete(schema, default), (*path, "default")
        # A contract that is itself wrong is told where it stands.
        is_usable = isinstance(contract, dict) and not check_output_schema(contract, ())
        yield from check_against(schema, payload, at) or (check_against(contract, payload, at) if is_usable else ())


def _check_form(options: _Mapping, path: Path) -> Iterator[Problem]:
    form = options.get("form")
    if has_expression(form):
        yield _evaluated("form", (*path, "form"))
    elif isinstance(form, dict):
        for name, schema in form.items():
            if isinstance(schema, dict):
                yield from _check_schema(schema, (*path, "form", name))
                if options.get("on_deadline") == "approve" and "default" not in schema:
                    message = "needs a `default`: with `on_deadline: approve` it may be approved without an answer"
                    yield Problem(code="missing_key", path=(*path, "form", name), message=message)


def _check_schema(schema: _Mapping, path: Path) -> Iterator[Problem]:
    yield from check_schema(schema, path)
    if marks_secret(schema):
        message = "holds a `writeOnly`, but what comes from outside becomes an output, which people may see"
        yield Problem(code="not_allowed", path=path, message=message)


def _check_size(value: JsonValue, path: Path) -> list[Problem]:
    if problems := check_value(value, path):
        return problems
    size = len(canonical_json(value).encode())
    if size <= MAX_INPUTS_BYTES:
        return []
    message = f"has {size:,} bytes as JSON; at most {MAX_INPUTS_BYTES:,} are allowed"
    return [Problem(code="too_large", path=path, message=message)]


def _evaluated(option: str, path: Path) -> Problem:
    message = f"`{option}` must not hold an expression: what is sent is checked before the task is asked"
    return Problem(code="not_allowed", path=path, message=message)
