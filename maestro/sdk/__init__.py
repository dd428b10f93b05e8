"""Workflows written in Python. Offers what their authors import; the parts live in the modules beside this one."""

from maestro.core.user_code.current_task import CurrentTask, NoCurrentTask, current_task
from maestro.core.user_code.exceptions import TaskCancelled, TaskFailed, TaskInterrupted, TimeLimitReached
from maestro.sdk.errors import DefinitionError
from maestro.sdk.functions import Task, task
from maestro.sdk.hooks import finally_, on_failure, on_success
from maestro.sdk.kinds import shell, uses
from maestro.sdk.local import LocalRun, LocalTask, run_locally
from maestro.sdk.references import Reference, error_message, expression, size, status
from maestro.sdk.workflows import Workflow, workflow
from workflows.definition.problems import InputsInvalid

__all__ = [
    "CurrentTask",
    "DefinitionError",
    "InputsInvalid",
    "LocalRun",
    "LocalTask",
    "NoCurrentTask",
    "Reference",
    "Task",
    "TaskCancelled",
    "TaskFailed",
    "TaskInterrupted",
    "TimeLimitReached",
    "Workflow",
    "current_task",
    "error_message",
    "expression",
    "finally_",
    "on_failure",
    "on_success",
    "run_locally",
    "shell",
    "size",
    "status",
    "task",
    "uses",
    "workflow",
]
