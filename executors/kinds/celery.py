"""The kind `celery`: a Celery task that is there already. Sending it, and learning of its end, is the engine's part."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from executors.base import CeleryCall, JsonValue, Options, TaskContext, TaskRequest, TaskResult

# Whoever writes a workflow must not speak to the engine itself, which trusts what its messages say.
_PLATFORM_PACKAGES = frozenset({"accounts", "billing", "celery", "executors", "maestro", "workflows"})
# Nor write over what the broker keeps under names of its own, which to Redis are names like those of queues.
_BROKER_KEYS = ("unacked", "_kombu.", "celery-task", "celeryev")


def _check_name(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("should be printable text without spaces around it")
    return value


def _check_task(value: str) -> str:
    package = _check_name(value).partition(".")[0]
    if package in _PLATFORM_PACKAGES:
        raise ValueError(f"tasks of {package} itself cannot be called; name one of your own application")
    return value


def _check_queue(value: str) -> str:
    if _check_name(value).startswith(_BROKER_KEYS) or value.endswith(".pidbox"):
        raise ValueError("is a name the broker keeps for itself; name the queue your workers read")
    return value


class CeleryOptions(Options):
    """Options of `celery`.

    The task is sent to its workers, and the worker that sent it is free at once: the task execution is `waiting` until
    the Celery task has ended. What it returns is the output and must be JSON values; an exception fails the task. It
    may run more than once, as every task may: make its effect idempotent.
    """

    task: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_check_task)] = Field(
        description="Name of the Celery task, as its workers list it: `package.module.function` unless it was given "
        "another."
    )
    args: tuple[JsonValue, ...] = Field(default=(), description="Positional arguments of the call.")
    kwargs: dict[str, JsonValue] = Field(default_factory=dict, description="Keyword arguments of the call.")
    queue: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_queue)] | None = Field(
        default=None,
        description="Queue of the workers that know the task; by default Maestro's own workers are asked, which import "
        "the modules the operator lists in `MAESTRO_CELERY_IMPORTS`.",
    )


class CeleryExecutor:
    """Asks the engine to call a Celery task and to wait for its end."""

    kind: ClassVar[str] = "celery"
    summary: ClassVar[str] = "Calls a Celery task of your own application and waits for it without holding a worker."
    Options = CeleryOptions

    def execute(self, request: TaskRequest[CeleryOptions], context: TaskContext) -> TaskResult:
        """Return the call as what the attempt waits for."""
        options = request.options
        call = CeleryCall(task=options.task, args=options.args, kwargs=options.kwargs, queue=options.queue)
        return TaskResult(waits_for=call)
