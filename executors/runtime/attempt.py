"""Runs one attempt of one task: options, workspace, log and output around the kind. Claims live elsewhere."""

from __future__ import annotations

import datetime
import logging
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from executors.base import (
    CANCELLED,
    Executor,
    JsonValue,
    TaskError,
    TaskRequest,
    TaskResult,
    TimeLimit,
    Workspace,
    timed_out,
)
from executors.kinds import registry
from executors.kinds.errors import BrokenKind, UnknownKind
from executors.runtime import lines, workspace
from executors.runtime.attempt_log import AttemptLog, WriteLines
from executors.runtime.options import InvalidOptions, parse_options
from executors.runtime.output import InvalidOutput, normalize_output

GRACE_SECONDS = 5.0
"""How long an attempt without a time limit may take to stop."""
MESSAGE_LIMIT = 4_000
"""Characters of the longest error message."""

logger = logging.getLogger(__name__)


def run_attempt(
    *,
    kind: str,
    raw_options: Mapping[str, JsonValue],
    run_id: UUID,
    organization_id: UUID,
    workflow_name: str,
    task_key: str,
    map_index: int | None,
    attempt: int,
    idempotency_token: str,
    write_lines: WriteLines,
    is_cancelled: Callable[[], bool],
    now: Callable[[], datetime.datetime],
    write_lines_again: WriteLines | None = None,
    time_limit: TimeLimit | None = None,
    resumed: Mapping[str, JsonValue] | None = None,
) -> TaskResult:
    """Run one attempt and return what it came to; whatever goes wrong is a result with an error, never an exception.

    `raw_options` are the task's `with:`, expressions already evaluated. `write_lines` stores lines of the log, in
    order: while the attempt runs it is called from a thread of its own, in the end from the caller's; calls never
    overlap. After a call that failed it is `write_lines_again`, with lines of which some may be stored. `is_cancelled`
    is asked often, so it must be cheap. `now` dates the lines. At the end of its `time_limit` the attempt is told to
    stop; if it does, it has timed out. `resumed` is what it left when it parked to be asked again.

    Only an exception that ends the process (SystemExit of a worker being stopped) passes through, after the log is
    written and the workspace removed.
    """
    try:
        executor = registry.get_kind(kind)
        options = parse_options(executor.Options, raw_options)
    except UnknownKind as error:
        # Where the definition was applied there was one.
        message = (
            f"This worker has no kind {kind!r}: install the package that offers it where the workers run, and restart "
            "them."
        )
        return _failed(error.code, message, is_platform_fault=True)
    except BrokenKind as error:
        return _failed(error.code, error.message, is_platform_fault=True)
    except InvalidOptions as error:
        return _failed("invalid_options", str(error), is_retryable=False)
    request = TaskRequest(
        run_id=run_id,
        organization_id=organization_id,
        workflow_name=workflow_name,
        task_key=task_key,
        map_index=map_index,
        attempt=attempt,
        idempotency_token=idempotency_token,
        options=options,
        resumed=resumed,
    )
    deadline = _Deadline(time_limit)
    context = _AttemptContext(request, AttemptLog(write_lines, write_lines_again, now=now), is_cancelled, deadline)
    try:
        result = check_result(_execute(executor, request, context))
        return deadline.timed_out() if result.error == CANCELLED and deadline.seconds_left() <= 0 else result
    finally:
        context.close()


def check_result(result: TaskResult) -> TaskResult:
    """Return a result as it can be kept: plain JSON, a message of printable text within the limit; else an error."""
    if result.waits_for is not None:
        return result
    if result.error is not None:
        return TaskResult(error=replace(result.error, message=_shown(result.error.message)))
    stops = result.stops
    try:
        if stops is not None:
            stops = replace(stops, message=_shown(stops.message), outputs=normalize_output(dict(stops.outputs)))
        return TaskResult(output=normalize_output(result.output), stops=stops)
    except InvalidOutput as error:
        return _failed(error.code, str(error), is_retryable=False)


def _shown(message: str) -> str:
    shown = lines.escape_unprintable(message)
    return shown if len(shown) <= MESSAGE_LIMIT else shown[: MESSAGE_LIMIT - 1] + "…"


class _Deadline:
    """When an attempt is to stop, by the clock that only goes forward."""

    def __init__(self, limit: TimeLimit | None) -> None:
        self._allowed_seconds = math.inf if limit is None else limit.allowed_seconds
        self._ends_at = math.inf if limit is None else time.monotonic() + limit.seconds_left
        self._grace_seconds = GRACE_SECONDS if limit is None else limit.grace_seconds

    def seconds_left(self) -> float:
        return self._ends_at - time.monotonic()

    def grace_seconds(self) -> float:
        return self._grace_seconds

    def timed_out(self) -> TaskResult:
        return TaskResult(error=timed_out(self._allowed_seconds))


class _AttemptContext:
    """The `TaskContext` of one attempt."""

    def __init__(
        self, request: TaskRequest[Any], log: AttemptLog, is_cancelled: Callable[[], bool], deadline: _Deadline
    ) -> None:
        self._request = request
        self._log = log
        self._is_cancelled = is_cancelled
        self._workspace: Workspace | None = None
        self.write_line = log.write_line
        self.seconds_left = deadline.seconds_left
        self.grace_seconds = deadline.grace_seconds

    def is_cancelled(self) -> bool:
        return self.seconds_left() <= 0 or self._is_cancelled()

    def workspace(self) -> Workspace:
        if self._workspace is None:
            self._workspace = workspace.make_workspace(_variables(self._request))
        return self._workspace

    def close(self) -> None:
        try:
            self._log.close()
        finally:
            if self._workspace is not None:
                workspace.remove_workspace(self._workspace)


def _execute(executor: Executor[Any], request: TaskRequest[Any], context: _AttemptContext) -> TaskResult:
    try:
        result: object = executor.execute(request, context)
    except Exception as error:
        logger.exception(
            "An executor kind raised",
            extra={
                "event": "attempt_failed_unexpectedly",
                "kind": executor.kind,
                "run_id": str(request.run_id),
                "task_key": request.task_key,
            },
        )
        cause = traceback.format_exception_only(error)[-1].strip()
        return _failed("unexpected_error", f"The kind {executor.kind!r} broke: {cause}", is_platform_fault=True)
    if not isinstance(result, TaskResult):
        message = f"The kind {executor.kind!r} returned a {type(result).__qualname__} where a TaskResult belongs."
        return _failed("unexpected_error", message, is_platform_fault=True, is_retryable=False)
    return result


def _variables(request: TaskRequest[Any]) -> dict[str, str]:
    variables = {
        "MAESTRO_RUN_ID": str(request.run_id),
        "MAESTRO_WORKFLOW": request.workflow_name,
        "MAESTRO_TASK_KEY": request.task_key,
        "MAESTRO_ATTEMPT": str(request.attempt),
        "MAESTRO_IDEMPOTENCY_TOKEN": request.idempotency_token,
    }
    if request.map_index is not None:
        variables["MAESTRO_MAP_INDEX"] = str(request.map_index)
    return variables


def _failed(code: str, message: str, *, is_platform_fault: bool = False, is_retryable: bool = True) -> TaskResult:
    error = TaskError(code=code, message=message, is_platform_fault=is_platform_fault, is_retryable=is_retryable)
    return TaskResult(error=error)
