"""Runs one subprocess of an attempt: its own process group, both outputs as they come, cancel, nothing left behind."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from executors.runtime.pipes import OutputPipes

POLL_SECONDS = 0.1
LINGER_SECONDS = 1.0
"""How long output is still read after the process ended while another one holds its pipes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExit:
    """How a subprocess ended."""

    status: int
    """Its exit status, or the negative number of the signal that killed it."""
    is_cancelled: bool
    """True when it was told to stop because the attempt was cancelled."""


def run_process(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    receive: Callable[[str, bytes], None],
    is_cancelled: Callable[[], bool],
    grace_seconds: float,
) -> ProcessExit:
    """Run a program until it ends and hand its output to `receive` as `stdout` or `stderr` and bytes, in order.

    Once cancelled it gets SIGTERM, and SIGKILL `grace_seconds` later. It reads nothing from stdin, sees `environment`
    and nothing else, and leads a process group of its own. What is left of the group when it ends is killed; a process
    that left the group is not waited for. Raises OSError when the program cannot be started.
    """
    with contextlib.closing(OutputPipes()) as pipes:
        stdout, stderr = pipes.writers
        process = subprocess.Popen(
            arguments,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            pipes.close_writers()
            stopped = _follow(process, pipes, receive, is_cancelled, grace_seconds)
        finally:
            _signal_group(process, signal.SIGKILL)
            process.wait()
    return ProcessExit(status=process.returncode, is_cancelled=stopped)


def _follow(
    process: subprocess.Popen[bytes],
    pipes: OutputPipes,
    receive: Callable[[str, bytes], None],
    is_cancelled: Callable[[], bool],
    grace_seconds: float,
) -> bool:
    """Read until the process has ended and its output too; return whether it was cancelled."""
    is_stopping = False
    kill_at = leave_at = math.inf
    while True:
        _read_ready(process, pipes, receive)
        now = time.monotonic()
        if process.poll() is not None:
            leave_at = min(leave_at, now + LINGER_SECONDS)
            if not pipes.is_open or now >= leave_at:
                return is_stopping
        elif now >= kill_at:
            _signal_group(process, signal.SIGKILL)
        elif not is_stopping and is_cancelled():
            _signal_group(process, signal.SIGTERM)
            is_stopping = True
            kill_at = now + grace_seconds


def _read_ready(process: subprocess.Popen[bytes], pipes: OutputPipes, receive: Callable[[str, bytes], None]) -> None:
    """Wait a moment for output, or for the end when both pipes are closed already, and pass on what there is."""
    if not pipes.is_open:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
        return
    for stream, chunk in pipes.read(POLL_SECONDS):
        receive(stream, chunk)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The group is gone, or only processes under another user are left of it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
