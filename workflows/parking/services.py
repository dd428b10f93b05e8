"""What people and programs do to tasks that wait for them: send signals, approve and reject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg.rows import dict_row, scalar_row
from psycopg.types.json import Jsonb

from accounts import selectors as accounts
from accounts.actor import Actor
from accounts.permissions.roles import Permission
from accounts.selectors import Member
from executors.base import TaskResult
from executors.runtime.attempt import check_result
from maestro.core import sql
from workflows.catalog import cache
from workflows.catalog.cache import CompiledVersion
from workflows.definition.awaited import AwaitedSignal, awaited_signals, form_of, resolve_form, resolve_payload
from workflows.definition.canonical import comparable_json
from workflows.definition.problems import Problem
from workflows.definition.values import JsonValue
from workflows.dispatch import signals, waits
from workflows.dispatch.waits import Waiting
from workflows.errors import (
    AlreadyDecided,
    ApprovalNotAwaited,
    FormRefused,
    NotAnApprover,
    PayloadRefused,
    RunAlreadyFinished,
    RunIsEnding,
    RunIsPaused,
    RunNotFound,
    SignalKeyReused,
    SignalNotAwaited,
    SignalUnknown,
    TaskNotFound,
)
from workflows.models import ApprovalDecision, RunSignal
from workflows.parking import approval, selectors
from workflows.parking.approval import Outcome
from workflows.runs.statuses import OPEN_TASK_STATUSES, Reason, RunStatus, TaskStatus

_FIND_RUN = """
SELECT workflow_version_id FROM workflow_runs
WHERE id = %(run_id)s AND organization_id = %(organization_id)s AND pruned_at IS NULL
"""
_LOCK_RUN = """
SELECT status, hold, section FROM workflow_runs
WHERE id = %(run_id)s AND organization_id = %(organization_id)s AND pruned_at IS NULL
FOR NO KEY UPDATE
"""
_FIND_SIGNAL_OF_KEY = "SELECT id, name, payload FROM run_signals WHERE run_id = %(run_id)s AND key = %(key)s"
# A hook, or a task of a run that begins later, has no row yet; hooks of another outcome will have none.
_COUNT_SIGNALS = """
SELECT (SELECT count(*) FROM run_signals WHERE run_id = %(run_id)s AND name = %(name)s AND taken_at IS NULL) AS untaken,
       count(*) FILTER (WHERE t.status = ANY (%(open_statuses)s) OR (
           t.id IS NULL AND (%(section)s = 'tasks' OR (%(section)s <> 'finally' AND named.section = 'finally'))
       )) AS open_tasks
FROM unnest(%(task_keys)s::text[], %(sections)s::text[]) AS named (task_key, section)
     LEFT JOIN task_executions t ON t.run_id = %(run_id)s AND t.task_key = named.task_key
"""
_INSERT_SIGNAL = """
INSERT INTO run_signals (organization_id, run_id, name, payload, key, user_id, received_at)
VALUES (
    %(organization_id)s, %(run_id)s, %(name)s, %(payload)s, %(key)s, %(user_id)s, clock_timestamp()
)
RETURNING id
"""


def send_signal(*, actor: Actor, run_id: UUID, name: str, payload: JsonValue = None, key: str = "") -> RunSignal:
    """Send a signal to a run; a task that waits for its name, now or later, takes its payload as its output.

    `key` is the sender's own id of the signal: what is sent again by the same one is the same signal. Raises
    `RunNotFound`, `SignalUnknown`, `PayloadRefused` with every problem, `SignalKeyReused`, `RunAlreadyFinished`,
    `RunIsEnding`, and `SignalNotAwaited` when every task that waits for the name has a signal already.
    """
    actor.require(Permission.SIGNAL_RUNS)
    connection = sql.request_connection()
    version = _get_version(connection, actor, run_id)
    awaited = _get_awaited_signal(version, name)
    value, problems = resolve_payload(awaited, payload)
    if problems:
        raise PayloadRefused(problems)
    given = {
        "run_id": run_id,
        "organization_id": actor.organization_id,
        "user_id": actor.user_id,
        "name": name,
        "payload": Jsonb(value),
        "key": key,
        "task_keys": list(awaited.task_keys),
        "sections": [version.section(key) for key in awaited.task_keys],
        "open_statuses": list(OPEN_TASK_STATUSES),
    }
    with transaction.atomic():
        signal_id = _store_signal(connection, given, value)
    # In a transaction of its own: a task that parked before the commit above could not see the signal.
    signals.take(connection, run_id)
    return RunSignal.objects.select_related("run__workflow_version", "task_execution", "user").get(id=signal_id)


def decide_approval(
    *,
    actor: Actor,
    run_id: UUID,
    task_key: str,
    outcome: Outcome,
    comment: str = "",
    form: Mapping[str, JsonValue] | None = None,
) -> ApprovalDecision:
    """Approve or reject what a task asks. Deciding the same again changes nothing.

    A form has to be answered only to approve. Raises `RunNotFound`, `TaskNotFound`, `ApprovalNotAwaited`,
    `AlreadyDecided`, `NotAnApprover`, `RunIsPaused`, and `FormRefused` with every problem.
    """
    actor.require(Permission.DECIDE_APPROVALS)
    member = accounts.get_member(actor=actor)
    connection = sql.request_connection()
    given = {"run_id": run_id, "organization_id": actor.organization_id, "task_key": task_key}
    with transaction.atomic():
        _lock_run(connection, given)
        status, hold, task = _get_task(connection, given)
        version = cache.get_version(connection, task.workflow_version_id)
        questions = form_of(version.task(task_key).options)
        answers, problems = resolve_form(questions, form or {}, is_whole=outcome is Outcome.APPROVED)
        decision = ApprovalDecision(
            organization_id=actor.organization_id,
            task_execution_id=task.id,
            claim_token=task.claim_token,
            outcome=outcome,
            user_id=actor.user_id,
            email=member.email,
            comment=comment,
            form=answers,
            decided_at=task.read_at,
        )
        before = _find_decision(task, status)
        if before is None:
            _require_open(actor, member, task, status, hold)
            result = _result_of(decision)
            if outcome is Outcome.APPROVED and result.error is not None:
                problems = problems or [Problem(code="too_large", path=("form",), message=result.error.message)]
            if problems:
                raise FormRefused(problems)
            if waits.write_end(connection, task, version, result, _note_of(decision)) is None:
                # Its deadline came first, a moment ago.
                raise ApprovalNotAwaited(task_key, _get_task(connection, given)[0])
            decision.save(force_insert=True)
        elif not _is_same(before, decision):
            raise AlreadyDecided(outcome=before.outcome, email=before.email, decided_at=before.decided_at)
    # Also when this was decided before: whoever did may not have lived to look.
    waits.follow(connection, task, version)
    return before or decision


def _get_version(connection: sql.Connection, actor: Actor, run_id: UUID) -> CompiledVersion:
    with sql.cursor(connection, scalar_row) as cursor:
        given = {"run_id": run_id, "organization_id": actor.organization_id}
        version_id = cursor.execute(_FIND_RUN, given).fetchone()
    if version_id is None:
        raise RunNotFound
    return cache.get_version(connection, version_id)


def _get_awaited_signal(version: CompiledVersion, name: str) -> AwaitedSignal:
    known = awaited_signals(version.definition)
    if name not in known:
        raise SignalUnknown(name, list(known))
    return known[name]


def _store_signal(connection: sql.Connection, given: Mapping[str, Any], value: JsonValue) -> int:
    """Store a signal and return its id, or that of the same signal sent before."""
    run = _lock_run(connection, given)
    with sql.cursor(connection, dict_row) as cursor:
        before = cursor.execute(_FIND_SIGNAL_OF_KEY, given).fetchone() if given["key"] else None
        if before is not None:
            if (before["name"], comparable_json(before["payload"])) != (given["name"], comparable_json(value)):
                raise SignalKeyReused(given["key"])
            return int(before["id"])
        if RunStatus(run["status"]).is_terminal:
            raise RunAlreadyFinished(run["status"])
        if run["hold"] == 2:
            raise RunIsEnding
        counted = cursor.execute(_COUNT_SIGNALS, {**given, "section": run["section"]}).fetchone()
        assert counted is not None
        if counted["untaken"] >= counted["open_tasks"]:
            raise SignalNotAwaited(given["name"], open_tasks=counted["open_tasks"])
        stored = cursor.execute(_INSERT_SIGNAL, given).fetchone()
    assert stored is not None
    return int(stored["id"])


def _lock_run(connection: sql.Connection, given: Mapping[str, Any]) -> dict[str, Any]:
    with sql.cursor(connection, dict_row) as cursor:
        run: dict[str, Any] | None = cursor.execute(_LOCK_RUN, given).fetchone()
    if run is None:
        raise RunNotFound
    return run


def _get_task(connection: sql.Connection, given: Mapping[str, Any]) -> tuple[TaskStatus, int, Waiting]:
    """Return the status, the hold and the latest wait of a task of a run whose row is locked."""
    found = waits.find(connection, given["run_id"], given["task_key"]) if "\0" not in given["task_key"] else None
    if found is None:
        raise TaskNotFound(given["task_key"])
    return found


def _require_open(actor: Actor, member: Member, task: Waiting, status: TaskStatus, hold: int) -> None:
    """Refuse unless the task waits for a decision, of this actor among others, and may go on."""
    if status is not TaskStatus.WAITING or task.reason != Reason.APPROVAL:
        raise ApprovalNotAwaited(task.task_key, status, task.reason)
    details = task.details or {}
    if not selectors.may_decide(actor=actor, member=member, details=details):
        raise NotAnApprover(approval.say_who_may(details))
    if hold:
        raise RunIsPaused


def _find_decision(task: Waiting, status: TaskStatus) -> ApprovalDecision | None:
    """Return what has ended the task's latest wait, if somebody has decided it.

    An approval whose output breaks the task's contract is asked for again: until then the decision stands.
    """
    if not status.is_terminal and task.reason != Reason.RETRY_BACKOFF:
        return None
    return ApprovalDecision.objects.filter(task_execution_id=task.id, claim_token=task.claim_token).first()


def _is_same(one: ApprovalDecision, other: ApprovalDecision) -> bool:
    return (one.outcome, one.user_id, one.comment, comparable_json(one.form)) == (
        other.outcome,
        other.user_id,
        other.comment,
        comparable_json(other.form),
    )


def _result_of(decision: ApprovalDecision) -> TaskResult:
    if decision.outcome == Outcome.REJECTED:
        return check_result(approval.rejected(by=decision.email, comment=decision.comment))
    return check_result(
        approval.approved(
            by=decision.email, comment=decision.comment, form=decision.form, decided_at=decision.decided_at
        )
    )


def _note_of(decision: ApprovalDecision) -> str:
    comment = f": {decision.comment}" if decision.comment else "."
    return f"{decision.outcome.capitalize()} by {decision.email}{comment}"
