"""The life of an embedded stack: start in order, watch, stop in order. What runs: `postgres`, `valkey`, `programs`."""

from __future__ import annotations

import asyncio
import datetime
import os
import signal
import time
from collections.abc import Sequence

from maestro.embedded import (
    announcement,
    guard,
    leftovers,
    ports,
    postgres,
    process_table,
    processes,
    programs,
    valkey,
)
from maestro.embedded.errors import StartFailed
from maestro.embedded.family import Family
from maestro.embedded.home import Home, HomeLock, load_or_create_secrets
from maestro.embedded.options import StackOptions
from maestro.embedded.output import Log
from maestro.embedded.prepare import ADMIN_EMAIL
from maestro.embedded.processes import SupervisedProcess
from maestro.embedded.program import Program
from maestro.embedded.record import Ports, StackRecord, StackStatus, read_record, urls_of, write_record

READY_SECONDS = 120.0
LARGEST_RESTARTS_OF_A_START = 3
REAP_SECONDS = 30.0
SERVERS = ("postgres", "valkey")
REPLACED_VARIABLES = ("DATABASE_URL", "DATABASE_DIRECT_URL", "API_DATABASE_URL", "BROKER_URL")


def run_stack(options: StackOptions, log: Log) -> None:
    """Run the stack until it is asked to stop. Raises StackError when it does not start; then nothing of it is left."""
    log.introduce((*SERVERS, "prepare", "api", *_workers(options), "beat", "flower"))
    began_at = process_table.born_at(os.getpid()) or time.time()
    guard.split_off(log)
    home = Home(options.home)
    home.create()
    lock = HomeLock(home)
    lock.acquire()
    try:
        previous = read_record(home)
        leftovers.stop_leftovers(home, previous, log)
        leftovers.remove_files(home, log)
        kept = previous.ports if previous else None
        chosen = ports.choose(api=options.port, flower=options.flower_port, previous=kept)
        _say_what_differs(kept, chosen, log)
        supervisor = Supervisor(options, home, chosen, log, began_at=began_at)
        asyncio.run(supervisor.run())
    finally:
        lock.release()


def _say_what_differs(kept: Ports | None, chosen: Ports, log: Log) -> None:
    """Tell about what a person may not expect: moved ports, and variables that the stack sets itself."""
    for name in SERVERS if kept else ():
        old, new = getattr(kept, name), getattr(chosen, name)
        if old != new:
            log.say(f"port {old} is taken: {name} moves to {new}")
    for name in REPLACED_VARIABLES:
        if os.environ.get(name):
            log.say(f"{name} in the environment is not used: this stack runs its own servers")


def _workers(options: StackOptions) -> tuple[str, ...]:
    """Name the stack's workers."""
    return tuple(programs.worker_name(number) for number in range(1, options.workers + 1))


class Supervisor:
    """Owns the stack's processes and its record."""

    def __init__(self, options: StackOptions, home: Home, chosen: Ports, log: Log, *, began_at: float) -> None:
        self._options = options
        self._home = home
        self._ports = chosen
        self._log = log
        self._began_at = began_at
        self._secrets = load_or_create_secrets(home)
        self._family = Family()
        self._processes: dict[str, SupervisedProcess] = {}
        self._record = StackRecord(
            status=StackStatus.STARTING,
            pid=os.getpid(),
            born_at=process_table.born_at(os.getpid()),
            guard_pid=os.getppid(),
            started_at=datetime.datetime.now(datetime.UTC),
            ports=chosen,
            urls=urls_of(chosen),
            admin_email=ADMIN_EMAIL,
            drain_seconds=options.drain_seconds,
        )

    async def run(self) -> None:
        """Start everything, wait to be asked to stop, stop everything. Raises StackError when the start fails."""
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(sent, self._ask_to_stop, sent.name)
        loop.add_signal_handler(signal.SIGQUIT, self._ask_to_stop_at_once)
        self._log.on_broken = self._stop.set
        self._family.adopt_orphans()
        self._publish()
        reaping = asyncio.create_task(self._reap())
        try:
            await self._start_and_wait()
        finally:
            reaping.cancel()
            await self._stop_all()

    def _ask_to_stop(self, reason: str) -> None:
        """Stop; asked again, stop faster."""
        if not self._stop.is_set():
            grace = f"running tasks have {self._options.drain_seconds} s to finish"
            self._log.say(f"{reason}: stopping; {grace} (once more to stop at once)")
            self._stop.set()
        elif not self._hurry.is_set():
            self._log.say(f"{reason} again: stopping at once")
            self._hurry.set()

    def _ask_to_stop_at_once(self) -> None:
        """Stop as fast as can be: the guard was killed, or somebody typed Ctrl-\\."""
        self._log.say("SIGQUIT: stopping at once")
        self._stop.set()
        self._hurry.set()

    async def _start_and_wait(self) -> None:
        """Start, unless asked to stop in between; then wait. Raises StackError when the start fails."""
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return
        try:
            starting.result()
            await stopping
        finally:
            stopping.cancel()

    async def _start(self) -> None:
        """Bring everything up; servers first, both at a time."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                self._launch(valkey.server(self._home, self._ports.valkey, self._secrets))
                await postgres.create_data_directory(self._home, self._secrets, self._family, self._log)
                self._launch(postgres.server(self._home, self._ports.postgres))
                await self._until_ready(*SERVERS)
                await postgres.bootstrap(self._ports.postgres, self._secrets)
                shared = (self._home, self._ports, self._secrets)
                await processes.run_once(programs.prepare(*shared), self._family, self._log)
                self._launch(programs.api(*shared))
                for number in range(1, self._options.workers + 1):
                    self._launch(programs.worker(number, self._options, *shared))
                self._launch(programs.beat(*shared))
                # Flower asks the workers once at its start, and complains about none.
                await self._until_ready(*_workers(self._options))
                self._launch(programs.flower(*shared))
                await self._until_ready("api", "beat", "flower")
        except TimeoutError as error:
            missing = ", ".join(name for name, process in self._processes.items() if not process.ready.is_set())
            raise StartFailed(f"Not ready after {READY_SECONDS:g} s: {missing}. See the lines above.") from error
        self._publish(status=StackStatus.READY, ready_after_seconds=self._age_seconds())
        self._log.block(announcement.describe(self._home, self._record))

    def _launch(self, program: Program) -> None:
        """Begin to run a program."""
        process = SupervisedProcess(
            program,
            self._family,
            self._log,
            on_change=self._publish,
            longest_delay_seconds=self._options.longest_restart_delay_seconds,
        )
        self._processes[program.name] = process
        process.start()

    async def _until_ready(self, *names: str) -> None:
        """Wait until the processes are up. Raises StartFailed when one keeps ending."""
        waiting = {name: self._processes[name] for name in names}
        while waiting := {name: process for name, process in waiting.items() if not process.ready.is_set()}:
            for name, process in waiting.items():
                if process.restarts >= LARGEST_RESTARTS_OF_A_START:
                    raise StartFailed(f"{name} keeps ending before it is ready: see its lines above.")
            await asyncio.sleep(0.02)

    async def _stop_all(self) -> None:
        """Stop everything in order, and whatever is left of it."""
        self._publish(status=StackStatus.STOPPING)
        for names in (("flower", "beat"), ("api",), _workers(self._options), ("valkey",), ("postgres",)):
            await self._stop_some([self._processes[name] for name in names if name in self._processes])
        await self._family.end_orphans()
        self._publish(status=StackStatus.STOPPED)
        self._log.say("stopped")

    async def _stop_some(self, stopped: Sequence[SupervisedProcess]) -> None:
        """Stop some processes at a time."""
        await asyncio.gather(*(process.stop(self._hurry) for process in stopped))

    async def _reap(self) -> None:
        """Clear away ended orphans now and then, as init does."""
        while True:
            await asyncio.sleep(REAP_SECONDS)
            self._family.reap_orphans()

    def _age_seconds(self) -> float:
        """Return for how long the command has run, its imports included."""
        return round(time.time() - self._began_at, 1)

    def _publish(self, **changes: object) -> None:
        """Write what runs to the home."""
        records = tuple(process.record for process in self._processes.values())
        self._record = self._record.model_copy(update={**changes, "processes": records})
        try:
            write_record(self._home, self._record)
        except OSError as error:  # a full disk must not end the supervision
            self._log.say(f"{self._home.record} cannot be written: {error.strerror}")
