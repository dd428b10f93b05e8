"""Query parameters of the REST views: typed, and an unknown or wrong one is refused by name."""

from __future__ import annotations

from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from rest_framework import exceptions
from rest_framework.request import Request

from workflows.filters import RunFilter
from workflows.runs.statuses import RunStatus


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int | None = Field(default=None, ge=1, le=200)
    cursor: str | None = None


class VersionParameters(_Parameters):
    """Choose a version."""

    version: int | None = Field(default=None, ge=1, le=2**31 - 1)


class RunParameters(_Parameters):
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


class TaskParameters(_Parameters):
    """Choose a task."""

    task_key: str | None = None


class LogParameters(TaskParameters):
    """Choose lines."""

    after: int | None = Field(default=None, ge=0, le=2**63 - 1)


ParametersT = TypeVar("ParametersT", bound=_Parameters)


def query(model: type[ParametersT], request: Request) -> ParametersT:
    """Read the query string. Raises `ValidationError` naming each wrong parameter."""
    try:
        return model.model_validate(request.query_params.dict())
    except ValidationError as error:
        problems = {str(one["loc"][0]): [_message(one["type"], one["msg"], model)] for one in error.errors()}
        raise exceptions.ValidationError(problems) from error


def _message(code: str, message: str, model: type[BaseModel]) -> str:
    if code == "extra_forbidden":
        return f"This parameter is unknown. Known are: {', '.join(model.model_fields)}."
    return f"{message}."
