"""One program of the stack as a child process: start, output, restart with back-off, stop. Which: `programs`."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import signal
import time
from collections.abc import Callable

from maestro.embedded import process_table
from maestro.embedded.errors import StartFailed
from maestro.embedded.family import Family
from maestro.embedded.options import LONGEST_RESTART_DELAY_SECONDS
from maestro.embedded.output import Log, pump
from maestro.embedded.program import Program, StopStep
from maestro.embedded.record import ProcessRecord, ProcessStatus

FIRST_DELAY_SECONDS = 0.5
SETTLED_SECONDS = 60.0
"""A process that has lived this long starts again at the first delay."""
PROBE_SECONDS = 0.1
LAST_WORDS_SECONDS = 1.0
"""How long output is still read after the end, should a stray descendant hold the pipe open."""
KILL_SECONDS = 5.0
HURRY_SECONDS = 1.0
"""The grace of each further step once the user has asked twice."""


async def run_once(program: Program, family: Family, log: Log) -> None:
    """Run a program to its end. Raises StartFailed when it fails; cancelled, it takes the program with it."""
    child = await family.spawn(program)
    process = child.process
    try:
        await pump(child.output, lambda text: log.line(program.name, text))
        code = await process.wait()
    finally:  # nothing it started outlives it, whether it ended or was cancelled
        process_table.send_group(process.pid, signal.SIGKILL)
        await process.wait()
        family.forget(process.pid)
    if code != 0:
        raise StartFailed(f"{program.name} failed ({describe_exit(code)}): see its lines above.")


def describe_exit(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def next_delay(delay: float, *, lived_seconds: float, longest: float = LONGEST_RESTART_DELAY_SECONDS) -> float:
    """Return the pause before a process starts again: twice the last one, the first once it has lived a while."""
    if lived_seconds >= SETTLED_SECONDS:
        return FIRST_DELAY_SECONDS
    return min(max(delay * 2, FIRST_DELAY_SECONDS), longest)


class SupervisedProcess:
    """A program that is started again whenever it ends, until it is stopped."""

    def __init__(
        self,
        program: Program,
        family: Family,
        log: Log,
        *,
        on_change: Callable[[], None],
        longest_delay_seconds: float = LONGEST_RESTART_DELAY_SECONDS,
    ) -> None:
        self.name = program.name
        self.restarts = 0
        self.ready = asyncio.Event()
        """Set while the program is up."""
        self._program = program
        self._family = family
        self._log = log
        self._on_change = on_change
        self._longest_delay_seconds = longest_delay_seconds
        self._status = ProcessStatus.STOPPED
        self._process: asyncio.subprocess.Process | None = None
        self._born_at: float | None = None
        self._started_at: datetime.datetime | None = None
        self._stopping = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The child's pid while it runs."""
        return self._process.pid if self._process else None

    @property
    def record(self) -> ProcessRecord:
        """Where the process is, for `maestro status`."""
        return ProcessRecord(
            name=self.name,
            status=self._status,
            pid=self.pid,
            born_at=self._born_at,
            started_at=self._started_at,
            restarts=self.restarts,
        )

    def start(self) -> None:
        """Begin running the program; `ready` says when it is up."""
        self._life = asyncio.create_task(self._live(), name=self.name)

    async def stop(self, hurry: asyncio.Event) -> None:
        """End the program and its process group, step by step, faster once `hurry` is set."""
        self._stopping.set()
        if self._life is None:
            return
        for step in (*self._program.stop_steps, StopStep(signal=signal.SIGKILL, seconds=KILL_SECONDS)):
            if self._process:
                process_table.send(self._process.pid, step.signal)
            if await self._ends_within(self._life, step.seconds, hurry):
                break
        await self._life

    async def _ends_within(self, life: asyncio.Task[None], seconds: float, hurry: asyncio.Event) -> bool:
        """Wait for the end, but not longer than allowed."""
        if hurry.is_set():
            await asyncio.wait({life}, timeout=min(seconds, HURRY_SECONDS))
        else:  # asked to hurry in between, it is time for the next step at once
            waiting = asyncio.create_task(hurry.wait())
            await asyncio.wait({life, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        return life.done()

    async def _live(self) -> None:
        """Run the program, again and again."""
        delay = 0.0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                ending = describe_exit(await self._run())
            except OSError as error:  # no memory or no descriptors for a child: the machine may recover
                ending = f"cannot be started: {error.strerror}"
            if self._stopping.is_set():
                break
            lived_seconds = time.monotonic() - began
            delay = next_delay(delay, lived_seconds=lived_seconds, longest=self._longest_delay_seconds)
            self._log.say(f"{self.name} ended unexpectedly ({ending}); starting it again in {delay:g} s")
            self.restarts += 1
            self._change(ProcessStatus.RESTARTING)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            await self._family.end_orphans()
        self._change(ProcessStatus.STOPPED)

    async def _run(self) -> int:
        """Run the program to its end and clear away its group. Raises OSError when it cannot be started."""
        child = await self._family.spawn(self._program)
        process = self._process = child.process
        self._born_at = process_table.born_at(process.pid)
        self._started_at = datetime.datetime.now(datetime.UTC)
        self._change(ProcessStatus.STARTING)
        if self._stopping.is_set():  # asked while it was being started: nothing of value runs in it yet
            process_table.send(process.pid, signal.SIGKILL)
        output = asyncio.create_task(pump(child.output, self._take))
        probe = asyncio.create_task(self._probe())
        code = await process.wait()
        self._process = self._born_at = self._started_at = None
        probe.cancel()
        self.ready.clear()
        process_table.send_group(process.pid, signal.SIGKILL)
        await asyncio.wait({output}, timeout=LAST_WORDS_SECONDS)
        output.cancel()
        self._family.forget(process.pid)
        return code

    def _take(self, text: str) -> None:
        """Pass one line on."""
        self._log.line(self.name, text)
        if self._program.ready_text and self._program.ready_text in text:
            self._become_ready()

    async def _probe(self) -> None:
        """Ask until the program is ready."""
        if self._program.is_ready is None:
            return
        while not await self._program.is_ready():
            await asyncio.sleep(PROBE_SECONDS)
        self._become_ready()

    def _become_ready(self) -> None:
        """Note that the program is up."""
        if not self._stopping.is_set():
            self._change(ProcessStatus.RUNNING)
        self.ready.set()

    def _change(self, status: ProcessStatus) -> None:
        """Publish a new status."""
        self._status = status
        self._on_change()
