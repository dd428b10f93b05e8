"""The routes under `/workflows`."""

from __future__ import annotations

import datetime
import http
from collections.abc import Iterator, Mapping
from urllib.parse import quote
from uuid import uuid4

from maestro.client.errors import Problem, UnexpectedAnswer
from maestro.client.representations import (
    AppliedWorkflow,
    Canvas,
    JsonValue,
    Run,
    StartedRun,
    Validation,
    Workflow,
    WorkflowVersion,
)
from maestro.client.transport import Answer, Transport


class Workflows:
    """Workflows and their versions. A workflow is named by its name or its id."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def iterate(self, *, page_size: int = 100) -> Iterator[Workflow]:
        """Yield the workflows, a page at a time."""
        return self._transport.get_all("/workflows", Workflow, {"limit": str(page_size)})

    def get(self, workflow: str) -> Workflow:
        """Return one workflow."""
        return self._transport.get(_path(workflow)).parse(Workflow)

    def apply(self, definition: str | Mapping[str, JsonValue]) -> AppliedWorkflow:
        """Make a definition (YAML text, or an object) the workflow's active version."""
        answer = self._post_definition("/workflows", definition)
        return AppliedWorkflow(workflow=answer.parse(Workflow), is_new_version=answer.status == http.HTTPStatus.CREATED)

    def validate(self, definition: str | Mapping[str, JsonValue]) -> Validation:
        """Check a definition (YAML text, or an object) without applying it."""
        answer = self._post_definition("/workflows/validate", definition)
        is_valid = answer.body.get("valid") if isinstance(answer.body, dict) else None
        if not isinstance(is_valid, bool):
            raise UnexpectedAnswer(answer.url, "whether the definition is valid is missing")
        problems = answer.body.get("problems") or ()
        return Validation(is_valid=is_valid, problems=tuple(Problem.from_json(each) for each in problems))

    def iterate_versions(self, workflow: str) -> Iterator[WorkflowVersion]:
        """Yield the versions of a workflow, a page at a time."""
        return self._transport.get_all(f"{_path(workflow)}/versions", WorkflowVersion)

    def get_canvas(self, workflow: str, *, version: int | None = None) -> Canvas:
        """Return the Celery canvas a version compiles to, the active one unless told otherwise."""
        query = {} if version is None else {"version": str(version)}
        return self._transport.get(f"{_path(workflow)}/canvas", query).parse(Canvas)

    def activate_version(self, workflow: str, number: int) -> JsonValue:
        """Make a version the active one, and return what the server says about it."""
        return self._transport.post(f"{_path(workflow)}/versions/{number}/activate").body

    def archive(self, workflow: str) -> JsonValue:
        """Archive a workflow, and return what the server says about it."""
        return self._transport.post(f"{_path(workflow)}/archive").body

    def start_run(
        self,
        workflow: str,
        *,
        inputs: Mapping[str, JsonValue] | None = None,
        version: int | None = None,
        start_at: datetime.datetime | None = None,
        delay: str | None = None,
        deadline: str | None = None,
        priority: str | None = None,
        idempotency_key: str | None = None,
    ) -> StartedRun:
        """Start a run of a version, the active one unless told otherwise.

        It begins at once, at a time, or after a delay (`2h`). A deadline is a time, or how long after that (`45m`).
        Its tasks are taken before or after those of other runs by its priority: `high`, `normal` or `low`; by default
        the workflow's.

        It is tried again for a moment when no answer comes, and starts one run however often it is sent: under the
        idempotency key given, also in calls to come.
        """
        document: dict[str, JsonValue] = {"inputs": dict(inputs or {})}
        wanted = {
            "version": version,
            "start_at": start_at and start_at.isoformat(),
            "delay": delay,
            "deadline": deadline,
            "priority": priority,
        }
        document |= {name: value for name, value in wanted.items() if value is not None}
        key = idempotency_key or str(uuid4())
        answer = self._transport.post(f"{_path(workflow)}/runs", document, idempotency_key=key)
        return StartedRun(run=answer.parse(Run), was_there=answer.is_replayed)

    def _post_definition(self, path: str, definition: str | Mapping[str, JsonValue]) -> Answer:
        if isinstance(definition, str):
            return self._transport.post_yaml(path, definition)
        return self._transport.post(path, {"definition": dict(definition)})


def _path(workflow: str) -> str:
    return f"/workflows/{quote(workflow, safe='')}"
