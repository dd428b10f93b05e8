"""A stack seen from outside its supervisor: start it in the background, look at it, stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

import pydantic

from maestro.embedded import leftovers, ports, process_table
from maestro.embedded.errors import StackAlreadyRunning, StartFailed, StopFailed
from maestro.embedded.home import Home, HomeLock
from maestro.embedded.leftovers import Leftover
from maestro.embedded.options import StackOptions
from maestro.embedded.record import ProcessRecord, ProcessStatus, StackRecord, StackStatus, read_record

STOP_SECONDS = 120.0
"""More than all the steps of a stop may take together, without the time that running tasks have to finish."""
POLL_SECONDS = 0.05
TAIL_LINES = 30
RECORD_SECONDS = 5.0
"""How long a supervisor that holds the lock may take to write its record."""


class Stop(pydantic.BaseModel):
    """What a stop found."""

    model_config = pydantic.ConfigDict(frozen=True)

    was_running: bool
    """Whether there was a supervisor to stop."""
    leftovers: tuple[Leftover, ...]
    """What a killed one had left running; ended now."""


def find_running(home: Home) -> StackRecord | None:
    """Return the record of the home's living stack; None when none runs. Raises HomeUnusable, StopFailed."""
    deadline = time.monotonic() + RECORD_SECONDS
    lock = HomeLock(home)
    while lock.is_held():
        record = read_record(home)
        if record and process_table.is_same(record.pid, record.born_at):
            return record
        if time.monotonic() > deadline:
            raise StopFailed(f"A process holds {home.lock}, but {home.record} does not say which. Stop it by hand.")
        time.sleep(POLL_SECONDS)
    return None


def look(home: Home) -> StackRecord | None:
    """Return what runs in the home now, also when its supervisor died without a word; None before the first start."""
    running = find_running(home)
    if running:
        return running
    last = read_record(home)
    if last is None:
        return None
    processes = tuple(_as_it_is(process) for process in last.processes)
    return last.model_copy(update={"status": StackStatus.STOPPED, "processes": processes})


def stop(home: Home) -> Stop:
    """Stop the home's stack, wait for its end, and end what a killed one left. Raises HomeUnusable, StopFailed."""
    running = find_running(home)
    if running:
        _stop_supervisor(home, running)
    return Stop(was_running=running is not None, leftovers=_end_leftovers(home))


def start_detached(options: StackOptions, environment: Mapping[str, str] | None = None) -> StackRecord:
    """Start the stack in the background; return its record once it is ready. Raises StackError.

    `environment` adds to ours, or replaces what is in it.
    """
    home = Home(options.home)
    home.create()
    # What would be refused at once is refused here, in plain words and not in the log of a running stack.
    lock = HomeLock(home)
    lock.acquire()
    lock.release()
    ports.require_free(api=options.port, flower=options.flower_port)
    descriptor = os.open(home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        beginning = os.fstat(log.fileno()).st_size
        child = subprocess.Popen(
            [sys.executable, "-m", "maestro.embedded", options.model_dump_json()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        record = _wait_until_ready(home, child)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    if record is None:
        raise StartFailed(f"The stack did not start. The end of {home.log}:\n\n{_tail(home, beginning)}")
    return record


def _stop_supervisor(home: Home, running: StackRecord) -> None:
    """Ask the supervisor to stop, and wait for its end and its guard's. Raises StopFailed."""
    births = {pid: process_table.born_at(pid) for pid in (running.pid, running.guard_pid) if pid}
    try:
        process_table.send(running.pid, signal.SIGTERM)
    except PermissionError as error:
        raise StopFailed(f"The stack in {home.path} is another user's: stop it as that user.") from error
    patience = STOP_SECONDS + running.drain_seconds
    deadline = time.monotonic() + patience
    while any(process_table.is_same(pid, birth) for pid, birth in births.items()):
        if time.monotonic() > deadline:
            raise StopFailed(f"The stack in {home.path} (pid {running.pid}) still runs after {patience:g} s.")
        time.sleep(POLL_SECONDS)


def _end_leftovers(home: Home) -> tuple[Leftover, ...]:
    """End what is left of a stack whose supervisor is gone; return what it was. Raises HomeUnusable, StopFailed."""
    if not home.lock.exists():
        return ()
    lock = HomeLock(home)
    try:
        lock.acquire()
    except StackAlreadyRunning:  # somebody started it again: what is there is not left over
        return ()
    try:
        found = leftovers.find_leftovers(home, read_record(home))
        leftovers.end_leftovers(home, found)
    finally:
        lock.release()
    return found


def _wait_until_ready(home: Home, child: subprocess.Popen[bytes]) -> StackRecord | None:
    """Wait for the supervisor below the child, its guard, to say ready; None when it ended instead."""
    while child.poll() is None:
        record = read_record(home)
        if record and record.guard_pid == child.pid and record.status is StackStatus.READY:
            return record
        time.sleep(POLL_SECONDS)
    return None


def _as_it_is(process: ProcessRecord) -> ProcessRecord:
    """Return the process as it is now that no supervisor keeps its record."""
    if process.pid is not None and process_table.is_same(process.pid, process.born_at):
        return process
    return process.model_copy(update={"status": ProcessStatus.STOPPED, "pid": None, "started_at": None})


def _tail(home: Home, beginning: int) -> str:
    """Return the last lines of this start's log."""
    with home.log.open("rb") as log:
        log.seek(beginning)
        return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:])
