"""Real PostgreSQL, Valkey and Celery workers for tests that need them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import redis
from celery import current_app
from django.conf import settings

from executors.pools import lease
from maestro.core import sql
from tests.builders import make_actor
from tests.integration import calls
from tests.integration.schedules import connect
from tests.patience import PATIENCE_SECONDS
from workflows.dispatch import publish

ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """A stock Celery worker as a child process."""

    def __init__(
        self,
        log: Path,
        name: str = "tests",
        concurrency: int = 2,
        application: str = "maestro",
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = os.environ | (environment or {})
        self.name = f"{name}@localhost"
        self.log = log
        self._command = [sys.executable, "-m", "celery", "-A", application, "worker", "-l", "INFO"]
        self._command += ["-n", self.name, "--concurrency", str(concurrency), "--without-mingle", "--without-gossip"]
        self._command += options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The worker's parent process."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it takes messages."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=ROOT, env=self._environment, start_new_session=True
            )
            started_at = log.tell()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b" ready." not in self.log.read_bytes()[started_at:]:
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"The worker did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def wait(self, seconds: float) -> int:
        """Wait for its end and return the exit code."""
        assert self._process
        return self._process.wait(seconds)

    def has_ended_within(self, seconds: float) -> bool:
        """Tell whether it ends in that time."""
        try:
            self.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def is_running(self) -> bool:
        """Tell whether it is alive."""
        return self._process is not None and self._process.poll() is None

    def stop(self, sent: int = signal.SIGTERM) -> None:
        """Stop it, and wait until it has ended."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(sent)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def pytest_collection_modifyitems(items):
    """Run the tests that need beat after all others of their module: it stays, and mends what those leave undone."""
    modules = {path: number for number, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (modules[item.path], "beat" in item.fixturenames))


@pytest.fixture(scope="session")
def database(servers, django_db_blocker):
    """The migrated database; every test makes an organization of its own, so nothing is ever cleaned up."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def actor(database):
    """The owner of a new organization."""
    return make_actor()


@pytest.fixture
def broker(servers):
    """A client of the broker."""
    with contextlib.closing(redis.Redis.from_url(settings.CELERY_BROKER_URL)) as client:
        yield client


@contextlib.contextmanager
def beat_process(
    log: Path, environment: Mapping[str, str] | None = None, application: str = "maestro"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run beat, whose tick recovers, inside the block."""
    with log.open("wb") as output:
        command = [sys.executable, "-m", "celery", "-A", application, "beat", "--pidfile=", "-s", "unused"]
        variables = os.environ | (environment or {})
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, env=variables)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def beat(database, tmp_path_factory):
    """A real beat process, which recovers sooner than the product's."""
    log = tmp_path_factory.mktemp("beat") / "beat.log"
    with beat_process(log, application="tests.integration.impatient") as process:
        yield process


@pytest.fixture(scope="session")
def worker(database, tmp_path_factory):
    """A worker that lives as long as the suite."""
    running = WorkerProcess(tmp_path_factory.mktemp("worker") / "worker.log")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def resting_worker(worker):
    """The suite's own worker, which takes nothing as long as the module runs."""
    control, only = current_app.control, [worker.name]
    assert control.cancel_consumer("maestro", destination=only, reply=True, timeout=PATIENCE_SECONDS)
    yield
    assert control.add_consumer("maestro", destination=only, reply=True, timeout=PATIENCE_SECONDS)


@pytest.fixture
def empty_queue(broker):
    """The queue for calls that nobody takes, without what an earlier test left."""
    broker.delete(calls.QUEUE)


@pytest.fixture
def sent(actor, monkeypatch):
    """Task keys of everything that would have been sent of the actor's runs, in order."""
    keys = []

    def collect(run, version, ready, *, alone=False):
        # What earlier tests have left comes due meanwhile.
        if run.organization_id == actor.organization_id:
            keys.extend(row.task_key for row in ready)

    monkeypatch.setattr(publish, "publish", collect)
    return keys


@pytest.fixture
def connection(database):
    with connect() as opened:
        yield opened


@pytest.fixture
def other(database):
    """A second connection, for the transaction that is held open."""
    with connect() as opened:
        yield opened


@pytest.fixture
def worker_row(database):
    """A registered worker without a process."""

    worker_id = lease.register_worker(sql.engine_connection(), name="test", pid=1, concurrency=1, queues=["maestro"])
    yield worker_id
    lease.end_lease(sql.engine_connection(), worker_id=worker_id)
