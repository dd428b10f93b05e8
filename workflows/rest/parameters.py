"""Query parameters of the REST views: typed, and an unknown or wrong one is refused by name."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from rest_framework import exceptions
from rest_framework.request import Request

from executors.choices import LogLevel
from workflows.definition.model_problems import UNKNOWN_KEY, read_errors
from workflows.definition.problems import Problem
from workflows.definition.values import text_fault
from workflows.filters import LogFilter, RunFilter
from workflows.runs.statuses import RunStatus


def _described(name: str, kind: OpenApiTypes, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, kind, description=description)


# How the OpenAPI document describes the parameters below.
OF_PAGES = [
    _described("limit", OpenApiTypes.INT, "Results per page, at most 200."),
    _described("cursor", OpenApiTypes.STR, "Taken from `next` or `previous`."),
]
OF_CANVAS = [_described("version", OpenApiTypes.INT, "Version number; default: the active one.")]
OF_RUNS = [
    _described("status", OpenApiTypes.STR, "Only runs in this status."),
    _described("workflow", OpenApiTypes.STR, "Only runs of the workflow of this name or id."),
    _described("created_after", OpenApiTypes.DATETIME, "Only runs created later."),
    _described("created_before", OpenApiTypes.DATETIME, "Only runs created earlier."),
    *OF_PAGES,
]
OF_PAUSES = [_described("run", OpenApiTypes.UUID, "Only pauses that keep something of this run."), *OF_PAGES]
OF_EXPLANATION = [_described("task_key", OpenApiTypes.STR, "Explain this task, and what it waits for.")]
OF_TASKS = [_described("task_key", OpenApiTypes.STR, "Only this task."), *OF_PAGES]
OF_LOG_LINES = [
    _described("after", OpenApiTypes.INT, "Only lines after the one of this id; pass `last_id` to read on."),
    _described("attempt", OpenApiTypes.INT, "Only lines of attempts of this number."),
    OpenApiParameter("level", OpenApiTypes.STR, description="Only lines of this level or above.", enum=list(LogLevel)),
    *OF_TASKS,
]


class NoParameters(BaseModel):
    """Take none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_nul(cls, value: object) -> object:
        if isinstance(value, str) and (fault := text_fault(value)):
            raise PydanticCustomError(*fault)
        return value


class PageParameters(NoParameters):
    """Choose a page."""

    limit: int | None = Field(default=None, ge=1, le=200)
    cursor: str | None = None


class VersionParameters(NoParameters):
    """Choose a version."""

    version: int | None = Field(default=None, ge=1, le=2**31 - 1)


class RunParameters(PageParameters):
    """Narrow a list of runs."""

    status: RunStatus | None = None
    workflow: str | None = None
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None

    def as_filter(self) -> RunFilter:
        """Return the filter these parameters ask for."""
        return RunFilter(
            status=self.status,
            workflow=self.workflow,
            created_after=self.created_after,
            created_before=self.created_before,
        )


class TaskParameters(PageParameters):
    """Choose a task."""

    task_key: str | None = None


class ExplanationParameters(NoParameters):
    """Choose a task."""

    task_key: str | None = None


class PauseParameters(PageParameters):
    """Choose pauses."""

    run: UUID | None = None


class LogParameters(TaskParameters):
    """Choose lines."""

    after: int | None = Field(default=None, ge=0, le=2**63 - 1)
    attempt: int | None = Field(default=None, ge=1, le=2**31 - 1)
    level: LogLevel | None = None

    def as_filter(self) -> LogFilter:
        """Return the filter these parameters ask for."""
        return LogFilter(task_key=self.task_key, attempt=self.attempt, level=self.level, after=self.after)


ParametersT = TypeVar("ParametersT", bound=NoParameters)


def query(model: type[ParametersT], request: Request) -> ParametersT:
    """Read the query string. Raises `ValidationError` naming each wrong parameter."""
    given = request.query_params.dict()
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems = {
            str(finding.problem.path[0]): [
                exceptions.ErrorDetail(_message(finding.problem, model), finding.problem.code)
            ]
            for finding in read_errors(error, given)
        }
        raise exceptions.ValidationError(problems) from error


def _message(problem: Problem, model: type[BaseModel]) -> str:
    if problem.code != UNKNOWN_KEY:
        # Every parameter is text; that one is says nothing.
        return problem.message.removesuffix(", not text")
    known = ", ".join(model.model_fields)
    return f"is not a parameter here; {f'there are {known}' if known else 'there are none'}"
