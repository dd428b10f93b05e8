"""The language: every key a definition may have. What keys mean together is checked in `validation` and `graph`.

A new key is one field here (its description goes to the JSON Schema and the docs) and one name less in the tables of
what is not supported yet.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from workflows.definition.limits import Limit, TaskTimeout, TaskTimeoutValue
from workflows.definition.priority import Priority
from workflows.definition.retry import RetrySpec
from workflows.definition.sections import Section
from workflows.definition.values import JsonValue

MAX_TASKS = 20_000
MAX_HOOKS = 100
MAX_INPUTS = 1_000
MAX_OUTPUTS = 1_000

UNSUPPORTED_WORKFLOW_KEYS = frozenset({"deadline", "concurrency"})
UNSUPPORTED_TASK_KEYS = frozenset(
    {
        "for_each",
        "max_parallel",
        "queue",
        "priority",
    }
)
UNSUPPORTED_KINDS = frozenset({"container", "kubernetes"})

RESERVED_WORDS = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)

WORKFLOW_NAME = r"^[a-z0-9][a-z0-9._-]{0,99}$"
IDENTIFIER = r"^[a-z_][a-z0-9_]{0,62}$"
UUID_SHAPED = r"^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"


def _check_workflow_name(name: str) -> str:
    if not re.fullmatch(WORKFLOW_NAME[1:-1], name):
        raise PydanticCustomError(
            "bad_name",
            'a name is 1 to 100 characters of a-z, 0-9, ".", "_" and "-", and starts with a letter or a digit',
        )
    if name == "validate":
        raise PydanticCustomError(
            "bad_name", "must not be validate, which is the address that checks definitions; choose another name"
        )
    if re.fullmatch(UUID_SHAPED[1:-1], name):
        raise PydanticCustomError(
            "bad_name", "a name cannot look like a UUID, because a workflow is found by name or by id"
        )
    return name


def _check_identifier(name: str) -> str:
    if not re.fullmatch(IDENTIFIER[1:-1], name):
        raise PydanticCustomError(
            "bad_name", 'a name is 1 to 63 characters of a-z, 0-9 and "_", and starts with a letter or "_"'
        )
    if name in RESERVED_WORDS:
        raise PydanticCustomError("bad_name", "this name is a reserved word of the expression language; choose another")
    return name


WorkflowName = Annotated[
    str,
    AfterValidator(_check_workflow_name),
    Field(
        json_schema_extra={
            "pattern": WORKFLOW_NAME,
            "not": {"anyOf": [{"pattern": UUID_SHAPED}, {"const": "validate"}]},
        }
    ),
]
Identifier = Annotated[
    str,
    AfterValidator(_check_identifier),
    Field(json_schema_extra={"pattern": IDENTIFIER, "not": {"enum": sorted(RESERVED_WORDS)}}),
]


SpecT = TypeVar("SpecT", bound=BaseModel)


class RunIf(StrEnum):
    """When a task runs, judged by how its needs ended."""

    ALL_SUCCEEDED = "all_succeeded"
    ALL_DONE = "all_done"
    ANY_SUCCEEDED = "any_succeeded"
    ANY_FAILED = "any_failed"
    NONE_FAILED = "none_failed"


class OnWorkerLost(StrEnum):
    """What becomes of a task whose worker is lost while it runs it."""

    RETRY = "retry"
    FAIL = "fail"


def _refuse_truth(value: JsonValue) -> JsonValue:
    if isinstance(value, bool):
        raise PydanticCustomError("not_allowed", "must be 1")
    return value


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskSpec(_Spec):
    """One task: what it does, what it waits for, and whether it runs at all."""

    uses: str = Field(description="The executor kind that runs the task, for example `shell`.")
    options: dict[str, JsonValue] = Field(
        alias="with",
        default_factory=dict,
        description="Options of the kind. Any text in them may hold `${{ }}` expressions.",
    )
    needs: tuple[str, ...] = Field(
        default=(),
        description="Keys of the tasks that must end before this one is judged by `run_if`.",
        json_schema_extra={"uniqueItems": True},
    )
    run_if: RunIf = Field(
        default=RunIf.ALL_SUCCEEDED,
        description=(
            "How the needs must have ended for the task to run: `all_succeeded` (the default), `all_done`,"
            " `any_succeeded`, `any_failed` or `none_failed`."
        ),
    )
    condition: str | None = Field(
        alias="if",
        default=None,
        description="One `${{ }}` expression that is true or false; the task is skipped when it is false.",
    )
    on_worker_lost: OnWorkerLost | None = Field(
        default=None,
        description=(
            "What happens when the worker, or its process, dies while it runs the task: `retry` (the default) runs it"
            " again, `fail` fails it, for what must not run twice."
        ),
    )
    retry: RetrySpec | None = Field(
        default=None,
        description="How often and when the task is tried again whose attempt failed. Without it, it is tried once.",
    )
    timeout: TaskTimeoutValue | None = Field(
        default=None,
        description="How long each attempt may take, such as `20s`; or a mapping of several limits.",
    )
    continue_on_error: bool | None = Field(
        default=None,
        strict=True,
        description="`true`: its failure fails neither the run nor what needs it, for which it has succeeded.",
    )
    output: dict[str, JsonValue] | None = Field(
        default=None,
        description="JSON Schema of the task's output. An attempt whose output does not fit it fails as"
        " `output_refused`.",
    )
    description: str | None = Field(default=None, description="What the task is for, in words.")


class TaskDefaults(_Spec):
    """What holds for every task that does not say otherwise."""

    retry: RetrySpec | None = Field(
        default=None, description="`retry` of every task; what a task's own `retry` says comes first, key by key."
    )
    on_worker_lost: OnWorkerLost | None = Field(
        default=None, description="`on_worker_lost` of every task that says nothing else."
    )
    timeout: TaskTimeoutValue | None = Field(
        default=None, description="`timeout` of every task; what a task's own `timeout` says comes first, key by key."
    )
    continue_on_error: bool | None = Field(
        default=None, strict=True, description="`continue_on_error` of every task that says nothing else."
    )


class WorkflowDefinition(_Spec):
    """A workflow: its inputs, a graph of tasks, and its outputs."""

    schema_version: Annotated[Literal[1], BeforeValidator(_refuse_truth)] = Field(
        description="Version of this language; always 1."
    )
    name: WorkflowName = Field(
        description=(
            "Name of the workflow, unique in its organization: 1 to 100 characters of a-z, 0-9, `.`, `_` and `-`,"
            " starting with a letter or a digit."
        )
    )
    description: str | None = Field(default=None, description="What the workflow is for, in words.")
    inputs: dict[Identifier, dict[str, JsonValue]] = Field(
        default_factory=dict,
        max_length=MAX_INPUTS,
        description="The inputs a run takes: name to JSON Schema. An input without `default` must be given; one with"
        " `writeOnly: true` is a secret, which expressions read and nobody is shown.",
    )
    timeout: Limit | None = Field(
        default=None,
        description="How long a run may take, such as `30m`. Then what has not begun never will, what runs is told to"
        " stop, and the run has failed.",
    )
    priority: Priority | None = Field(
        default=None,
        description="Whose tasks workers take first, of those that are ready: `high`, `normal` (the default) or `low`."
        " Whoever starts a run may say another.",
    )
    defaults: TaskDefaults = Field(
        default_factory=TaskDefaults, description="What holds for every task that does not say otherwise."
    )
    tasks: dict[Identifier, TaskSpec] = Field(
        min_length=1,
        max_length=MAX_TASKS,
        description="The tasks by key. A task starts when all it needs has ended; the rest run side by side.",
    )
    on_failure: dict[Identifier, TaskSpec] = Field(
        default_factory=dict,
        max_length=MAX_HOOKS,
        description="Tasks that run after those of `tasks` have ended, when the run is going to fail.",
    )
    on_success: dict[Identifier, TaskSpec] = Field(
        default_factory=dict,
        max_length=MAX_HOOKS,
        description="Tasks that run after those of `tasks` have ended, when the run is going to succeed.",
    )
    finally_: dict[Identifier, TaskSpec] = Field(
        alias="finally",
        default_factory=dict,
        max_length=MAX_HOOKS,
        description="Tasks that run last, however the run is going to end; also when it is cancelled.",
    )
    outputs: dict[str, JsonValue] = Field(
        default_factory=dict,
        max_length=MAX_OUTPUTS,
        description="The result of a run: name to value. Any text in a value may hold `${{ }}` expressions.",
    )

    @functools.cached_property
    def sections(self) -> Mapping[Section, Mapping[str, TaskSpec]]:
        """The tasks by key of each section that has some."""
        sections = {
            Section.TASKS: self.tasks,
            Section.ON_FAILURE: self.on_failure,
            Section.ON_SUCCESS: self.on_success,
            Section.FINALLY: self.finally_,
        }
        return {section: tasks for section, tasks in sections.items() if tasks}

    @functools.cached_property
    def all_tasks(self) -> Mapping[str, TaskSpec]:
        """The tasks of all sections by key."""
        return {key: task for tasks in self.sections.values() for key, task in tasks.items()}

    def retry_of(self, task_key: str) -> RetrySpec | None:
        """Return how a task is tried again, the workflow's defaults included; None when it is not."""
        return _merged(RetrySpec, self.defaults.retry, self.all_tasks[task_key].retry)

    def timeout_of(self, task_key: str) -> TaskTimeout | None:
        """Return how long a task may take, the workflow's defaults included; None for as long as it does."""
        return _merged(TaskTimeout, self.defaults.timeout, self.all_tasks[task_key].timeout)

    def continues_on_error(self, task_key: str) -> bool:
        """Tell whether a task may fail without failing its run, the workflow's defaults included."""
        own = self.all_tasks[task_key].continue_on_error
        return bool(self.defaults.continue_on_error if own is None else own)


def _merged(model: type[SpecT], *specs: SpecT | None) -> SpecT | None:
    """Return what the last of several mappings that are given says, key by key; None when none is given."""
    given = [spec for spec in specs if spec is not None]
    merged = {name: getattr(spec, name) for spec in given for name in sorted(spec.model_fields_set)}
    return model.model_validate(merged) if given else None
