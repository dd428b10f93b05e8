"""The statuses of runs and task executions, and which may follow which. Pure; the SQL of `workflows.dispatch` obeys
this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RunStatus(StrEnum):
    """Where a workflow run stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the run is over."""
        return not RUN_TRANSITIONS[self]


class TaskStatus(StrEnum):
    """Where a task execution stands."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the task is over."""
        return self in TERMINAL_TASK_STATUSES


class Reason(StrEnum):
    """Why a run or task execution has its status, where the status alone does not say."""

    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_SKIPPED = "upstream_skipped"
    CONDITION = "condition"
    CANCELLING = "cancelling"
    OUTPUTS_FAILED = "outputs_failed"
    PROCESS_LOST = "process_lost"
    CELERY = "celery"
    CALL_LOST = "call_lost"
    WORKER_LOST = "worker_lost"
    RETRY_BACKOFF = "retry_backoff"
    TIMED_OUT = "timed_out"
    WORKER_STOPPED = "worker_stopped"
    QUARANTINED = "quarantined"
    SLEEP = "sleep"
    SIGNAL = "signal"
    APPROVAL = "approval"
    CHILD_RUN = "child_run"
    POLL = "poll"
    DELAYED = "delayed"
    INPUTS_REFUSED = "inputs_refused"
    START_FAILED = "start_failed"
    PAUSED = "paused"
    STOPPED = "stopped"
    KILLED = "killed"
    UNCONFIRMED = "unconfirmed"
    HOOKS = "hooks"


class PauseScope(StrEnum):
    """What a pause covers."""

    RUN = "run"
    WORKFLOW = "workflow"
    QUEUE = "queue"
    ORGANIZATION = "organization"


class RunEvent(StrEnum):
    """What happens to a run."""

    START = "start"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"


class TaskEvent(StrEnum):
    """What happens to a task execution."""

    QUEUE = "queue"
    CLAIM = "claim"
    SKIP = "skip"
    SUCCEED = "succeed"
    FAIL = "fail"
    PARK = "park"
    REQUEUE = "requeue"
    CANCEL = "cancel"


RUN_TRANSITIONS: Mapping[RunStatus, Mapping[RunEvent, RunStatus]] = {
    RunStatus.PENDING: {RunEvent.START: RunStatus.RUNNING, RunEvent.CANCEL: RunStatus.CANCELLED},
    RunStatus.RUNNING: {
        RunEvent.SUCCEED: RunStatus.SUCCEEDED,
        RunEvent.FAIL: RunStatus.FAILED,
        RunEvent.CANCEL: RunStatus.CANCELLED,
    },
    RunStatus.SUCCEEDED: {},
    RunStatus.FAILED: {},
    RunStatus.CANCELLED: {},
}

TASK_TRANSITIONS: Mapping[TaskStatus, Mapping[TaskEvent, TaskStatus]] = {
    TaskStatus.PENDING: {
        TaskEvent.QUEUE: TaskStatus.QUEUED,
        TaskEvent.CLAIM: TaskStatus.RUNNING,
        TaskEvent.SKIP: TaskStatus.SKIPPED,
        TaskEvent.CANCEL: TaskStatus.CANCELLED,
    },
    TaskStatus.QUEUED: {
        TaskEvent.CLAIM: TaskStatus.RUNNING,
        TaskEvent.SKIP: TaskStatus.SKIPPED,
        TaskEvent.CANCEL: TaskStatus.CANCELLED,
    },
    TaskStatus.RUNNING: {
        TaskEvent.SUCCEED: TaskStatus.SUCCEEDED,
        TaskEvent.FAIL: TaskStatus.FAILED,
        TaskEvent.SKIP: TaskStatus.SKIPPED,
        TaskEvent.PARK: TaskStatus.WAITING,
        TaskEvent.REQUEUE: TaskStatus.QUEUED,
        TaskEvent.CANCEL: TaskStatus.CANCELLED,
    },
    TaskStatus.WAITING: {
        TaskEvent.QUEUE: TaskStatus.QUEUED,
        TaskEvent.SUCCEED: TaskStatus.SUCCEEDED,
        TaskEvent.FAIL: TaskStatus.FAILED,
        TaskEvent.PARK: TaskStatus.WAITING,
        TaskEvent.SKIP: TaskStatus.SKIPPED,
        TaskEvent.CANCEL: TaskStatus.CANCELLED,
    },
    TaskStatus.SUCCEEDED: {},
    TaskStatus.FAILED: {},
    TaskStatus.SKIPPED: {},
    TaskStatus.CANCELLED: {},
}

TERMINAL_TASK_STATUSES = frozenset(status for status, events in TASK_TRANSITIONS.items() if not events)
OPEN_TASK_STATUSES = frozenset(TaskStatus) - TERMINAL_TASK_STATUSES
TERMINAL_RUN_STATUSES = frozenset(status for status, events in RUN_TRANSITIONS.items() if not events)


def next_run_status(status: RunStatus, event: RunEvent) -> RunStatus | None:
    """Return the status that follows, None when the event does not apply."""
    return RUN_TRANSITIONS[status].get(event)


def next_task_status(status: TaskStatus, event: TaskEvent) -> TaskStatus | None:
    """Return the status that follows, None when the event does not apply."""
    return TASK_TRANSITIONS[status].get(event)
