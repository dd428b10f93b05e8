"""The process above the supervisor: it passes signals on, and ends the whole family when the supervisor was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from maestro.embedded import launch, process_table
from maestro.embedded.family import Family
from maestro.embedded.output import Log
from maestro.embedded.processes import describe_exit

GRACE_SECONDS = 3.0
"""How long the servers have, once the supervisor was killed, to end by their death signals."""
POLL_SECONDS = 0.05
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def split_off(log: Log) -> None:
    """Go on in a child of this process, which stays above it as its guard and ends with its exit code.

    The child leads a session of its own: the terminal's Ctrl-C reaches the guard only, and is passed on once.
    """
    family = Family()
    family.adopt_orphans()
    watched = {*PASSED_ON, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    guard = os.getpid()
    supervisor = os.fork()
    if supervisor:
        sys.exit(_watch(supervisor, watched, family, log))
    os.setsid()
    launch.die_with(guard, signal.SIGQUIT)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)


def _watch(supervisor: int, watched: set[signal.Signals], family: Family, log: Log) -> int:
    """Wait for the supervisor's end, let nothing outlive it, and return its exit code as a shell reports it."""
    code = _wait(supervisor, watched)
    if code < 0:
        log.say(f"the supervisor ended unexpectedly ({describe_exit(code)}); ending what it leaves")
        _await_orphans(family)
    asyncio.run(family.end_orphans())
    return code if code >= 0 else 128 - code


def _wait(supervisor: int, watched: set[signal.Signals]) -> int:
    """Pass signals on until the supervisor has ended; return its exit code, negative when a signal killed it."""
    # Systems that drop ignored signals even while they are blocked keep those that have a handler.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pid, status = os.waitpid(supervisor, os.WNOHANG)
    while pid == 0:
        sent = signal.Signals(signal.sigwait(watched))
        if sent is not signal.SIGCHLD:
            process_table.send(supervisor, sent)
        pid, status = os.waitpid(supervisor, os.WNOHANG)
    return os.waitstatus_to_exitcode(status)


def _await_orphans(family: Family) -> None:
    """Give the processes that the supervisor left their grace."""
    deadline = time.monotonic() + GRACE_SECONDS
    while process_table.orphans(()) and time.monotonic() < deadline:
        family.reap_orphans()
        time.sleep(POLL_SECONDS)
