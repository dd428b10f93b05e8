"""The kind `shell`: a command for `/bin/sh`. The process itself is run by `executors.runtime.process`."""

from __future__ import annotations

import errno
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ClassVar, NoReturn

from pydantic import AfterValidator, Field

from executors.base import (
    CANCELLED,
    MAX_OUTPUT_BYTES,
    JsonValue,
    Options,
    TaskContext,
    TaskError,
    TaskRequest,
    TaskResult,
    Workspace,
)
from executors.kinds.values import ScalarText
from executors.runtime.lines import LineSplitter
from executors.runtime.process import ProcessExit, run_process

STDOUT_LIMIT_BYTES = 64 * 1024
"""How much of the end of stdout becomes part of the output."""
_RESERVED_PREFIX = "MAESTRO_"


def _check_text(value: str) -> str:
    if "\x00" in value:
        raise ValueError("has a NUL character, which no program can be passed")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("has a lone surrogate, which is not text") from None
    return value


def _check_name(name: str) -> str:
    if not (name.isascii() and name.isidentifier()):
        raise ValueError("is no name of an environment variable: letters, digits and _ only, no digit first")
    if name.startswith(_RESERVED_PREFIX):
        raise ValueError(f"is reserved: names that begin with {_RESERVED_PREFIX} are set by the platform")
    return name


Text = Annotated[str, AfterValidator(_check_text)]
EnvironmentName = Annotated[str, AfterValidator(_check_name)]
EnvironmentValue = Annotated[ScalarText, AfterValidator(_check_text)]


class ShellOptions(Options):
    """Options of `shell`.

    The task's output is the JSON that the command wrote to the file named by `$MAESTRO_OUTPUT`; when it wrote none,
    it is `{"exit_code": 0, "stdout": "…", "stdout_truncated": false}`, where `stdout` is the last 64 KiB without the
    newlines at its end. An exit status other than 0 fails the task. What the command leaves running in the background
    is killed when it ends.

    The command runs as the user of the worker: the clean environment hides the platform's secrets, but it is no
    isolation, for that user may read the worker's `/proc/<pid>/environ`.
    """

    command: Annotated[str, Field(min_length=1), AfterValidator(_check_text)] = Field(
        description='The command line for `/bin/sh -c`. Pass values by `env` and quote them (`"$NAME"`): '
        "an expression inside the command is read as shell code."
    )
    env: dict[EnvironmentName, EnvironmentValue] = Field(
        default_factory=dict,
        description="Environment variables, beside PATH, HOME, LANG, TMPDIR and MAESTRO_*. Numbers and booleans "
        "become text.",
    )
    cwd: Text | None = Field(
        default=None,
        description="Directory to run in, absolute or relative to the attempt's own; by default the attempt's own, "
        "which is empty at first and removed afterwards.",
    )


class ShellExecutor:
    """Runs a command line in a clean environment and a directory of its own."""

    kind: ClassVar[str] = "shell"
    summary: ClassVar[str] = "Runs a command with /bin/sh in a clean environment and a directory of its own."
    Options = ShellOptions

    def execute(self, request: TaskRequest[ShellOptions], context: TaskContext) -> TaskResult:
        """Run the command, pass its lines on as they come, and read its output."""
        options = request.options
        workspace = context.workspace()
        directory = workspace.directory / (options.cwd or "")
        if not directory.is_dir():
            return _failed("directory_not_found", f"with.cwd: {options.cwd} is not a directory on this worker.")
        receiver = _Receiver(context)
        try:
            end = run_process(
                ["/bin/sh", "-c", options.command],
                environment={**workspace.environment, **options.env},
                directory=directory,
                receive=receiver.receive,
                is_cancelled=context.is_cancelled,
                grace_seconds=context.grace_seconds(),
            )
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            message = "The command with its env is longer than the system takes (128 KiB for one value on Linux)."
            return _failed("command_too_long", message)
        finally:
            receiver.close()
        if end.is_cancelled:
            return TaskResult(error=CANCELLED)
        return _failure(end, receiver) or _success(workspace, receiver)


class _Receiver:
    """Passes output on as lines and remembers what result and error message are made of."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context
        self._splitters = {stream: LineSplitter(self._writer(stream)) for stream in ("stdout", "stderr")}
        self._tail = bytearray()
        self.is_truncated = False
        self.last_error_line = ""

    @property
    def stdout(self) -> str:
        """The end of stdout as text, without the newlines at its end, as `$(…)` has it."""
        # A cut may leave up to three bytes of a character behind.
        tail = bytes(self._tail).lstrip(bytes(range(0x80, 0xC0))) if self.is_truncated else bytes(self._tail)
        return tail.decode(errors="replace").replace("\x00", "\\x00").rstrip("\n")

    def receive(self, stream: str, chunk: bytes) -> None:
        """Take a piece of output."""
        self._splitters[stream].feed(chunk)
        if stream == "stdout":
            self._tail += chunk
            self.is_truncated = self.is_truncated or len(self._tail) > STDOUT_LIMIT_BYTES
            del self._tail[:-STDOUT_LIMIT_BYTES]

    def close(self) -> None:
        """Pass on the last lines."""
        for splitter in self._splitters.values():
            splitter.close()

    def _writer(self, stream: str) -> Callable[[str], None]:
        def write(line: str) -> None:
            if stream == "stderr" and line.strip():
                self.last_error_line = line.strip()[:500]
            self._context.write_line(line, stream=stream)

        return write


def _failure(end: ProcessExit, receiver: _Receiver) -> TaskResult | None:
    if end.status == 0:
        return None
    detail = f": {receiver.last_error_line}" if receiver.last_error_line else "."
    if end.status < 0:
        return _failed(
            "killed_by_signal", f"The command was killed by {_signal_name(-end.status)}{detail}", is_retryable=True
        )
    # A shell reports a program killed by a signal as 128 and the signal's number.
    hint = (
        f" (a program it ran was killed by {_signal_name(end.status - 128)})" if end.status in _KILLED_STATUSES else ""
    )
    return _failed("exit_status", f"The command exited with status {end.status}{hint}{detail}", is_retryable=True)


def _success(workspace: Workspace, receiver: _Receiver) -> TaskResult:
    path = workspace.output_file
    if not path.exists():
        stdout, is_truncated = receiver.stdout, receiver.is_truncated
        return TaskResult(output={"exit_code": 0, "stdout": stdout, "stdout_truncated": is_truncated})
    if not path.is_file():
        return _failed("invalid_output_file", "$MAESTRO_OUTPUT is not a regular file.")
    size = path.stat().st_size
    if size > MAX_OUTPUT_BYTES:
        return _failed("output_too_large", f"$MAESTRO_OUTPUT is {size:,} bytes; at most {MAX_OUTPUT_BYTES:,} are read.")
    return _read_output(path)


def _read_output(path: Path) -> TaskResult:
    try:
        output: JsonValue = json.loads(path.read_bytes(), parse_constant=_refuse_constant, parse_int=_read_integer)
    except RecursionError:
        return _failed("invalid_output_file", "$MAESTRO_OUTPUT is nested too deeply.")
    except ValueError as error:
        return _failed("invalid_output_file", f"$MAESTRO_OUTPUT is not JSON in UTF-8: {error}")
    return TaskResult(output=output)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _read_integer(digits: str) -> int:
    """Read an integer; of one far beyond 64 bits only that it is, because Python refuses to read it."""
    return int(digits) if len(digits) <= len(str(-(2**63))) else 2**64


_KILLED_STATUSES = frozenset(128 + number for number in signal.valid_signals())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _failed(code: str, message: str, *, is_retryable: bool = False) -> TaskResult:
    return TaskResult(error=TaskError(code=code, message=message, is_retryable=is_retryable))
