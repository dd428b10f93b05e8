"""Versions as the engine uses them, kept per process. A version never changes, so neither does what is kept of it."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.rows import tuple_row

from maestro.core import sql
from workflows.compiler import plan as plans
from workflows.compiler.plan import ExecutionPlan
from workflows.definition.expressions import Condition, Template, compile_condition, compile_template
from workflows.definition.retry import RetrySpec
from workflows.definition.sections import HOOKS, Section
from workflows.definition.spec import TaskSpec, WorkflowDefinition

# Versions a process keeps. A version of 20,000 tasks takes about 30 MB, a usual one some kilobytes.
MAX_VERSIONS = 64

_READ_VERSION = "SELECT definition, plan, plan_version FROM workflow_versions WHERE id = %(version_id)s"


class CompiledVersion:
    """A definition, its plan and, compiled when first needed, its expressions."""

    def __init__(self, definition: WorkflowDefinition, plan: ExecutionPlan) -> None:
        self.definition = definition
        self.plan = plan
        self.positions = plan.positions()
        self._retries: dict[str, RetrySpec | None] = {}
        self._options: dict[str, Template] = {}
        self._conditions: dict[str, Condition | None] = {}

    def task(self, task_key: str) -> TaskSpec:
        """Return the specification of a task."""
        return self.definition.all_tasks[task_key]

    def section(self, task_key: str) -> Section:
        """Return which part of the definition a task stands in."""
        return Section(self.plan.tasks[self.positions[task_key]].section)

    def retry(self, task_key: str) -> RetrySpec | None:
        """Return how a task is tried again, the workflow's defaults included; None when it is not."""
        if task_key not in self._retries:
            self._retries[task_key] = self.definition.retry_of(task_key)
        return self._retries[task_key]

    def options(self, task_key: str) -> Template:
        """Return the compiled `with:` of a task."""
        if task_key not in self._options:
            path = (self.section(task_key), task_key, "with")
            self._options[task_key] = compile_template(dict(self.task(task_key).options), path)
        return self._options[task_key]

    def condition(self, task_key: str) -> Condition | None:
        """Return the compiled `if:` of a task, None where it has none."""
        if task_key not in self._conditions:
            text = self.task(task_key).condition
            path = (self.section(task_key), task_key, "if")
            self._conditions[task_key] = None if text is None else compile_condition(text, path)
        return self._conditions[task_key]

    @functools.cached_property
    def outputs(self) -> Template:
        """The compiled `outputs:` of the workflow."""
        return compile_template(dict(self.definition.outputs), ("outputs",))

    @functools.cached_property
    def output_references(self) -> list[str]:
        """Keys of the tasks that `outputs:` names."""
        return referenced_tasks(self.outputs)


def referenced_tasks(*expressions: Template | Condition | None) -> list[str]:
    """Return the keys of the tasks that expressions name."""
    return sorted(
        {
            reference.name
            for expression in expressions
            if expression is not None
            for reference in expression.references
            if reference.root == "tasks" and reference.name is not None
        }
    )


def compile_definition(definition: WorkflowDefinition) -> ExecutionPlan:
    """Plan a validated definition."""
    tasks = definition.all_tasks
    timeouts = {key: definition.timeout_of(key) for key in tasks}
    return plans.make_plan(
        {key: (task.uses, task.run_if, task.needs) for key, task in tasks.items()},
        limits={key: timeout.model_dump(exclude_none=True) for key, timeout in timeouts.items() if timeout is not None},
        continuing={key for key in tasks if definition.continues_on_error(key)},
        hooks={key: section for section in HOOKS for key in definition.sections.get(section, ())},
    )


_versions: OrderedDict[UUID, CompiledVersion] = OrderedDict()
_lock = threading.Lock()


def get_version(connection: sql.Connection, version_id: UUID) -> CompiledVersion:
    """Return a version, from this process's memory or the database."""
    with _lock:
        if version_id in _versions:
            _versions.move_to_end(version_id)
            return _versions[version_id]
    with sql.cursor(connection, tuple_row) as cursor:
        row = cursor.execute(_READ_VERSION, {"version_id": version_id}).fetchone()
    if row is None:
        raise LookupError(f"workflow version {version_id} does not exist")
    version = _compiled(*row)
    with _lock:
        _versions[version_id] = version
        if len(_versions) > MAX_VERSIONS:
            _versions.popitem(last=False)
    return version


def _compiled(definition: Mapping[str, Any], plan: Mapping[str, Any], plan_version: int) -> CompiledVersion:
    parsed = WorkflowDefinition.model_validate(definition)
    planned = plans.plan_from_json(plan) if plan_version == plans.PLAN_VERSION else compile_definition(parsed)
    return CompiledVersion(parsed, planned)
