"""Starts the embedded PostgreSQL and Valkey for tests, in one child process that ends with the suite."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from maestro.embedded import postgres, processes, programs, valkey
from maestro.embedded.family import Family
from maestro.embedded.home import Home, load_or_create_secrets
from maestro.embedded.output import Log
from maestro.embedded.processes import SupervisedProcess
from maestro.embedded.record import Ports
from tests.patience import PATIENCE_SECONDS

READY = "servers are ready"


class Servers:
    """The two servers of the suite; each can be made to fail."""

    def __init__(self, home: Home, *, postgres_port: int, valkey_port: int) -> None:
        self._command = [sys.executable, "-m", "tests.servers", str(home.path), str(postgres_port), str(valkey_port)]
        self._log = home.path / "servers.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start both and migrate. Raises RuntimeError with the log when they do not come up: never a skip."""
        root = Path(__file__).parents[1]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=root
            )
        assert self._process.stdout
        if READY.encode() not in self._process.stdout.readline():
            self.stop()
            raise RuntimeError(f"The test servers did not start:\n{self._log.read_text()}")

    def supervisor(self) -> psutil.Process:
        """Return the process that starts them again."""
        assert self._process
        return psutil.Process(self._process.pid)

    def processes(self) -> list[psutil.Process]:
        """List the processes of both."""
        return self.supervisor().children(recursive=True)

    def stop(self) -> None:
        """Stop both."""
        if self._process:
            self._process.communicate()


async def _serve(home: Home, ports: Ports) -> None:
    log = Log(sys.stderr.buffer, is_coloured=False)
    family = Family()
    secrets = load_or_create_secrets(home)
    await postgres.create_data_directory(home, secrets, family, log)
    running = [
        SupervisedProcess(program, family, log, on_change=lambda: None)
        for program in (postgres.server(home, ports.postgres), valkey.server(home, ports.valkey, secrets))
    ]
    for process in running:
        process.start()
    try:
        for process in running:
            await asyncio.wait_for(process.ready.wait(), PATIENCE_SECONDS)
        await postgres.bootstrap(ports.postgres, secrets)
        await processes.run_once(programs.prepare(home, ports, secrets), family, log)
        print(READY, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    finally:
        for process in running:
            await process.stop(asyncio.Event())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the suite, which then closes our standard input
    asyncio.run(
        _serve(Home(Path(sys.argv[1])), Ports(api=1, flower=1, postgres=int(sys.argv[2]), valkey=int(sys.argv[3])))
    )
