"""The routes under `/workflow-runs`. A run is started by `Workflows.start_run`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from urllib.parse import quote
from uuid import uuid4

from maestro.client.representations import (
    Approval,
    Decision,
    Explanation,
    JsonValue,
    LogExtract,
    LogLine,
    Page,
    Run,
    Signal,
    TaskAttempt,
    TaskExecution,
)
from maestro.client.transport import Query, Transport

MAX_PAGE_SIZE = 200


class Runs:
    """Runs, their task executions and logs, what is sent to them and decided about them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def iterate(
        self,
        *,
        status: str | None = None,
        workflow: str | None = None,
        created_after: datetime.datetime | None = None,
        created_before: datetime.datetime | None = None,
        page_size: int = 100,
    ) -> Iterator[Run]:
        """Yield the runs that match, a page at a time."""
        query = {
            "status": status,
            "workflow": workflow,
            "created_after": created_after.isoformat() if created_after else None,
            "created_before": created_before.isoformat() if created_before else None,
            "limit": str(page_size),
        }
        return self._transport.get_all("/workflow-runs", Run, _given(query))

    def get(self, run_id: str) -> Run:
        """Return one run."""
        return self._transport.get(_path(run_id)).parse(Run)

    def explain(self, run_id: str, *, task_key: str | None = None) -> Explanation:
        """Explain what keeps a run, or one of its tasks."""
        return self._transport.get(f"{_path(run_id)}/explanation", _given({"task_key": task_key})).parse(Explanation)

    def iterate_task_executions(self, run_id: str, *, task_key: str | None = None) -> Iterator[TaskExecution]:
        """Yield the run's task executions, or with a task key that task's, its items included."""
        query = _given({"task_key": task_key, "limit": str(MAX_PAGE_SIZE)})
        return self._transport.get_all(f"{_path(run_id)}/task-executions", TaskExecution, query)

    def get_task_executions_page(self, run_id: str, query: Query | None = None) -> Page[TaskExecution]:
        """Return the first page of the run's task executions, or the page a `next_query` names."""
        following = {"limit": str(MAX_PAGE_SIZE)} if query is None else query
        return self._transport.get_page(f"{_path(run_id)}/task-executions", TaskExecution, following)

    def iterate_past_attempts(self, run_id: str, *, task_key: str | None = None) -> Iterator[TaskAttempt]:
        """Yield the attempts after which a task was tried again, oldest first; with a task key those of that task."""
        query = _given({"task_key": task_key, "limit": str(MAX_PAGE_SIZE)})
        return self._transport.get_all(f"{_path(run_id)}/past-attempts", TaskAttempt, query)

    def iterate_logs(
        self, run_id: str, *, task_key: str | None = None, attempt: int | None = None, level: str | None = None
    ) -> Iterator[LogLine]:
        """Yield the log lines there are, in order; of a task, an attempt, or a level and above, if given."""
        query = _log_query(task_key=task_key, attempt=attempt, level=level)
        return self._transport.get_all(f"{_path(run_id)}/logs", LogLine, query)

    def read_log(
        self,
        run_id: str,
        *,
        after: int = 0,
        task_key: str | None = None,
        attempt: int | None = None,
        level: str | None = None,
    ) -> LogExtract:
        """Return the next lines after those already read; `last_id` of the answer is the `after` of the next call."""
        query = {"after": str(after), **_log_query(task_key=task_key, attempt=attempt, level=level)}
        return self._transport.get(f"{_path(run_id)}/logs", query).parse(LogExtract)

    def send_signal(self, run_id: str, name: str, payload: JsonValue = None, *, signal_id: str | None = None) -> Signal:
        """Send a signal to a run; sent again with the same id, it is the same signal."""
        document = {"name": name, "payload": payload} | ({} if signal_id is None else {"id": signal_id})
        key = str(uuid4())
        return self._transport.post(f"{_path(run_id)}/signals", document, idempotency_key=key).parse(Signal)

    def iterate_signals(self, run_id: str) -> Iterator[Signal]:
        """Yield the signals that were sent to a run, oldest first."""
        return self._transport.get_all(f"{_path(run_id)}/signals", Signal, {"limit": str(MAX_PAGE_SIZE)})

    def iterate_approvals(self, *, page_size: int = 100) -> Iterator[Approval]:
        """Yield the tasks of all runs that wait for a decision, oldest first."""
        return self._transport.get_all("/approvals", Approval, {"limit": str(page_size)})

    def approve(
        self, run_id: str, task_key: str, *, comment: str = "", form: Mapping[str, JsonValue] | None = None
    ) -> Decision:
        """Approve what a task asks."""
        return self._decide("approve", run_id, task_key, comment, form)

    def reject(
        self, run_id: str, task_key: str, *, comment: str = "", form: Mapping[str, JsonValue] | None = None
    ) -> Decision:
        """Reject what a task asks: it fails."""
        return self._decide("reject", run_id, task_key, comment, form)

    def _decide(
        self, verb: str, run_id: str, task_key: str, comment: str, form: Mapping[str, JsonValue] | None
    ) -> Decision:
        path = f"{_path(run_id)}/task-executions/{quote(task_key, safe='')}/{verb}"
        document = {"comment": comment, "form": dict(form or {})}
        return self._transport.post(path, document, idempotency_key=str(uuid4())).parse(Decision)

    def cancel(self, run_id: str) -> Run:
        """Cancel a run: what is not running yet will not start. A further call cancels the hooks that run by then."""
        return self._transport.post(f"{_path(run_id)}/cancel", idempotency_key=str(uuid4())).parse(Run)


def _path(run_id: str) -> str:
    return f"/workflow-runs/{quote(run_id, safe='')}"


def _given(query: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}


def _log_query(*, task_key: str | None, attempt: int | None, level: str | None) -> dict[str, str]:
    number = None if attempt is None else str(attempt)
    return _given({"task_key": task_key, "attempt": number, "level": level, "limit": str(MAX_PAGE_SIZE)})
