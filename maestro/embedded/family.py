"""The supervisor's children: those it started, and the orphans it inherits when one of them dies first."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from maestro.embedded import launch, process_table
from maestro.embedded.program import Program

PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A program that was started."""

    process: asyncio.subprocess.Process
    """The process, which leads a session and a group of its own."""
    output: io.RawIOBase
    """The reading end of its standard output and error."""


class Family:
    """Starts children and tells them from adopted orphans."""

    def __init__(self) -> None:
        self._children: set[int] = set()
        self._births = 0

    def adopt_orphans(self) -> None:
        """Become the parent of every descendant that loses its own, so that none can escape (Linux)."""
        if sys.platform == "linux":
            launch.prctl(launch.PR_SET_CHILD_SUBREAPER, 1)

    async def spawn(self, program: Program) -> Child:
        """Start a program in a session of its own, so that the terminal's Ctrl-C reaches only the supervisor."""
        run_as = program.run_as
        order = {
            "parent": os.getpid(),
            "death_signal": program.death_signal,
            "uid": run_as.uid if run_as else None,
            "gid": run_as.gid if run_as else None,
            "capability": run_as.capability if run_as else None,
        }
        # A pipe of our own: over asyncio's, wait() would last until every descendant that inherited it has ended too.
        reading, writing = os.pipe()
        self._births += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(Path(launch.__file__)), json.dumps(order)),
                *program.command,
                env=program.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
            self._children.add(process.pid)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
            self._births -= 1
        return Child(process=process, output=os.fdopen(reading, "rb", buffering=0))

    def forget(self, pid: int) -> None:
        """Note that a child has ended."""
        self._children.discard(pid)

    def reap_orphans(self) -> None:
        """Clear away orphans that have ended by themselves."""
        for pid in self._orphans():
            process_table.reap(pid)

    async def end_orphans(self) -> None:
        """Kill orphans until none is left, those too that appear because their parents are being killed."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._kill_orphans() and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)

    def _kill_orphans(self) -> bool:
        """Kill every orphan; tell whether there was one."""
        lost = self._orphans()
        for pid in lost:
            process_table.send(pid, signal.SIGKILL)
            process_table.reap(pid)
        return bool(lost)

    def _orphans(self) -> list[int]:
        """Return the adopted children; none while a birth is under way, since its pid is not known yet."""
        return [] if self._births else process_table.orphans(self._children)
