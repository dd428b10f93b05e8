"""Execute: from a message to a finished attempt, and on to what follows (section 2 of the engine protocol, rules 2 to
6).
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import logging
import math
import time
from collections.abc import Sequence

from celery.exceptions import Ignore

from executors import services as executor_services
from executors.base import CeleryCall, ChildRun, LogLine, TaskResult, TimeLimit, Wait
from executors.runtime.attempt import run_attempt
from maestro.core import sql
from workflows.catalog import cache
from workflows.catalog.cache import CompiledVersion
from workflows.definition.expressions import ExpressionFailed
from workflows.definition.secrets import Secrets
from workflows.definition.sections import HOOKS
from workflows.dispatch import (
    advance,
    call_watch,
    cancellation,
    celery_calls,
    children,
    finalise,
    late_writes,
    publish,
    signals,
)
from workflows.dispatch.children import PlannedChild
from workflows.dispatch.claim import Claim, claim_surely
from workflows.dispatch.finish import Finished, Outcome, finish, outcome_of
from workflows.dispatch.messages import CallRef, Holder, TaskRef
from workflows.dispatch.publish import RunRef
from workflows.dispatch.scope import make_scope
from workflows.runs import retention
from workflows.runs.statuses import Reason, TaskStatus

logger = logging.getLogger(__name__)

# How often a running attempt asks the database whether somebody cancelled it.
CANCEL_CHECK_SECONDS = 1.0


def execute_task(task: TaskRef, holder: Holder, *, canvas_ends: bool) -> None:
    """Run one task of a message, if a guard lets it, and do what its end asks for.

    `canvas_ends` says that no other signature follows in the canvas that carried the message.
    """
    claimed = claim_surely(task, holder)
    if claimed is None:
        sql.with_engine_connection(lambda connection: _do_unclaimed(connection, task))
        return
    if claimed.status is TaskStatus.SKIPPED:
        if claimed.finished_at is not None:
            publish.note_end(claimed.finished_at)
        if canvas_ends:
            _advance(claimed)
        return
    outcome = _run(claimed)
    finished = _finish(claimed, outcome)
    if isinstance(outcome, PlannedChild) and finished is not None and finished.status is not TaskStatus.CANCELLED:
        _note_child(claimed, outcome)
    if finished is not None:
        if finished.finished_at is None:
            if isinstance(outcome, Outcome) and outcome.reason == Reason.SIGNAL:
                # Sent before the wait began. Whoever sends one looks after this commit, or this looks after that one.
                sql.with_engine_connection(lambda connection: signals.take(connection, claimed.run_id))
            return  # parked: what follows is looked at when it ends
        publish.note_end(finished.finished_at)
    if isinstance(outcome, Outcome) and outcome.reason == Reason.CELERY and finished is not None:
        # Cancelled while it made its call.
        celery_calls.revoke([_call_of(claimed)])
    stops_run = isinstance(outcome, Outcome) and outcome.stops is not None
    if canvas_ends or stops_run or _was_held_or_lost(finished):
        _advance(claimed)


def _finish(claimed: Claim, outcome: Outcome | PlannedChild) -> Finished | None:
    """End the attempt, also when a connection dies meanwhile; note a result that comes too late."""
    may_be_written = False

    def once(connection: sql.Connection) -> Finished | None:
        nonlocal may_be_written
        was_tried, may_be_written = may_be_written, True
        finished = _end(connection, claimed, outcome)
        if finished is not None:
            return finished
        may_be_written = was_tried
        retention.delete_lines_of_gone_run(connection, claimed.run_id)
        dropped = outcome if isinstance(outcome, Outcome) else Outcome(status=TaskStatus.WAITING)
        if late_writes.note_if_late(connection, claimed, dropped, may_be_written=was_tried):
            logger.warning(
                "Dropped the result of attempt %d of task %s of run %s: its claim is no longer held",
                claimed.attempt,
                claimed.task_key,
                claimed.run_id,
            )
        return None

    return sql.with_engine_connection(once)


def _end(connection: sql.Connection, claimed: Claim, outcome: Outcome | PlannedChild) -> Finished | None:
    if isinstance(outcome, Outcome):
        if outcome.stops is None:
            return finish(connection, claimed, outcome)
        return cancellation.finish_and_stop(connection, claimed, outcome, outcome.stops)
    return children.begin(connection, claimed, outcome) or finish(
        connection, claimed, Outcome(status=TaskStatus.CANCELLED)
    )


def _was_held_or_lost(finished: Finished | None) -> bool:
    """Tell whether somebody else may count on this finish to look at what follows."""
    return finished is None or finished.hold != 0


def _do_unclaimed(connection: sql.Connection, task: TaskRef) -> None:
    """Do what the sender of a message that cannot be claimed counted on: an unclaimed message is not nothing."""
    row = connection.execute(
        "SELECT status, finished_at FROM task_executions"
        " WHERE run_id = %s AND organization_id = %s AND task_key = %s AND map_index IS NOT DISTINCT FROM %s",
        (task.run_id, task.organization_id, task.task_key, task.map_index),
    ).fetchone()
    if row is None:
        logger.warning("Ignored a message for task %s of run %s, which does not exist", task.task_key, task.run_id)
        return
    status = TaskStatus(str(row[0]))
    run = RunRef(run_id=task.run_id, organization_id=task.organization_id)
    if status is TaskStatus.PENDING:
        advance.advance_task(connection, run, advance.version_of_run(connection, task.run_id), task.task_key)
    elif status is TaskStatus.RUNNING:
        # Somebody runs it and goes on with the canvas afterwards. Were this delivery to return, Celery would count it
        # as the end of a header member and send the body too early, once and for all.
        raise Ignore
    elif status.is_terminal:
        if isinstance(row[1], datetime.datetime):
            publish.note_end(row[1])
        advance.advance_from(connection, run, advance.version_of_run(connection, task.run_id), [task.task_key])


def _advance(claimed: Claim) -> None:
    run = RunRef(run_id=claimed.run_id, organization_id=claimed.organization_id)

    def look(connection: sql.Connection) -> None:
        version = cache.get_version(connection, claimed.workflow_version_id)
        advance.advance_from(connection, run, version, [claimed.task_key])

    sql.with_engine_connection(look)


def _run(claimed: Claim) -> Outcome | PlannedChild:
    """Evaluate the task's expressions, run its kind and translate what came of it."""
    if claimed.hold == 2:
        return Outcome(status=TaskStatus.CANCELLED)
    version = sql.with_engine_connection(lambda connection: cache.get_version(connection, claimed.workflow_version_id))
    secrets = Secrets.of(version.definition.inputs, claimed.inputs)
    try:
        options = _render(claimed, version)
    except ExpressionFailed as error:
        message = secrets.hide_in_text(str(error))
        return Outcome(status=TaskStatus.FAILED, error_code="expression_failed", error_message=message)
    if options is None:
        return Outcome(status=TaskStatus.SKIPPED, reason=Reason.CONDITION)
    result = run_attempt(
        kind=version.task(claimed.task_key).uses,
        raw_options=options,
        run_id=claimed.run_id,
        organization_id=claimed.organization_id,
        workflow_name=version.definition.name,
        task_key=claimed.task_key,
        map_index=claimed.map_index,
        attempt=claimed.attempt,
        idempotency_token=idempotency_token(claimed),
        write_lines=lambda lines: _store_lines(sql.engine_connection(), claimed, secrets, lines),
        write_lines_again=lambda lines: _store_lines(sql.engine_connection(), claimed, secrets, lines, is_repeat=True),
        is_cancelled=_CancelWatch(claimed).is_cancelled,
        now=claimed.clock.now,
        time_limit=_time_limit(claimed),
        resumed=claimed.resumed,
    )
    if isinstance(result.waits_for, CeleryCall):
        outcome = _call(claimed, version, secrets, result.waits_for)
    elif isinstance(result.waits_for, ChildRun):
        child = result.waits_for
        planned = sql.with_engine_connection(lambda connection: children.plan(connection, claimed, child))
        given = TaskResult(output=planned.output) if isinstance(planned, PlannedChild) else TaskResult(error=planned)
        outcome = outcome_of(given, version, claimed.task_key, claimed.tries)
        # The output of a task that waits is the child's, and is judged at its end.
        if isinstance(planned, PlannedChild) and (planned.is_awaited or outcome.status is TaskStatus.SUCCEEDED):
            return planned
    elif result.waits_for is not None:
        outcome = _park(result.waits_for, secrets)
    else:
        outcome = outcome_of(result, version, claimed.task_key, claimed.tries)
    stops = outcome.stops and dataclasses.replace(outcome.stops, message=secrets.hide_in_text(outcome.stops.message))
    return dataclasses.replace(outcome, error_message=secrets.hide_in_text(outcome.error_message), stops=stops)


def _time_limit(claimed: Claim) -> TimeLimit | None:
    if claimed.grace_seconds is None:
        return None
    return TimeLimit(
        allowed_seconds=math.inf if claimed.seconds_allowed is None else claimed.seconds_allowed,
        seconds_left=math.inf if claimed.seconds_left is None else claimed.seconds_left,
        grace_seconds=claimed.grace_seconds,
    )


def _park(wait: Wait, secrets: Secrets) -> Outcome:
    told = {"message": secrets.hide_in_text(wait.message)} if wait.message else {}
    return Outcome(
        status=TaskStatus.WAITING,
        reason=wait.reason,
        wake_after=None if wait.seconds is None else datetime.timedelta(seconds=wait.seconds),
        wake_at=wait.until,
        waits_for={**wait.details, **told},
    )


def _call(claimed: Claim, version: CompiledVersion, secrets: Secrets, call: CeleryCall) -> Outcome:
    """Make the call that the attempt waits for; it parks, unless an earlier attempt's call has ended already."""
    ref = _call_of(claimed)
    ended = celery_calls.begin(
        call,
        ref,
        shown_as=f"{version.definition.name}.{claimed.task_key} ended",
        dated=claimed.started_at,
        is_hushed=bool(secrets.texts),
        is_cancelled=_CancelWatch(claimed).is_cancelled,
    )
    if ended is celery_calls.CANCELLED:
        # The broker did not say whether it was made.
        return Outcome(status=TaskStatus.CANCELLED, reason=Reason.UNCONFIRMED)
    if ended is not None:
        return outcome_of(ended, version, claimed.task_key, claimed.tries)
    where = f" in queue {call.queue}" if call.queue else ""
    _write_line(claimed, secrets, f"Called the Celery task {call.task}{where} as {ref.celery_id}; waiting for its end.")
    return Outcome(status=TaskStatus.WAITING, reason=Reason.CELERY, wake_after=call_watch.FIRST_LOOK)


def _note_child(claimed: Claim, child: PlannedChild) -> None:
    more = "; waiting for its end." if child.is_awaited else ", which goes on by itself."
    message = f"Started run {child.run.run.run_id} of {child.workflow_name}{more}"
    # Names are no secrets.
    _write_line(claimed, Secrets.of({}, {}), message)


def _write_line(claimed: Claim, secrets: Secrets, message: str) -> None:
    line = LogLine(stream="log", level="info", message=message, created_at=claimed.clock.now())
    sql.with_engine_connection(lambda connection: _store_lines(connection, claimed, secrets, [line]))


def _call_of(claimed: Claim) -> CallRef:
    task = TaskRef(
        run_id=claimed.run_id,
        organization_id=claimed.organization_id,
        task_key=claimed.task_key,
        map_index=claimed.map_index,
        generation=claimed.generation,
    )
    return CallRef(task=task, tries=claimed.tries)


def _render(claimed: Claim, version: CompiledVersion) -> dict[str, object] | None:
    """Evaluate `if:` and `with:`; None when the condition is false."""
    condition, options = version.condition(claimed.task_key), version.options(claimed.task_key)
    needed = cache.referenced_tasks(condition, options)
    tasks = sql.with_engine_connection(lambda connection: finalise.read_tasks(connection, claimed.run_id, needed))
    outcome = None
    if version.section(claimed.task_key) in HOOKS:
        outcome = sql.with_engine_connection(lambda connection: finalise.read_outcome(connection, claimed.run_id))
    scope = make_scope(
        inputs=claimed.inputs,
        tasks=tasks,
        run_id=claimed.run_id,
        workflow_name=version.definition.name,
        created_at=claimed.run_created_at,
        outcome=outcome,
    )
    if condition is not None and not condition.is_met(scope):
        return None
    rendered = options.render(scope)
    assert isinstance(rendered, dict)
    return rendered


def idempotency_token(claimed: Claim) -> str:
    """Make the token that is the same for every attempt of a task of a run until somebody reruns the task."""
    identity = f"{claimed.run_id}/{claimed.task_key}/{claimed.map_index}/{claimed.generation}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _store_lines(
    connection: sql.Connection, claimed: Claim, secrets: Secrets, lines: Sequence[LogLine], *, is_repeat: bool = False
) -> None:
    if secrets.texts:
        lines = [dataclasses.replace(line, message=secrets.hide_in_text(line.message)) for line in lines]
    executor_services.store_log_lines(
        connection,
        organization_id=claimed.organization_id,
        run_id=claimed.run_id,
        task_key=claimed.task_key,
        map_index=claimed.map_index,
        attempt=claimed.attempt,
        lines=lines,
        is_repeat=is_repeat,
    )


class _CancelWatch:
    """Tells a running attempt whether its claim is gone or somebody cancelled it, asking the database now and then."""

    def __init__(self, claimed: Claim) -> None:
        self._claimed = claimed
        self._asked_at = time.monotonic()
        self._is_cancelled = False

    def is_cancelled(self) -> bool:
        """Tell whether the attempt should stop."""
        if not self._is_cancelled and time.monotonic() - self._asked_at >= CANCEL_CHECK_SECONDS:
            self._is_cancelled = self._ask()
            self._asked_at = time.monotonic()
        return self._is_cancelled

    def _ask(self) -> bool:
        """Ask once: the user's code must not wait for a database that is away."""
        try:
            row = (
                sql.engine_connection()
                .execute(
                    "SELECT hold FROM task_executions WHERE id = %s AND status = 'running' AND claim_token = %s",
                    (self._claimed.id, self._claimed.claim_token),
                )
                .fetchone()
            )
        except sql.UNAVAILABLE:
            sql.drop_engine_connection()
            return False
        return row is None or row[0] == 2
