"""Typed client of Maestro's REST API. Offers what callers import; the parts live in the modules beside this one."""

from maestro.client.client import Client
from maestro.client.errors import ApiError, ClientError, InvalidConnection, Problem, ServerUnreachable, UnexpectedAnswer
from maestro.client.representations import (
    AppliedWorkflow,
    Approval,
    Canvas,
    Decision,
    Kind,
    LogExtract,
    LogLine,
    Page,
    Run,
    Signal,
    StartedRun,
    TaskExecution,
    Validation,
    Workflow,
    WorkflowVersion,
)

__all__ = [
    "ApiError",
    "AppliedWorkflow",
    "Approval",
    "Canvas",
    "Client",
    "ClientError",
    "Decision",
    "InvalidConnection",
    "Kind",
    "LogExtract",
    "LogLine",
    "Page",
    "Problem",
    "Run",
    "ServerUnreachable",
    "Signal",
    "StartedRun",
    "TaskExecution",
    "UnexpectedAnswer",
    "Validation",
    "Workflow",
    "WorkflowVersion",
]
