"""The machine's processes: who is who in spite of recycled pids, who belongs to a group, who lost its parent."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection
from pathlib import Path

import psutil

SAME_BIRTH_SECONDS = 2.0
"""The kernel counts from boot; setting the clock moves the birth it reports by a little."""


def born_at(pid: int) -> float | None:
    """Return when a process started, seconds since the epoch; None when it does not run (any more)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def is_same(pid: int, birth: float | None) -> bool:
    """Tell whether the process that was born then under this pid still runs."""
    now = born_at(pid)
    return now is not None and birth is not None and abs(now - birth) < SAME_BIRTH_SECONDS


def group_members(group: int) -> list[int]:
    """Return the pids of a process group."""
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group and born_at(pid) is not None:
                members.append(pid)
    return members


def orphans(known: Collection[int]) -> list[int]:
    """Return children of this process that it did not start itself: descendants whose own parent died."""
    return [child.pid for child in psutil.Process().children() if child.pid not in known]


def reap(pid: int) -> None:
    """Take an adopted child that has ended off the kernel's list; one that still runs is left alone."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def with_variable(name: str, directory: Path) -> dict[int, str]:
    """Return pid and name of the other processes whose environment variable is the directory or lies below it."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            value = process.environ().get(name)
            if value and Path(value).is_relative_to(directory) and process.pid != os.getpid():
                found[process.pid] = process.name()
    return found


def works_in(pid: int, directory: Path) -> bool:
    """Tell whether a process has the directory as its working directory."""
    try:
        return Path(psutil.Process(pid).cwd()) == directory
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def send(pid: int, sent: signal.Signals) -> None:
    """Signal one process; one that is gone already is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sent)


def send_group(group: int, sent: signal.Signals) -> None:
    """Signal a process group; one that is gone already is no error."""
    # EPERM on a group can only mean that nothing of ours is left in it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sent)
