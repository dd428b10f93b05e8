"""The kind `python`: a function called inside the worker, so code the operator trusts (`MAESTRO_TASK_MODULES`)."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Annotated, ClassVar

from django.conf import settings
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from executors.base import CANCELLED, JsonValue, Options, TaskContext, TaskError, TaskRequest, TaskResult
from executors.runtime.capture import captured_output
from executors.runtime.interrupt import interruptible
from maestro.core.user_code import current_task
from maestro.core.user_code.calling import CallRefused, call_function
from maestro.core.user_code.current_task import CurrentTask
from maestro.core.user_code.exceptions import TaskFailed, TaskInterrupted, error_code, summarize

# Frames between the worker and the user's function, which tell the user nothing.
_PLATFORM_PACKAGES = frozenset({"asyncio", "executors", "importlib", "maestro"})
_WORKER_PACKAGES = frozenset({"billiard", "celery"})


def _check_path(value: str) -> str:
    module, _, name = value.rpartition(".")
    if not (module and all(part.isidentifier() for part in (*module.split("."), name))):
        raise ValueError("should be the path of a function: package.module.function")
    allowed_modules = settings.MAESTRO_TASK_MODULES
    if not _is_allowed(module, allowed_modules):
        # Told when the definition is applied. Whether there is such a function only the task's run can tell: workers
        # may have other code than the API.
        raise PydanticCustomError(
            "module_not_allowed",
            "module {module} is not allowed here; allowed are (MAESTRO_TASK_MODULES): {allowed}",
            {"module": repr(module), "allowed": ", ".join(allowed_modules) or "none"},
        )
    return value


class PythonOptions(Options):
    """Options of `python`.

    The function is called inside the worker with `args` as keyword arguments; what it returns is the task's output and
    must be JSON values (tuples become lists); a function decorated by `maestro.sdk.task` takes and returns what its
    annotations say. An `async` function is run to its end. Prints, stderr and `logging` from level INFO up become the
    task's log. An exception fails the task: its class in snake_case is the error's code. When the time of its attempt
    is over, `maestro.sdk.TimeLimitReached` is raised in it, wherever it is; when the run is cancelled,
    `current_task().is_cancelled()` says so, and three seconds later `maestro.sdk.TaskCancelled` is raised.
    """

    function: Annotated[str, AfterValidator(_check_path)] = Field(
        description="Path of the function: `package.module.function`. The operator lists the allowed modules "
        "in `MAESTRO_TASK_MODULES`."
    )
    args: dict[str, JsonValue] = Field(default_factory=dict, description="Keyword arguments of the call.")


class PythonExecutor:
    """Calls a function of an allowed module inside the worker."""

    kind: ClassVar[str] = "python"
    summary: ClassVar[str] = "Calls a Python function of a module the operator allows, inside the worker."
    Options = PythonOptions

    def execute(self, request: TaskRequest[PythonOptions], context: TaskContext) -> TaskResult:
        """Find the function, call it with everything it prints and logs captured, and return its value."""
        options = request.options
        # A process that its worker started while it handled an exception of its own is in that handler for ever.
        handled = sys.exc_info()[1]
        with captured_output(context), current_task.running(_current_task(request, context)):
            try:
                function = _find_function(options.function, settings.MAESTRO_TASK_MODULES)
                with interruptible(context.seconds_left(), context.is_cancelled):
                    return TaskResult(output=call_function(options.function, function, options.args))
            except CallRefused as refusal:
                error = TaskError(code=refusal.code, message=refusal.message, is_retryable=False)
                return TaskResult(error=error)
            except BaseException as error:
                if _is_worker_stopping(error):
                    raise
                _detach(error, handled)
                _write_traceback(error, context)
                has_stopped = context.is_cancelled() and _comes_from_interruption(error)
                return TaskResult(error=CANCELLED if has_stopped else _error_of(error))


def _comes_from_interruption(error: BaseException) -> bool:
    """Tell whether the code failed because it was to stop: by that exception, by one raised while it was handled, or
    by a group that holds it. A `TaskFailed` is what the code itself says.
    """
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        current = rest.pop()
        if current is None or id(current) in seen or isinstance(current, TaskFailed):
            continue
        if isinstance(current, TaskInterrupted):
            return True
        seen.add(id(current))
        rest += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            rest += current.exceptions
    return False


def _error_of(error: BaseException) -> TaskError:
    code, message = error_code(error), summarize(error)
    if isinstance(error, TaskFailed):
        return TaskError(code=code, message=message, is_retryable=error.is_retryable, retry_after=error.retry_after)
    return TaskError(code=code, message=message)


def _find_function(path: str, allowed_modules: Sequence[str]) -> Callable[..., object]:
    module_name, _, name = path.rpartition(".")
    function: object = getattr(_import_module(module_name), name, None)
    if function is None:
        raise CallRefused("function_not_found", f"with.function: module {module_name!r} has no {name!r}.")
    if not callable(function) or inspect.isclass(function):
        raise CallRefused(
            "function_not_found", f"with.function: {path} is a {type(function).__name__}, not a function."
        )
    # Else `from subprocess import run` in an allowed module would allow `run` to everybody who writes a workflow.
    home = getattr(function, "__module__", None)
    if not (isinstance(home, str) and _is_allowed(home, allowed_modules)):
        raise CallRefused(
            "module_not_allowed",
            f"with.function: {path} comes from module {home!r}, which is not allowed here. Define it in an allowed "
            "module, or keep its name by functools.wraps if it is decorated. "
            f"Allowed (MAESTRO_TASK_MODULES): {', '.join(allowed_modules)}.",
        )
    return function


def _is_allowed(module_name: str, allowed_modules: Sequence[str]) -> bool:
    return any(module_name == allowed or module_name.startswith(f"{allowed}.") for allowed in allowed_modules)


def _import_module(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise CallRefused(
                "function_not_found", f"with.function: the worker finds no module {error.name!r}."
            ) from error
        raise


def _current_task(request: TaskRequest[PythonOptions], context: TaskContext) -> CurrentTask:
    return CurrentTask(
        run_id=request.run_id,
        workflow_name=request.workflow_name,
        task_key=request.task_key,
        map_index=request.map_index,
        attempt=request.attempt,
        idempotency_token=request.idempotency_token,
        is_cancelled=context.is_cancelled,
    )


def _is_worker_stopping(error: BaseException) -> bool:
    """Tell whether a signal handler of the worker raised this, not the user's code: the attempt is lost, not failed."""
    if not isinstance(error, SystemExit) or error.__traceback__ is None:
        return False
    innermost = error.__traceback__
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
    return _package(innermost) in _WORKER_PACKAGES


def _detach(error: BaseException, handled: BaseException | None) -> None:
    """Cut an exception of user code, and those it comes from, off one that was being handled when it was called."""
    seen: set[int] = set()
    rest: list[BaseException | None] = [error] if handled is not None else []
    while rest:
        current = rest.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        if current.__context__ is handled:
            current.__context__ = None
        rest += [current.__cause__, current.__context__]


def _write_traceback(error: BaseException, context: TaskContext) -> None:
    trace = error.__traceback__
    while trace is not None and _package(trace) in _PLATFORM_PACKAGES:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    context.write_line(text.rstrip("\n"), stream="log", level="error")


def _package(trace: TracebackType) -> str:
    return str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
