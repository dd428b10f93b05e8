"""Ending a worker's process together with all that it has started."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psutil

# How long the system may take to end what was killed.
_WAIT_SECONDS = 1.0
_LOOK_SECONDS = 0.02


def kill_tree(pid: int) -> bool:
    """Kill a process of this worker and its descendants, with their process groups; tell whether all have ended.

    The process stands still first, so that it starts nothing meanwhile. Its end is left for its pool to collect.
    """
    try:
        process = psutil.Process(pid)
        process.suspend()
        tree = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return True
    own_group = os.getpgrp()
    for each in tree:
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            # A subprocess of an attempt has a group of its own, some of which may have no parent any more.
            if each.is_running() and (group := os.getpgid(each.pid)) != own_group:
                os.killpg(group, signal.SIGKILL)
            each.kill()
    deadline = time.monotonic() + _WAIT_SECONDS
    while not all(map(_has_ended, tree)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _has_ended(process: psutil.Process) -> bool:
    """Tell whether a process runs no more; without waiting for it, which would take its exit code from its pool."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
