"""A stack seen from outside its supervisor: start it in the background, look at it, stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from maestro.embedded import announcement, ports, process_table
from maestro.embedded.errors import StartFailed, StopFailed
from maestro.embedded.home import Home, HomeLock
from maestro.embedded.options import StackOptions
from maestro.embedded.record import ProcessRecord, ProcessStatus, StackRecord, StackStatus, read_record

STOP_SECONDS = 90.0
POLL_SECONDS = 0.05
TAIL_LINES = 30
RECORD_SECONDS = 5.0
"""How long a supervisor that holds the lock may take to write its record."""


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


def stop(home: Home) -> bool:
    """Stop the home's stack and wait for its end; tell whether there was one. Raises HomeUnusable, StopFailed."""
    running = find_running(home)
    if running is None:
        return False
    try:
        os.kill(running.pid, signal.SIGTERM)
    except PermissionError as error:
        raise StopFailed(f"The stack in {home.path} is another user's: stop it as that user.") from error
    except ProcessLookupError:
        return True
    deadline = time.monotonic() + STOP_SECONDS
    while process_table.is_same(running.pid, running.born_at):
        if time.monotonic() > deadline:
            raise StopFailed(f"The stack in {home.path} (pid {running.pid}) still runs after {STOP_SECONDS:g} s.")
        time.sleep(POLL_SECONDS)
    return True


def start_detached(options: StackOptions) -> str:
    """Start the stack in the background; return the block to print once it is ready. Raises StackError."""
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
    return announcement.describe(home, record)


def _wait_until_ready(home: Home, child: subprocess.Popen[bytes]) -> StackRecord | None:
    """Wait for the supervisor below the child, its guard, to say ready; None when it ended instead."""
    while child.poll() is None:
        record = read_record(home)
        if record and record.status is StackStatus.READY and process_table.is_child(record.pid, child.pid):
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
