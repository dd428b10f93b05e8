"""Calls of Celery tasks that are somebody else's: making them, asking how they stand, revoking them (rules 4b and 9
of the engine protocol).

A call's state is its record in the result backend, which lives in the broker: written before the call is sent, then
overwritten by the worker that runs it. So a record that is gone says that the broker has lost the call too.
"""

from __future__ import annotations

import datetime
import difflib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from celery import Signature, current_app, signature, states
from kombu import serialization
from kombu.exceptions import DecodeError, OperationalError
from redis.exceptions import ResponseError

from executors.base import CeleryCall, JsonValue, TaskError, TaskResult
from executors.runtime.attempt import check_result
from maestro.core.clock import format_time
from workflows.dispatch import broker
from workflows.dispatch.broker import BrokerAway
from workflows.dispatch.hushed_calls import HEADER
from workflows.dispatch.messages import CallRef

logger = logging.getLogger(__name__)

CALL_SUCCEEDED = "workflows.dispatch.call_succeeded"
CALL_FAILED = "workflows.dispatch.call_failed"
# Where the ends of calls are told.
CALLBACK_QUEUE = "maestro"
# How long an attempt waits for a broker that is away, as it does for the database: were it to end, it would be lost,
# and a task is lost three times only. Meanwhile nobody sends its worker anything to do.
PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 1.0
# State of a call that no worker has begun, as far as the result backend knows.
SENT = "SENT"

FAILED_ELSEWHERE = TaskError(
    code="celery_task_failed",
    message="The Celery task failed. Why is in its worker's log: the worker stores no results where Maestro reads them "
    "(set its `result_backend` to Maestro's broker).",
)
# What became of a call that nobody wants any more.
CANCELLED = TaskResult(error=TaskError(code="cancelled", message="The run was cancelled.", is_retryable=False))


class _QueueRefused(Exception):
    """The broker has something else than a queue under that name."""


def begin(
    call: CeleryCall,
    ref: CallRef,
    *,
    shown_as: str,
    dated: datetime.datetime | None,
    is_hushed: bool,
    is_cancelled: Callable[[], bool],
) -> TaskResult | None:
    """Make the call, unless an earlier attempt's is known to have begun; return its result if it has even ended, or why
    it can never be made: `CANCELLED` when `is_cancelled` says so while the broker is away.

    `is_hushed` keeps what the task returns or raises out of Flower, and out of the log of Maestro's workers.

    Raises `BrokerAway` when it cannot be told whether the call was made: the broker has been away for long.
    """
    refusal = _check_known(call) or _check_arguments(call)
    if refusal is not None:
        return TaskResult(error=refusal)
    headers = {"queued_at": format_time(dated)} | ({HEADER: True} if is_hushed else {})
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _begin(call, ref, headers, shown_as)
        except BrokerAway as error:
            if is_cancelled():
                return CANCELLED
            if time.monotonic() >= deadline:
                raise
            logger.warning("Broker not available, a call is made later: %s", error)
            time.sleep(RETRY_SECONDS)


def _begin(call: CeleryCall, ref: CallRef, headers: Mapping[str, Any], shown_as: str) -> TaskResult | None:
    state = read_state(ref)
    if state is not None and state.get("status") != SENT:
        return result_of(state)
    try:
        with _broker():
            _send(call, ref, headers, shown_as)
    except _QueueRefused:
        message = f"with.queue: {call.queue!r} is the name of something else in the broker, so it cannot be a queue."
        return TaskResult(error=TaskError(code="celery_queue_refused", message=message, is_retryable=False))
    return None


def read_state(ref: CallRef) -> Mapping[str, Any] | None:
    """Return the record of a call and keep it from expiring; None when nothing is known of it. Raises `BrokerAway`."""
    backend = current_app.backend
    with _broker():
        record = backend.client.getex(backend.get_key_for_task(ref.celery_id), ex=backend.expires)
    if record is None:
        return None
    # Of a worker that stores something else than JSON: it is there, but says nothing.
    state = _decode(backend, record)
    return state if isinstance(state, dict) else {}


def _decode(backend: Any, record: bytes) -> Any:
    try:
        return backend.decode(record)
    except (DecodeError, ValueError):
        pass
    try:
        return json.loads(record)  # JSON in which Celery sees a type of its own that it does not know
    except ValueError:
        return None


def result_of(state: Mapping[str, Any]) -> TaskResult | None:
    """Return the result of a call that has ended, None of one that has not."""
    match state.get("status"):
        case states.SUCCESS:
            return check_result(TaskResult(output=state.get("result")))
        case states.FAILURE:
            return check_result(TaskResult(error=_error_of(state.get("result"))))
        case states.REVOKED:
            error = TaskError(code="celery_task_revoked", message="Somebody revoked the Celery task, or it expired.")
            return TaskResult(error=error)
    return None


def forget(ref: CallRef) -> None:
    """Remove what is left of a call whose worker has died, so that it can be made anew. Raises `BrokerAway`."""
    backend = current_app.backend
    broker.forget_delivery(ref.celery_id)
    with _broker():
        backend.client.delete(backend.get_key_for_task(ref.celery_id))


def revoke(refs: Iterable[CallRef]) -> None:
    """Tell workers not to begin calls that nobody waits for any more; what runs goes on. Best effort: never raises."""
    ids = [ref.celery_id for ref in refs]
    if not ids or broker.is_away():
        return
    try:
        with _broker():
            current_app.control.revoke(ids)
    except BrokerAway:
        logger.warning("%d calls could not be revoked: the broker does not answer", len(ids))


@contextmanager
def _broker() -> Iterator[None]:
    """Turn whatever a broker that is away makes of a request into `BrokerAway`."""
    if broker.is_away():
        raise BrokerAway("it did not answer a moment ago")
    try:
        yield
    except broker.AWAY as error:
        broker.note_away()
        raise BrokerAway(type(error).__name__) from error


def _check_known(call: CeleryCall) -> TaskError | None:
    """Refuse at once what Maestro's own workers, of which this is one, do not know."""
    known = current_app.tasks
    if call.queue is not None or call.task in known:
        return None
    near = difflib.get_close_matches(call.task, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    message = (
        f"with.task: Maestro's workers know no Celery task {call.task!r}.{hint} List its module in "
        "MAESTRO_CELERY_IMPORTS, or name the queue of the workers that know it by with.queue."
    )
    return TaskError(code="celery_task_unknown", message=message, is_retryable=False)


def _check_arguments(call: CeleryCall) -> TaskError | None:
    """Refuse arguments that no worker could read: it would drop the message, and the task would wait for ever."""
    for name, value in (("args", list(call.args)), ("kwargs", dict(call.kwargs))):
        kind, encoding, body = serialization.dumps(value, serializer="json")
        try:
            serialization.loads(body, kind, encoding)
        except DecodeError:
            message = (
                f"with.{name}: an object of nothing but __type__ and __value__ is a type of Celery's own, and Celery "
                "does not know this one. Use other names."
            )
            return TaskError(code="celery_arguments_refused", message=message, is_retryable=False)
    return None


def _send(call: CeleryCall, ref: CallRef, headers: Mapping[str, Any], shown_as: str) -> None:
    backend = current_app.backend
    record: dict[str, JsonValue] = {
        "status": SENT,
        "result": None,
        "traceback": None,
        "children": [],
        "task_id": ref.celery_id,
        # Where to look for it while no worker has begun it.
        "queue": call.queue or current_app.conf.task_default_queue,
    }
    # Before the call, or it could overwrite what the worker says; with `nx`, nor what it said of an earlier attempt's.
    backend.client.set(backend.get_key_for_task(ref.celery_id), backend.encode(record), nx=True, ex=backend.expires)
    try:
        current_app.send_task(
            call.task,
            list(call.args),
            dict(call.kwargs),
            task_id=ref.celery_id,
            link=_callback(CALL_SUCCEEDED, ref, headers, shown_as),
            link_error=_callback(CALL_FAILED, ref, headers, shown_as),
            headers=dict(headers),
            # What the task itself declares does not matter: Maestro reads JSON, and reads it from the result backend.
            serializer="json",
            ignore_result=False,
            add_to_parent=False,
            # What events, and so Flower, say of the arguments: inputs may hold what is not for everybody who watches.
            argsrepr="(…)",
            kwargsrepr="{…}",
            **({} if call.queue is None else {"queue": call.queue}),
        )
    except (OperationalError, ResponseError) as error:
        # The broker answers, to this request and to others: it is not away.
        if "WRONGTYPE" in str(error):
            raise _QueueRefused from error
        raise


def _callback(name: str, ref: CallRef, headers: Mapping[str, Any], shown_as: str) -> Signature:
    """Make the message by which the end of a call is told. Celery puts the result or the id of the call before it."""
    task = ref.task
    kwargs = {
        "run_id": str(task.run_id),
        "organization_id": str(task.organization_id),
        "task": [task.task_key, task.map_index, task.generation],
        "tries": ref.tries,
    }
    # By name and with all that matters for the way: the worker that sends it may know nothing of Maestro.
    # Its arguments are not shown: the first is what the call returned.
    return signature(
        name,
        kwargs=kwargs,
        queue=CALLBACK_QUEUE,
        serializer="json",
        headers=headers,
        shadow=shown_as,
        argsrepr="(…)",
    )


def _error_of(failure: JsonValue) -> TaskError:
    """Tell the exception that a worker stored as JSON."""
    if not isinstance(failure, Mapping):
        return FAILED_ELSEWHERE
    name, said = failure.get("exc_type"), failure.get("exc_message")
    text = ", ".join(str(part) for part in said) if isinstance(said, (list, tuple)) else str(said or "")
    if name == "NotRegistered":
        text = f"the workers of this queue know no Celery task {text}; with.task or with.queue names another one"
    return TaskError(code="celery_task_failed", message=f"{name}: {text}" if text else str(name))
