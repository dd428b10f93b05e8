"""Workflows written in Python. Offers what their authors import; the parts live in the modules beside this one."""

from maestro.core.user_code.current_task import CurrentTask, NoCurrentTask, current_task
from maestro.sdk.errors import DefinitionError
from maestro.sdk.functions import Task, task
from maestro.sdk.kinds import shell, uses
from maestro.sdk.references import Reference, error_message, expression, size, status
from maestro.sdk.workflows import Workflow, workflow

__all__ = [
    "CurrentTask",
    "DefinitionError",
    "NoCurrentTask",
    "Reference",
    "Task",
    "Workflow",
    "current_task",
    "error_message",
    "expression",
    "shell",
    "size",
    "status",
    "task",
    "uses",
    "workflow",
]
