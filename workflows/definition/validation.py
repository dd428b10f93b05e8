"""A document to a workflow definition: runs every check and tells all problems at once. The checks are elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from pydantic import BaseModel, ValidationError

from workflows.definition.awaited import check_approvers, check_awaited
from workflows.definition.document import Document
from workflows.definition.expressions import Embedded, compile_condition, compile_right_parts
from workflows.definition.graph import TaskGraph, check_needs
from workflows.definition.input_schema import check_output_schema, check_schema
from workflows.definition.limits import TaskTimeout
from workflows.definition.model_problems import UNKNOWN_KEY, read_errors
from workflows.definition.options import Kinds, check_kind, check_options, option_names
from workflows.definition.problems import DefinitionInvalid, Problem, suggestion
from workflows.definition.references import check_references
from workflows.definition.retry import RetrySpec
from workflows.definition.sections import HOOKS, Section
from workflows.definition.spec import (
    MAX_TASKS,
    UNSUPPORTED_TASK_KEYS,
    UNSUPPORTED_WORKFLOW_KEYS,
    RunIf,
    TaskDefaults,
    TaskSpec,
    WorkflowDefinition,
)
from workflows.definition.values import JsonValue

_Mapping: TypeAlias = Mapping[str, JsonValue]

_TASK = "a task"
_STOP = "stop"
_SECTIONS = frozenset(Section)
_EARLY_JOINS = frozenset({RunIf.ANY_SUCCEEDED, RunIf.ANY_FAILED})


def validate(document: Document, *, kinds: Kinds) -> WorkflowDefinition:
    """Return the definition a document holds. Raises DefinitionInvalid with every problem, placed in the text."""
    if document.value is None:
        message = "is empty; a definition has at least `schema_version: 1`, a `name` and `tasks`"
        raise DefinitionInvalid([Problem(code="empty", path=(), message=message)])
    definition: WorkflowDefinition | None = None
    problems: list[Problem] = []
    try:
        definition = WorkflowDefinition.model_validate(document.value)
    except ValidationError as error:
        findings = read_errors(error, document.value)
        problems += [_spec_problem(finding.problem, document.value, kinds) for finding in findings]
    problems += _check_content(document.value, kinds)
    if definition is None or problems:
        raise DefinitionInvalid(problem.at(document.position(problem.path)) for problem in problems)
    return definition


def _spec_problem(problem: Problem, value: JsonValue, kinds: Kinds) -> Problem:
    """Say more about a key that is not known: it comes later, it belongs elsewhere, or it is misspelt."""
    if problem.code != UNKNOWN_KEY:
        return problem
    *parents, key = problem.path
    name = str(key)
    owner, known, unsupported = _keys_at(parents)
    if name in unsupported:
        return Problem(code="not_supported_yet", path=problem.path, message=f"`{name}` is not supported yet")
    task = _mapping(_mapping(_mapping(value).get(str(parents[0]))).get(str(parents[-1]))) if owner == _TASK else {}
    model = kinds.get(str(task.get("uses")))
    if model is not None and name in option_names(model):
        hint = "; options of the kind stand under `with`"
    else:
        hint = suggestion(name, known | unsupported)
    return Problem(code=UNKNOWN_KEY, path=problem.path, message=f'"{name}" is not a key of {owner}{hint}')


def _keys_at(path: list[str | int]) -> tuple[str, frozenset[str], frozenset[str]]:
    """Return whose keys stand at a path, which it has, and which it will have."""
    if not path:
        return "a workflow", _keys_of(WorkflowDefinition), UNSUPPORTED_WORKFLOW_KEYS
    if len(path) == 2 and path[0] in _SECTIONS:
        return _TASK, _keys_of(TaskSpec), UNSUPPORTED_TASK_KEYS
    if path[-1] == "retry":
        return "`retry`", _keys_of(RetrySpec), frozenset()
    if path[-1] == "timeout":
        return "`timeout`", _keys_of(TaskTimeout), frozenset()
    return "`defaults`", _keys_of(TaskDefaults), UNSUPPORTED_TASK_KEYS


@functools.cache
def _keys_of(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def _check_content(value: JsonValue, kinds: Kinds) -> list[Problem]:
    """Check what types do not tell, in all of the document that can be read at all."""
    root = _mapping(value)
    inputs, outputs = _mapping(root.get("inputs")), _mapping(root.get("outputs"))
    sections = {section: _tasks_of(root, section) for section in Section}
    tasks = sections[Section.TASKS]
    if len(tasks) > MAX_TASKS:
        return []
    problems = [
        problem
        for name, schema in inputs.items()
        if isinstance(schema, dict)
        for problem in check_schema(schema, ("inputs", name))
    ]
    problems += _check_keys(sections)
    problems += check_awaited(sections)
    in_outputs = compile_right_parts(outputs, ("outputs",), problems).expressions
    for section, members in sections.items():
        for key, task in members.items():
            problems += _check_task((section, key), task, kinds)
        in_tasks = {key: _compile_task((section, key), task, problems) for key, task in members.items()}
        for key, expressions in in_tasks.items():
            problems += check_approvers(members[key], expressions, inputs)
        graph = TaskGraph.of({key: _list(task.get("needs")) for key, task in members.items()}, section)
        problems += check_needs(graph)
        problems += check_references(
            graph,
            in_tasks=in_tasks,
            in_outputs=in_outputs if section is Section.TASKS else (),
            inputs=inputs,
            ended=() if section is Section.TASKS else tasks,
        )
    return problems


def _tasks_of(root: _Mapping, section: Section) -> dict[str, _Mapping]:
    return {key: task for key, task in _mapping(root.get(section)).items() if isinstance(task, dict)}


def _check_keys(sections: Mapping[Section, Mapping[str, _Mapping]]) -> Iterator[Problem]:
    """Yield a problem for every task key that an earlier section has too."""
    places: dict[str, Section] = {}
    for section, tasks in sections.items():
        for key in tasks:
            first = places.setdefault(key, section)
            if first is not section:
                message = f'there is a task "{key}" in `{first}` already; the key of a task is unique in its workflow'
                yield Problem(code="duplicate_task", path=(section, key), message=message)


def _check_task(path: tuple[Section, str], task: _Mapping, kinds: Kinds) -> Iterator[Problem]:
    kind, options = task.get("uses"), task.get("with", {})
    if kind == _STOP and path[0] in HOOKS:
        message = "ends a run early, and hooks run when its end is decided; leave it out"
        yield Problem(code="not_allowed", path=(*path, "uses"), message=message)
    if isinstance(kind, str):
        yield from check_kind(kind, kinds, (*path, "uses"))
        if kind in kinds and isinstance(options, dict):
            yield from check_options(options, kind, kinds[kind], (*path, "with"))
    if isinstance(task.get("output"), dict):
        yield from check_output_schema(task["output"], (*path, "output"))
    if not task.get("needs") and task.get("run_if") in _EARLY_JOINS:
        message = f"a task without needs never runs if {task['run_if']}; add needs or leave run_if out"
        yield Problem(code="never_runs", path=(*path, "run_if"), message=message)


def _compile_task(path: tuple[Section, str], task: _Mapping, problems: list[Problem]) -> list[Embedded]:
    expressions = list(compile_right_parts(task.get("with"), (*path, "with"), problems).expressions)
    if isinstance(task.get("if"), str):
        try:
            expressions += compile_condition(task["if"], (*path, "if")).expressions
        except DefinitionInvalid as error:
            problems += error.problems
    return expressions


def _mapping(value: JsonValue) -> _Mapping:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
