"""`run_locally`: a run in this process, without any server, for unit tests of workflows."""

from __future__ import annotations

import datetime
import importlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from maestro.core.user_code import current_task
from maestro.core.user_code.calling import CallRefused, call_function, read_arguments, wait_for
from maestro.core.user_code.current_task import CurrentTask
from maestro.core.user_code.exceptions import TaskFailed, error_code, summarize
from maestro.core.user_code.typed_function import NotJson, to_json
from maestro.sdk.errors import DefinitionError
from maestro.sdk.workflows import Workflow
from workflows.definition.contracts import OUTPUT_REFUSED, find_breach
from workflows.definition.document import Document
from workflows.definition.expressions import ExpressionFailed, compile_condition, compile_template
from workflows.definition.graph import TaskGraph
from workflows.definition.inputs import resolve_inputs
from workflows.definition.joins import Decision, End, decide_join
from workflows.definition.problems import DefinitionInvalid, suggestion
from workflows.definition.retry import RetrySpec
from workflows.definition.sections import Section, next_section
from workflows.definition.spec import TaskSpec, WorkflowDefinition
from workflows.definition.validation import validate
from workflows.definition.values import JsonValue, check_value

CONDITION = "condition"
PYTHON = "python"
SLEEP = "sleep"
STOP = "stop"
PLATFORM_URL = "http://127.0.0.1:3000"
"""What `platform.url` is in a local run: where `maestro up` listens unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTask:
    """How a task of a local run ended."""

    status: Literal["succeeded", "failed", "skipped", "cancelled"]
    """As on the platform; `cancelled` is what had not begun when a `stop` ended the run."""
    reason: str = ""
    """Why it was skipped: `upstream_failed`, `upstream_skipped` or `condition`."""
    output: JsonValue = None
    """What it returned, as JSON."""
    error_code: str = ""
    """Code of its error."""
    error_message: str = ""
    """What went wrong."""
    exception: BaseException | None = None
    """The exception its function raised."""
    attempts: int = 0
    """How often it was tried; 0 when it was skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    """How a local run ended."""

    status: Literal["succeeded", "failed"]
    """As on the platform."""
    outputs: dict[str, JsonValue] | None
    """The outputs of the workflow; None when it failed."""
    error_message: str
    """What went wrong; empty when nothing did."""
    tasks: Mapping[str, LocalTask]
    """Every task by its key, in the order in which they ended."""


class _AnyOptions(BaseModel):
    """The options of a kind: which it has, only the server knows."""

    model_config = ConfigDict(extra="allow")


def run_locally(
    workflow: Workflow, inputs: Mapping[str, object] | None = None, outputs: Mapping[str, object] | None = None
) -> LocalRun:
    """Run a workflow in this process: the tasks one after the other, joins and conditions as on the platform.

    Python tasks are called, and called again as their `retry` says, but at once. Nothing is limited in time, whatever
    `timeout` says, and a `sleep` ends at once. A `stop` ends the run: what comes after it, one after the other, is
    cancelled. Then hooks run, but no hook changes how the run ended.

    `outputs` replaces tasks by their keys: by a value, by an exception to raise, or by a function to call, with the
    arguments of a Python task or the options of another kind as keywords. Tasks of other kinds must be replaced.
    Raises DefinitionError, and InputsInvalid as the server would refuse the inputs.
    """
    if not isinstance(workflow, Workflow):
        raise DefinitionError(f"run_locally() runs a function decorated by @workflow, not {workflow!r}")
    drawn, made = workflow.draw()
    definition = _validated(drawn)
    replacements = dict(outputs or {})
    for key in replacements:
        if key not in definition.all_tasks:
            raise DefinitionError(f"outputs: there is no task {key!r}{suggestion(key, definition.all_tasks)}")
    run = _Run(definition, resolve_inputs(definition.inputs, to_json(inputs or {})), made.callables, replacements)
    for key in _order(definition.tasks):
        run.tasks[key] = LocalTask(status="cancelled") if run.is_stopped else run.end_of(key)
    ended = run.result()
    section = next_section(Section.TASKS, ended.status, definition.sections.keys())
    while section is not None:
        run.tell_hooks(ended)
        for key in _order(definition.sections[section]):
            run.tasks[key] = run.end_of(key)
        section = next_section(section, ended.status, definition.sections.keys())
    return ended


def _order(tasks: Mapping[str, TaskSpec]) -> tuple[str, ...]:
    return TaskGraph.of({key: list(task.needs) for key, task in tasks.items()}).order


def _validated(drawn: dict[str, JsonValue]) -> WorkflowDefinition:
    sections = (drawn.get(section, {}) for section in Section)
    kinds = {str(task["uses"]): _AnyOptions for tasks in sections for task in tasks.values()}
    try:
        return validate(Document.of(drawn), kinds=kinds)
    except DefinitionInvalid as error:
        raise DefinitionError(str(error)) from error


class _Run:
    """A local run that goes on."""

    def __init__(
        self,
        definition: WorkflowDefinition,
        inputs: dict[str, JsonValue],
        callables: Mapping[str, Callable[..., object]],
        replacements: Mapping[str, object],
    ) -> None:
        self.tasks: dict[str, LocalTask] = {}
        self._definition = definition
        self._callables = callables
        self._replacements = replacements
        self._stop: tuple[str, dict[str, JsonValue]] | None = None
        self._id = uuid.uuid4()
        created_at = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
        facts = {"id": str(self._id), "workflow": definition.name, "created_at": created_at}
        self._scope: dict[str, Any] = {"inputs": inputs, "run": facts, "platform": {"url": PLATFORM_URL}, "tasks": {}}

    @property
    def is_stopped(self) -> bool:
        """Tell whether a `stop` has ended the run."""
        return self._stop is not None

    def end_of(self, key: str) -> LocalTask:
        """Return how a task ends, all its needs having ended."""
        task = self._execute(key, self._definition.all_tasks[key])
        self._scope["tasks"][key] = {
            "status": task.status,
            "output": task.output,
            "error_message": task.error_message,
        }
        return task

    def tell_hooks(self, ended: LocalRun) -> None:
        """Let expressions see how the run ended."""
        failed = [
            key
            for key in self._definition.tasks
            if self.tasks[key].status == "failed" and not self._definition.continues_on_error(key)
        ]
        self._scope["run"] |= {
            "status": ended.status,
            "error_message": ended.error_message,
            "failed_tasks": failed,
        }

    def result(self) -> LocalRun:
        """Return how the run ended."""
        if self._stop is not None:
            return self._stopped(*self._stop)
        failed = next(
            (
                key
                for key, task in self.tasks.items()
                if task.status == "failed" and not self._definition.continues_on_error(key)
            ),
            None,
        )
        if failed is not None:
            return self._failed(f"Task {failed} failed: {self.tasks[failed].error_message}")
        try:
            rendered = compile_template(dict(self._definition.outputs), ("outputs",)).render(self._scope)
        except ExpressionFailed as error:
            return self._failed(str(error))
        return LocalRun(status="succeeded", outputs=rendered, error_message="", tasks=self.tasks)

    def _stopped(self, key: str, options: Mapping[str, Any]) -> LocalRun:
        message = options.get("message", "")
        if options.get("status") == "failed":
            return self._failed(message or f"Task {key} stopped the run.")
        outputs = dict(options.get("outputs", {}))
        return LocalRun(status="succeeded", outputs=outputs, error_message=message, tasks=self.tasks)

    def _end(self, key: str) -> End:
        """Return how a task ended, as joins count it."""
        task = self.tasks[key]
        if task.status == "skipped":
            return End.FAILED if task.reason == Decision.UPSTREAM_FAILED else End.SKIPPED
        return End.SUCCEEDED if self._definition.continues_on_error(key) else End(task.status)

    def _failed(self, message: str) -> LocalRun:
        return LocalRun(status="failed", outputs=None, error_message=message, tasks=self.tasks)

    def _execute(self, key: str, task: TaskSpec) -> LocalTask:
        decision = decide_join(task.run_if, [self._end(need) for need in task.needs])
        if decision is not Decision.RUN:
            return LocalTask(status="skipped", reason=str(decision))
        path = (self._section(key), key)
        try:
            if task.condition is not None and not compile_condition(task.condition, (*path, "if")).is_met(self._scope):
                return LocalTask(status="skipped", reason=CONDITION)
            options = compile_template(dict(task.options), (*path, "with")).render(self._scope)
        except ExpressionFailed as error:
            return LocalTask(status="failed", error_code="expression_failed", error_message=str(error))
        rule = self._definition.retry_of(key) or RetrySpec(max_attempts=1)
        action = self._action(key, task.uses, options)
        for attempt in range(1, rule.max_attempts + 1):
            ended = replace(self._attempt(key, action, attempt), attempts=attempt)
            if not self._is_tried_again(ended, rule):
                break
        return ended

    def _section(self, key: str) -> Section:
        return next(section for section, tasks in self._definition.sections.items() if key in tasks)

    @staticmethod
    def _is_tried_again(ended: LocalTask, rule: RetrySpec) -> bool:
        """Tell whether another attempt follows while there is one left; without the delays."""
        is_hopeless = (ended.exception is None and ended.error_code != OUTPUT_REFUSED) or (
            isinstance(ended.exception, TaskFailed) and not ended.exception.is_retryable
        )
        return ended.status == "failed" and not is_hopeless and rule.tries_again_on(ended.error_code)

    def _attempt(self, key: str, action: Callable[[], object], attempt: int) -> LocalTask:
        try:
            with current_task.running(self._current(key, attempt)):
                output = to_json(action())
        except CallRefused as refusal:
            return LocalTask(status="failed", error_code=refusal.code, error_message=refusal.message)
        except NotJson as error:
            return LocalTask(status="failed", error_code="output_not_json", error_message=str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's function raises fails its task
            code, message = error_code(error), summarize(error)
            return LocalTask(status="failed", error_code=code, error_message=message, exception=error)
        if problems := check_value(output, ("output",)):
            return LocalTask(status="failed", error_code="output_not_json", error_message=str(problems[0]))
        if breach := find_breach(self._definition.all_tasks[key].output, output):
            return LocalTask(status="failed", error_code=OUTPUT_REFUSED, error_message=breach)
        return LocalTask(status="succeeded", output=output)

    def _action(self, key: str, kind: str, options: dict[str, JsonValue]) -> Callable[[], object]:
        """Return what runs the task. Raises DefinitionError when nothing here can."""
        path, arguments = (options["function"], options.get("args", {})) if kind == PYTHON else ("", options)
        function = self._callables.get(key)
        if key in self._replacements:
            replacement = self._replacements[key]
            return lambda: _replace(
                replacement, read_arguments(path, function, arguments) if function is not None else arguments
            )
        if kind == SLEEP:
            return lambda: None
        if kind == STOP:
            return lambda: self._note_stop(key, options)
        if kind != PYTHON:
            raise DefinitionError(
                f"task {key} is of the kind {kind!r}, which a local run cannot run: say what it returns, "
                f"run_locally(…, outputs={{{key!r}: …}})"
            )
        found = function if function is not None else _find_function(key, path)
        return lambda: call_function(path, found, arguments)

    def _note_stop(self, key: str, options: dict[str, JsonValue]) -> None:
        self._stop = key, options

    def _current(self, key: str, attempt: int) -> CurrentTask:
        return CurrentTask(
            run_id=self._id,
            workflow_name=self._definition.name,
            task_key=key,
            attempt=attempt,
            idempotency_token=uuid.uuid5(self._id, key).hex,
            is_cancelled=lambda: False,
        )


def _replace(replacement: object, arguments: Mapping[str, Any]) -> object:
    if isinstance(replacement, BaseException) or (
        isinstance(replacement, type) and issubclass(replacement, BaseException)
    ):
        raise replacement
    return wait_for(replacement(**arguments)) if callable(replacement) else replacement


def _find_function(key: str, path: str) -> Callable[..., object]:
    module, _, name = path.rpartition(".")
    try:
        function: Callable[..., object] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise DefinitionError(f"task {key}: with.function: {path!r} is not found: {error}") from error
    return function
