"""Every process of a deployment is replaced in turn while clients start runs and read them: the new one is up before
the old one is told to stop, as Kubernetes does it.
"""

import dataclasses
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest
import requests

from maestro.embedded import postgres, programs
from maestro.embedded.home import load_or_create_secrets
from maestro.embedded.ports import HOST, find_free
from maestro.embedded.record import Ports
from tests.acceptance.conftest import ROOT, outside_environment
from tests.conftest import HOME, POSTGRES_PORT, VALKEY_PORT
from tests.patience import PATIENCE_SECONDS

DRAIN_SECONDS = 10
START_SECONDS = 120
END_SECONDS = 120
CELERY = (sys.executable, "-m", "celery", "-A", "maestro")
# A task's effect, which must happen once.
EFFECT = 'sleep {seconds}; echo "$MAESTRO_RUN_ID $MAESTRO_TASK_KEY" >> "$EFFECTS"'

OURS = "FROM workflow_runs r JOIN workflows w ON w.id = r.workflow_id AND w.name = 'rolling'"
OPEN = f"SELECT count(*) {OURS} WHERE r.finished_at IS NULL"
RUNS = f"SELECT r.id::text, r.status {OURS}"
TASKS = (
    f"SELECT r.id::text, t.task_key, t.attempt, t.platform_failures {OURS} JOIN task_executions t ON t.run_id = r.id"
)
LOST_WORKERS = "SELECT name FROM executor_workers WHERE name = ANY (%s) AND lost_at IS NOT NULL AND NOT has_stopped"


@dataclasses.dataclass(kw_only=True)
class Process:
    """One process of the deployment."""

    name: str
    log: Path
    started: subprocess.Popen[bytes]
    ready_text: str
    url: str = ""
    is_told_to_stop: bool = False

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while self.ready_text not in self.log.read_text():
            assert self.started.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def stop(self):
        """End it as a process supervisor does, and return its exit code."""
        self.is_told_to_stop = True
        self.started.send_signal(signal.SIGTERM)
        return self.started.wait(DRAIN_SECONDS + 60)


class Deployment:
    """Workers, API processes and beats on the suite's PostgreSQL and Valkey."""

    def __init__(self, directory):
        self.ports = Ports(api=1, flower=1, postgres=POSTGRES_PORT, valkey=VALKEY_PORT)
        self.secrets = load_or_create_secrets(HOME)
        self.directory = directory
        self.effects = directory / "effects"
        self.effects.touch()
        self.started = []

    @property
    def database_url(self):
        return postgres.url("maestro", self.secrets.maestro_password, self.ports.postgres)

    def start(self, component):
        """Start one more process."""
        number = len(self.started)
        [port] = find_free(1)
        command, ready_text = {
            "worker": (
                (*CELERY, "worker", "-c", "2", "-l", "INFO", "-n", f"rolling{number}@localhost", "--without-mingle"),
                " ready.",
            ),
            "beat": ((*CELERY, "beat", "--pidfile=", "-s", str(self.directory / f"beat{number}")), "LocalTime ->"),
            "api": (
                programs.api(HOME, self.ports.model_copy(update={"api": port}), self.secrets).command,
                "running on",
            ),
        }[component]
        environment = programs.environment(HOME, self.ports, self.secrets, component=component)
        environment = outside_environment() | {
            name: value
            for name, value in environment.items()
            if name.endswith("_URL") or name.startswith(("MAESTRO_", "DJANGO_", "PYTHON"))
        }
        log = self.directory / f"{component}{number}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=environment | {"MAESTRO_DRAIN_SECONDS": str(DRAIN_SECONDS)},
                start_new_session=True,
            )
        self.started.append(
            Process(
                name=f"rolling{number}@localhost",
                log=log,
                started=process,
                ready_text=ready_text,
                url=f"http://{HOST}:{port}" if component == "api" else "",
            )
        )
        return self.started[-1]

    def stop(self):
        for process in self.started:
            if process.started.poll() is None:
                process.started.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.started.wait(DRAIN_SECONDS + 60)
            except subprocess.TimeoutExpired:
                process.started.kill()


@pytest.fixture
def deployment(servers, tmp_path):
    deployed = Deployment(tmp_path)
    yield deployed
    deployed.stop()


class Client:
    """Starts runs and reads them, through whichever API process answers, from threads of its own."""

    def __init__(self, addresses, key):
        self.addresses = addresses
        self.accepted = []
        self.errors = []
        self.reads = 0
        self._headers = {"Authorization": f"Bearer {key}"}
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(work,)) for work in (self._start, self._read, self._read)
        ]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def request(self, method, path, **options):
        """Ask one API process after the other. What may have been done is not asked for again."""
        for process in [each for each in reversed(self.addresses) if not each.is_told_to_stop]:
            try:
                answer = requests.request(
                    method, f"{process.url}/api/v1{path}", headers=self._headers, timeout=PATIENCE_SECONDS, **options
                )
            except requests.ConnectionError as error:
                is_refused = "Connection refused" in str(error)
                if not process.is_told_to_stop:
                    self.errors.append(f"{method} {path}: {error}")
                elif method == "GET" or is_refused:
                    continue
                return None
            if answer.status_code >= 400:
                self.errors.append(f"{method} {path}: {answer.status_code} {answer.text}")
            return answer.json()
        self.errors.append(f"{method} {path}: nobody left to ask")
        return None

    def _repeat(self, work):
        while not self._ended.wait(0.4):
            work()

    def _start(self):
        run = self.request("POST", "/workflows/rolling/runs", json={})
        if run is not None:
            self.accepted.append(run["id"])

    def _read(self):
        for run_id in self.accepted[-3:]:
            if self.request("GET", f"/workflow-runs/{run_id}") is not None:
                self.reads += 1


def definition(effects):
    def shell(seconds, *needs):
        command = EFFECT.format(seconds=seconds)
        return {"uses": "shell", "needs": list(needs), "with": {"command": command, "env": {"EFFECTS": str(effects)}}}

    tasks = {
        "first": shell(0),
        "slow": shell(0.7, "first"),
        "quick": shell(0, "first"),
        "last": shell(0, "slow", "quick"),
    }
    return {"schema_version": 1, "name": "rolling", "tasks": tasks}


def test_nothing_is_lost_or_done_twice_while_every_process_is_replaced_in_turn(deployment, pytestconfig):
    restarts = pytestconfig.getoption("restarts")
    components = [component for component in ("worker", "api", "beat") for _ in range(min(restarts, 2))]
    running = [(component, deployment.start(component)) for component in components]
    for _, process in running:
        process.wait_until_ready()
    apis = [process for component, process in running if component == "api"]
    client = Client(apis, HOME.api_key.read_text().strip())
    client.request("POST", "/workflows", json={"definition": definition(deployment.effects)})
    client.start()
    codes = []
    try:
        for _ in range(restarts):
            time.sleep(1)
            fresh = [(component, deployment.start(component)) for component, _ in running]
            for (component, new), (_, old) in zip(fresh, running, strict=True):
                new.wait_until_ready()
                if component == "api":
                    apis.append(new)
                    time.sleep(0.5)
                codes.append((component, old.stop()))
                time.sleep(0.5)
            running = fresh
    finally:
        client.stop()

    with psycopg.connect(deployment.database_url, autocommit=True) as connection:
        deadline = time.monotonic() + END_SECONDS
        while connection.execute(OPEN).fetchone() != (0,):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        runs = connection.execute(RUNS).fetchall()
        tasks = connection.execute(TASKS).fetchall()
        lost = connection.execute(LOST_WORKERS, [[each.name for each in deployment.started]]).fetchall()

    assert client.errors == []
    # uvicorn ends by the signal it was sent, once it has answered what it was asked.
    assert set(codes) == {("worker", 0), ("beat", 0), ("api", -signal.SIGTERM)}
    assert len(client.accepted) > 5
    assert client.reads > 5
    assert set(client.accepted) <= {run_id for run_id, _ in runs}
    assert {status for _, status in runs} == {"succeeded"}
    assert {(attempt, failures) for _, _, attempt, failures in tasks} == {(1, 0)}
    assert lost == []
    effects = Counter(deployment.effects.read_text().splitlines())
    assert effects == Counter(f"{run_id} {task_key}" for run_id, task_key, _, _ in tasks)
