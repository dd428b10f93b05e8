"""What keeps one run or one task: each cause with who or what holds it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import scalar_row

from executors.models import Worker
from executors.pools.lease import LEASE
from executors.pools.queues import Waiting
from maestro.core import sql
from maestro.core.clock import say_time
from workflows.definition.priority import Priority
from workflows.dispatch import broker
from workflows.dispatch.broker import BrokerAway
from workflows.models import Pause, TaskExecution, WorkflowRun
from workflows.parking import approval
from workflows.runs.statuses import OPEN_TASK_STATUSES, PauseScope, Reason, RunStatus, TaskStatus

MOST_NAMED = 5
"""Tasks that a sentence names."""
# What is due is done within a second or two, unless nobody does it.
OVERDUE = datetime.timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that keeps a run or a task."""

    code: str
    """Stable code, for example `paused`."""
    message: str
    """The same for a person."""
    holder: str = ""
    """Who or what could end it: a person, a worker, a queue, other tasks; empty when only time can, or nothing."""
    until: datetime.datetime | None = None
    """When it ends by itself."""


class CauseFinder:
    """Finds causes as they are at one moment; queues and workers are looked at once."""

    def __init__(self) -> None:
        with sql.cursor(sql.request_connection(), scalar_row) as cursor:
            now: datetime.datetime | None = cursor.execute("SELECT clock_timestamp()").fetchone()
        assert now is not None
        self._now = now
        self._workers: list[Worker] | None = None
        self._queues: dict[tuple[str, int], Cause] = {}

    def of_run(self, run: WorkflowRun, found: Sequence[Pause]) -> Iterator[Cause]:
        """Yield what keeps all of a run, given the pauses that cover something of it."""
        if RunStatus(run.status).is_terminal:
            yield Cause(code="ended", message=f"It ended at {say_time(run.finished_at)}{_why_ended(run)}")
            return
        if run.hold == 1:
            yield from map(_paused, (each for each in found if each.scope != PauseScope.QUEUE))
        if run.reason == Reason.DELAYED:
            yield self._timed("delayed", "It begins", run.start_at, is_paused=run.hold == 1)
        if run.hold == 2:
            why: dict[str, str] = {
                Reason.TIMED_OUT: "its time is over",
                Reason.STOPPED: "one of its tasks has stopped it",
            }
            reason = why.get(run.reason) or _say_cancelled(run)
            yield Cause(code="cancelling", message=f"The run ends, because {reason}, once what runs has stopped.")

    def of_task(self, task: TaskExecution, found: Sequence[Pause]) -> Iterator[Cause]:
        """Yield what keeps a task; of one that has ended, how it did."""
        status = TaskStatus(task.status)
        if status.is_terminal:
            yield from _of_ended(task)
            return
        if task.hold == 1:
            covering = (each for each in found if each.scope != PauseScope.QUEUE or each.queue == task.queue)
            yield from map(_paused, covering)
        if task.hold == 2:
            yield Cause(code="cancelling", message="It was told to stop, and is killed if it does not.")
        match status:
            case TaskStatus.PENDING:
                yield from self._of_pending(task)
            case TaskStatus.QUEUED:
                yield self._of_queue(task.queue, task.priority)
            case TaskStatus.RUNNING:
                yield from self._of_running(task)
            case _:
                yield from self._of_waiting(task)

    def _of_pending(self, task: TaskExecution) -> Iterator[Cause]:
        needs = TaskExecution.objects.filter(
            run=task.run_id, task_key__in=task.needs, map_index=None, status__in=OPEN_TASK_STATUSES
        )
        keys = list(needs.order_by("position").values_list("task_key", flat=True))
        if keys:
            names = _names(keys)
            yield Cause(code="dependency", message=f"It waits for {names}.", holder=names)
        elif task.hold == 0:
            yield self._of_queue(task.queue, task.priority)

    def _of_queue(self, queue: str, priority: int) -> Cause:
        if (queue, priority) not in self._queues:
            self._queues[queue, priority] = self._look_at_queue(queue, priority)
        return self._queues[queue, priority]

    def _look_at_queue(self, queue: str, priority: int) -> Cause:
        holder = f"queue {queue}"
        workers = [worker for worker in self._live_workers() if queue in worker.queues]
        if not workers:
            message = f"No worker takes tasks from the queue {queue}: start one, `maestro up` does."
            return Cause(code="no_worker", message=message, holder=holder)
        try:
            waiting = broker.count_waiting(queue, priority)
        except BrokerAway:
            message = "The broker does not answer. The task is sent again when it does."
            return Cause(code="broker_away", message=message, holder="broker")
        message = f"{_ready(priority)} {self._of_waiting_messages(queue, waiting, workers)}"
        return Cause(code="queue", message=message, holder=holder)

    def _of_waiting_messages(self, queue: str, waiting: Waiting, workers: Sequence[Worker]) -> str:
        processes, busy = (sum(counts) for counts in zip(*((w.concurrency, len(w.held)) for w in workers), strict=True))
        before = "1 message waits" if waiting.count == 1 else f"{waiting.count:,} messages wait"
        since = f", the next since {say_time(waiting.oldest_queued_at)}" if waiting.oldest_queued_at else ""
        served = f"{len(workers)} worker{'s' if len(workers) > 1 else ''} with {processes} processes take from it"
        return f"In the queue {queue} {before}{since}; {served}, {min(busy, processes)} of them busy."

    def _of_running(self, task: TaskExecution) -> Iterator[Cause]:
        worker = Worker.objects.filter(id=task.claim_worker_id).first() if task.claim_worker_id else None
        holder = f"worker {task.worker}"
        if worker is None or worker.lost_at is not None:
            message = f"Its {holder} is gone: attempt {task.attempt} is taken back in a moment."
            yield Cause(code="worker_lost", message=message, holder=holder)
            return
        lease = f"the lease of {holder} ends at {say_time(worker.heartbeat_at + LEASE)}"
        if self._now - worker.heartbeat_at > LEASE / 2:
            message = f"Its worker says nothing since {say_time(worker.heartbeat_at)}; {lease}."
            yield Cause(code="worker_silent", message=message, holder=holder, until=worker.heartbeat_at + LEASE)
            return
        message = f"Attempt {task.attempt} runs since {say_time(task.started_at)}; {lease} unless it is renewed."
        if task.expires_at is not None:
            message += f" Its time is over at {say_time(task.expires_at)}."
        yield Cause(code="running", message=message, holder=holder, until=task.expires_at)

    def _of_waiting(self, task: TaskExecution) -> Iterator[Cause]:
        details: Mapping[str, Any] = task.waits_for or {}
        is_paused = task.hold == 1
        match task.reason:
            case Reason.RETRY_BACKOFF:
                failure = task.error_message.strip().partition("\n")[0]
                what = f"Attempt {task.attempt} failed ({failure}); the next one begins"
                yield self._timed("retry", what, task.wake_at, is_paused=is_paused)
            case Reason.SLEEP:
                yield self._timed(
                    "sleep", "It sleeps until the time it was given; it ends", task.wake_at, is_paused=is_paused
                )
            case Reason.POLL:
                yield self._timed(
                    "poll", "The answer was not the one it waits for; it asks again", task.wake_at, is_paused=is_paused
                )
            case Reason.SIGNAL:
                name = details.get("name", "")
                what = f"It waits for the signal {name}: `maestro signal {task.run_id} {name}` sends it"
                yield self._awaited("signal", what, "whoever sends it", task.wake_at)
            case Reason.APPROVAL:
                yield _undecided(task, details)
            case Reason.CHILD_RUN:
                message = f"It waits for the end of run {task.child_run_id}."
                yield Cause(code="child_run", message=message, holder=f"run {task.child_run_id}")
            case Reason.CELERY:
                message = f"It waits for the Celery task it has called at {say_time(task.started_at)}."
                yield Cause(code="celery", message=message, holder="the worker of that task", until=task.expires_at)

    def _timed(self, code: str, what: str, at: datetime.datetime | None, *, is_paused: bool) -> Cause:
        assert at is not None
        if is_paused and at <= self._now:
            return Cause(code=code, message=f"{what} at the resume: its time was {say_time(at)}.")
        if self._now - at > OVERDUE:
            message = f"{what} at {say_time(at)}, which is past: does beat run? `maestro status` tells."
            return Cause(code="overdue", message=message, holder="beat")
        return Cause(code=code, message=f"{what} at {say_time(at)}.", until=at)

    @staticmethod
    def _awaited(code: str, what: str, holder: str, until: datetime.datetime | None) -> Cause:
        limit = "" if until is None else f" It is over at {say_time(until)}."
        return Cause(code=code, message=f"{what}.{limit}", holder=holder, until=until)

    def _live_workers(self) -> list[Worker]:
        if self._workers is None:
            self._workers = list(Worker.objects.filter(lost_at=None, heartbeat_at__gt=self._now - LEASE))
        return self._workers


def say_pause(pause: Pause) -> str:
    """Return a sentence that says what is paused, by whom, since when and why."""
    names = {
        PauseScope.RUN: f"Run {pause.run_id}",
        PauseScope.WORKFLOW: f"Workflow {pause.workflow.name if pause.workflow else ''}",
        PauseScope.QUEUE: f"Queue {pause.queue}",
        PauseScope.ORGANIZATION: "Everything",
    }
    who = f" by {pause.paused_by.email}" if pause.paused_by else ""
    reason = f": {pause.reason}" if pause.reason else ""
    message = f"{names[PauseScope(pause.scope)]} is paused{who} since {say_time(pause.paused_at)}{reason}"
    return f"{message.rstrip('.')}."


def _ready(step: int) -> str:
    """Say that a task is ready, and whether others are taken before it or after it."""
    known = {priority.step: f", and its priority is {priority}" for priority in (Priority.HIGH, Priority.LOW)}
    return f"It is ready{known.get(step, '')}."


def _why_ended(run: WorkflowRun) -> str:
    if run.status == RunStatus.CANCELLED:
        return f", because {_say_cancelled(run)}."
    return f": {run.error_message}" if run.error_message else "."


def _say_cancelled(run: WorkflowRun) -> str:
    if run.cancelled_by:
        return f"{run.cancelled_by} has cancelled it"
    return "nobody waits for it any more" if run.is_awaited else "somebody has cancelled it"


def _of_ended(task: TaskExecution) -> Iterator[Cause]:
    at = say_time(task.finished_at)
    match task.status:
        case TaskStatus.SKIPPED:
            unmet = f"what it needs did not end as its run_if ({task.run_if}) asks"
            why = {
                Reason.UPSTREAM_FAILED: f"{unmet}: some of it failed",
                Reason.UPSTREAM_SKIPPED: f"{unmet}: some of it was skipped",
                Reason.CONDITION: "its condition (if) was false",
            }
            reason = why.get(Reason(task.reason), task.reason) if task.reason else "somebody skipped it"
            yield Cause(code="skipped", message=f"It was skipped at {at}, because {reason}.")
        case TaskStatus.FAILED:
            yield Cause(code="failed", message=f"It has failed at {at}: {task.error_message}")
        case TaskStatus.CANCELLED:
            yield Cause(code="cancelled", message=f"It was cancelled at {at}.")
        case _:
            yield Cause(code="ended", message=f"It has succeeded at {at}.")


def _undecided(task: TaskExecution, details: Mapping[str, Any]) -> Cause:
    who, deadline = approval.say_who_may(details), approval.deadline_of(details, task.wake_at)
    said = [f"It waits for a decision by {who}: `maestro approve {task.run_id} {task.task_key}`."]
    escalates_at = approval.escalates_at(details, task.wake_at)
    if escalates_at is not None:
        said.append(f"From {say_time(escalates_at)} on {approval.say_escalation(details)} may decide too.")
    if deadline is not None:
        ends = {"approve": "It is approved by itself", "reject": "It is rejected by itself"}
        said.append(f"{ends.get(details['on_deadline'], 'It is over')} at {say_time(deadline)}.")
    return Cause(code="approval", message=" ".join(said), holder=who, until=deadline)


def _paused(pause: Pause) -> Cause:
    return Cause(code="paused", message=say_pause(pause), holder=pause.paused_by.email if pause.paused_by else "")


def _names(keys: Iterable[str]) -> str:
    listed = list(keys)
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return ", ".join(listed[:MOST_NAMED]) + more
