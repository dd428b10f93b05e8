"""What the API answers with, as frozen typed values. Members a newer server adds are kept, and never break a client."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from maestro.client.errors import Problem

JsonValue = Any  # None, bool, int, float, str, list or dict of the same: what JSON can say

TERMINAL_RUN_STATUSES = frozenset({"succeeded", "failed", "cancelled"})
TERMINAL_TASK_STATUSES = frozenset({"succeeded", "failed", "skipped", "cancelled"})
ACTIVE_TASK_STATUSES = frozenset({"queued", "running", "waiting"})
MAIN_SECTION = "tasks"


def _rfc3339(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _empty_object(value: object) -> object:
    return {} if value is None else value


def _empty_list(value: object) -> object:
    return [] if value is None else value


Moment = Annotated[datetime.datetime, PlainSerializer(_rfc3339, return_type=str)]
JsonObject = Annotated[dict[str, JsonValue], BeforeValidator(_empty_object)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_empty_list)]


class Representation(BaseModel):
    """Base of the values below."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def to_json(self) -> dict[str, JsonValue]:
        """Return the members the server sent, ready for `json.dumps`."""
        return self.model_dump(mode="json", exclude_unset=True)


class Workflow(Representation):
    """A named thing an organization runs."""

    id: str
    name: str
    description: str | None = None
    version: int | None = None
    """Number of the active version."""
    content_hash: str | None = None
    is_archived: bool = False
    created_at: Moment | None = None
    updated_at: Moment | None = None
    inputs: JsonObject = {}
    """JSON Schema of each input, by name."""
    task_count: int | None = None
    """How many tasks the active version has."""


class WorkflowVersion(Representation):
    """An immutable, numbered snapshot of a workflow's definition."""

    number: int
    content_hash: str | None = None
    created_at: Moment | None = None
    is_active: bool = False
    definition: JsonObject = {}


class Canvas(Representation):
    """The Celery canvas a workflow version compiles to."""

    workflow: str
    version: int | None = None
    canvas: JsonValue = None
    """The canvas as a tree of nodes."""
    text: str = ""
    """The same, drawn for people."""


class Parent(Representation):
    """The task that started a run."""

    run_id: str
    task_key: str


class Run(Representation):
    """One execution of one workflow version."""

    id: str
    workflow: str
    """Name of the workflow."""
    version: int | None = None
    status: str
    """`pending`, `running`, `succeeded`, `failed` or `cancelled`."""
    reason: str | None = None
    is_paused: bool = False
    priority: str = "normal"
    """`high`, `normal` or `low`."""
    outcome: str | None = None
    """The status it ends with, as soon as that is decided; None before."""
    cancelled_by: str | None = None
    """E-mail address of who cancelled it, or its hooks."""
    inputs: JsonObject = {}
    outputs: JsonValue = None
    error_message: str | None = None
    parent: Parent | None = None
    """The task that started it; None when somebody else did."""
    created_at: Moment | None = None
    start_at: Moment | None = None
    """When it begins, if not at once."""
    started_at: Moment | None = None
    deadline_at: Moment | None = None
    """When it must be over."""
    finished_at: Moment | None = None

    @property
    def is_delayed(self) -> bool:
        """Tell whether the run begins later."""
        return self.status == "pending" and self.reason == "delayed"

    @property
    def is_finished(self) -> bool:
        """Tell whether the run has come to its end."""
        return self.status in TERMINAL_RUN_STATUSES


class Pause(Representation):
    """That nothing begins in a run, a workflow, a queue or the organization."""

    id: str
    scope: str
    """`run`, `workflow`, `queue` or `organization`."""
    run: str | None = None
    workflow: str | None = None
    """Name of the workflow."""
    queue: str | None = None
    reason: str | None = None
    paused_by: str | None = None
    """E-mail address of who paused it."""
    paused_at: Moment | None = None
    resumed_by: str | None = None
    resumed_at: Moment | None = None


class Cause(Representation):
    """One thing that keeps a run or a task."""

    code: str
    """Stable code, for example `paused`."""
    message: str
    holder: str | None = None
    """Who or what could end it."""
    until: Moment | None = None
    """When it ends by itself."""


class ExplainedTask(Representation):
    """A task and what keeps it; of one that has ended, how it did."""

    task_key: str
    map_index: int | None = None
    status: str
    reason: str | None = None
    causes: tuple[Cause, ...] = ()
    child: Explanation | None = None
    """Of a task that waits for a run: what keeps that run."""


class Explanation(Representation):
    """Why a run does not go on."""

    run: str
    workflow: str = ""
    status: str
    causes: tuple[Cause, ...] = ()
    """What keeps all of it."""
    tasks: tuple[ExplainedTask, ...] = ()
    """The tasks that others wait for; or the task that was asked for, then those it waits for."""
    waiting_count: int = 0
    """Open tasks that are not listed: they only wait for others."""


class TaskExecution(Representation):
    """One task of one run: its current status, attempt number and output."""

    id: str | int | None = None
    run: str | None = None
    task_key: str
    section: str = MAIN_SECTION
    """`tasks`, or the hooks it is one of: `on_failure`, `on_success` or `finally`."""
    map_index: int | None = None
    kind: str = ""
    status: str
    """`pending`, `queued`, `running`, `waiting`, `succeeded`, `failed`, `skipped` or `cancelled`."""
    reason: str | None = None
    attempt: int = 0
    lost_attempts: int = 0
    """Attempts that were lost, because their worker or its process died."""
    needs: Strings = ()
    continue_on_error: bool = False
    """Whether it may fail without failing the run and what needs it."""
    wake_at: Moment | None = None
    child_run_id: str | None = None
    """The run it has started."""
    output: JsonValue = None
    error_code: str | None = None
    """Stable code of its error."""
    error_message: str | None = None
    created_at: Moment | None = None
    queued_at: Moment | None = None
    started_at: Moment | None = None
    finished_at: Moment | None = None
    worker: str | None = None

    @property
    def is_finished(self) -> bool:
        """Tell whether the task has come to its end."""
        return self.status in TERMINAL_TASK_STATUSES

    @property
    def is_hook(self) -> bool:
        """Tell whether the task runs after the run's own tasks, and counts nothing for how it ends."""
        return self.section != MAIN_SECTION

    @property
    def is_active(self) -> bool:
        """Tell whether the task is queued, running or waiting for something."""
        return self.status in ACTIVE_TASK_STATUSES


class TaskAttempt(Representation):
    """An attempt after which its task was tried again."""

    id: str | int | None = None
    task_key: str
    map_index: int | None = None
    attempt: int
    status: str
    """`failed`, or `lost` when its worker was."""
    error_code: str | None = None
    error_message: str | None = None
    worker: str | None = None
    started_at: Moment | None = None
    finished_at: Moment | None = None


class Signal(Representation):
    """A signal that was sent to a run."""

    id: str | None = None
    """The sender's own id of it."""
    run: str
    name: str
    payload: JsonValue = None
    sent_by: str | None = None
    received_at: Moment | None = None
    taken_by: str | None = None
    """Key of the task that took it; None while none has."""
    taken_at: Moment | None = None


class Approval(Representation):
    """A task that waits for a decision."""

    run: str
    workflow: str = ""
    task_key: str
    message: str = ""
    form: JsonObject = {}
    """JSON Schema of each answer, by name."""
    approvers: JsonValue = None
    """Roles and users that may decide; None for whoever may cancel the run."""
    is_escalated: bool = False
    may_decide: bool = False
    """True when the caller may decide."""
    waits_since: Moment | None = None
    escalates_at: Moment | None = None
    """When others may decide too; None without an escalation, and once they may."""
    deadline_at: Moment | None = None
    on_deadline: str | None = None


class Decision(Representation):
    """What was decided about a task that waited for it."""

    run: str
    task_key: str
    outcome: str
    """`approved` or `rejected`."""
    by: str = ""
    comment: str = ""
    form: JsonObject = {}
    decided_at: Moment | None = None


class LogLine(Representation):
    """One line a task wrote."""

    id: str | int | None = None
    task_key: str = ""
    map_index: int | None = None
    attempt: int = 0
    stream: str = "stdout"
    level: str = "info"
    message: str = ""
    created_at: Moment | None = None


class LogExtract(Representation):
    """Lines of a run's log from some line on."""

    results: tuple[LogLine, ...]
    next: str | None = None
    last_id: int
    """Where to go on: pass it as `after`."""
    is_pruned: bool = False
    """True when the run ended so long ago that its lines are not kept."""

    @property
    def has_more(self) -> bool:
        """Tell whether more lines are there already."""
        return self.next is not None


class Kind(Representation):
    """An executor kind: what `uses:` may name."""

    kind: str
    summary: str = ""
    options_schema: JsonObject = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What the server thinks of a definition."""

    is_valid: bool
    """True when it could be applied."""
    problems: tuple[Problem, ...]
    """Everything that is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedWorkflow:
    """The outcome of applying a definition."""

    workflow: Workflow
    """The workflow with its active version."""
    is_new_version: bool
    """False when a version with this content existed already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRun:
    """The outcome of starting a run."""

    run: Run
    """The run."""
    was_there: bool
    """True when it had been started before, under the same idempotency key."""


RepresentationT = TypeVar("RepresentationT", bound=Representation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[RepresentationT]):
    """One page of a list."""

    results: tuple[RepresentationT, ...]
    """The values on this page, in the server's order."""
    next_query: Mapping[str, str] | None
    """Query parameters of the page that follows; None on the last page."""
