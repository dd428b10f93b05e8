"""The stack of a campaign: a home of its own, started for it and removed after it."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from pathlib import Path
from typing import Self

import psutil
import redis

from maestro.chaos.outside import Outside
from maestro.client import Client
from maestro.embedded import control, ports, postgres, process_table, valkey
from maestro.embedded.home import Home, load_or_create_secrets
from maestro.embedded.options import StackOptions
from maestro.embedded.record import StackRecord, read_record

CONCURRENCY = 2
REQUEST_SECONDS = 10.0
MOST_LOG_LINES = 200
BROKER_SECONDS = 5.0
# Killed processes come back soon, however often they were killed.
LONGEST_RESTART_DELAY_SECONDS = 1.0
# A task that bad luck hits again and again must not be given up: what is wanted is that it ends as it should.
MOST_LOST_ATTEMPTS = 1000
_ENVIRONMENT = {"MAESTRO_TASK_MODULES": "maestro.chaos.tasks", "MAESTRO_MAX_LOST_ATTEMPTS": str(MOST_LOST_ATTEMPTS)}


class ScratchStack:
    """A whole Maestro that belongs to one campaign."""

    def __init__(self, workers: int) -> None:
        self.home = Home(Path(tempfile.mkdtemp(prefix="maestro-chaos-")))
        self._workers = workers
        self.outside = Outside()

    def start(self) -> Self:
        """Start it and wait until it is ready. Raises StackError."""
        port, flower_port = ports.find_free(2)
        options = StackOptions(
            home=self.home.path,
            port=port,
            flower_port=flower_port,
            concurrency=CONCURRENCY,
            workers=self._workers,
            longest_restart_delay_seconds=LONGEST_RESTART_DELAY_SECONDS,
        )
        environment = _ENVIRONMENT | {"MAESTRO_HTTP_ALLOWED_HOSTS": self.outside.address}
        self._ports = control.start_detached(options, environment).ports
        self._secrets = load_or_create_secrets(self.home)
        return self

    @property
    def effects_file(self) -> Path:
        """Where tasks note what they do."""
        return self.home.path / "effects"

    @property
    def database_url(self) -> str:
        """Its database, as the owner of the tables."""
        return postgres.url("maestro", self._secrets.maestro_password, self._ports.postgres)

    def client(self, seconds: float = REQUEST_SECONDS) -> Client:
        """Return a client of its API with the administrator's key, that waits so long for an answer."""
        key = self.home.api_key.read_text().strip()
        return Client(f"http://{ports.HOST}:{self._ports.api}", key, seconds)

    def broker(self) -> redis.Redis:
        """Return a client of its broker."""
        return redis.Redis.from_url(
            valkey.url(self._ports.valkey, self._secrets),
            socket_timeout=BROKER_SECONDS,
            socket_connect_timeout=BROKER_SECONDS,
        )

    def processes(self, prefix: str) -> list[psutil.Process]:
        """Return the processes it runs now under names that begin so, in the order in which they are listed."""
        record = read_record(self.home)
        assert record is not None
        return _running(record, prefix)

    def log_lines(self, word: str) -> tuple[str, ...]:
        """Return the latest lines of its log with a word in them."""
        with self.home.log.open(errors="replace") as log:
            return tuple(deque((line.rstrip("\n") for line in log if word in line), maxlen=MOST_LOG_LINES))

    def stop(self) -> None:
        """Stop it. Raises StackError."""
        control.stop(self.home)
        self.outside.close()

    def remove(self) -> None:
        """Remove its home."""
        shutil.rmtree(self.home.path, ignore_errors=True)


def _running(record: StackRecord, prefix: str) -> list[psutil.Process]:
    found = []
    for process in record.processes:
        # Nobody else's process is hit that has the pid of one of ours by now.
        is_ours = process.pid is not None and process_table.is_same(process.pid, process.born_at)
        if process.name.startswith(prefix) and is_ours:
            found.append(psutil.Process(process.pid))
    return found
