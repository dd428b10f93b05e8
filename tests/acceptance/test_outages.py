"""The servers fail below a running stack: results are kept, questions answered, and work goes on by itself."""

import contextlib
import json
import os
import signal
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psutil
import psycopg
import pytest
import requests

from maestro.embedded import postgres
from maestro.embedded.home import Home, load_or_create_secrets
from maestro.embedded.ports import HOST
from tests.acceptance.conftest import running_stack
from tests.patience import PATIENCE_SECONDS, wait_until
from tests.processes import kill, suspend, suspended

# What a request waits for at most: a connection, then the answer to a statement.
ANSWER_SECONDS = 20


@pytest.fixture(scope="module")
def hurt(tmp_path_factory):
    """A stack whose servers the tests of this module hurt."""
    with running_stack(tmp_path_factory.mktemp("hurt")) as started:
        yield started


@pytest.fixture
def programs(hurt):
    """The processes of the stack's own programs, which every outage must leave alone."""
    before = {name: pid_of(hurt, name) for name in ("api", "worker", "beat")}
    yield
    assert {name: pid_of(hurt, name) for name in before} == before


def pid_of(stack, name):
    record = json.loads((stack.home / "state.json").read_text())
    return next(each["pid"] for each in record["processes"] if each["name"] == name)


class Held:
    """A run with tasks that end when the test says so, and one that follows."""

    def __init__(self, stack, directory):
        self._stack, self._go = stack, directory / f"go-{uuid.uuid4().hex}"
        tasks = {
            key: {"uses": "shell", "with": {"command": f"while [ ! -e {self._go} ]; do sleep 0.1; done; echo {key}"}}
            for key in ("left", "right")
        }
        tasks["end"] = {"needs": ["left", "right"], "uses": "noop"}
        name = f"held-{uuid.uuid4().hex[:12]}"
        made = stack.request(
            "POST", "/workflows", json={"definition": {"schema_version": 1, "name": name, "tasks": tasks}}
        )
        assert made.status_code == 201, made.text
        started = stack.request("POST", f"/workflows/{name}/runs", json={})
        assert started.status_code == 201, started.text
        self.id = started.json()["id"]
        wait_until(lambda: self.statuses("running") == 2)
        # A claim commits asynchronously, and a crash takes back what the server has not yet written out. This commit,
        # which waits for the disk, takes it along.
        another = {"schema_version": 1, "name": f"{name}-another", "tasks": {"a": {"uses": "noop"}}}
        assert stack.request("POST", "/workflows", json={"definition": another}).status_code == 201

    def tasks(self):
        """The tasks as the API has them; none while it is without its database."""
        answer = self._stack.request("GET", f"/workflow-runs/{self.id}/task-executions")
        return answer.json()["results"] if answer.status_code == 200 else []

    def statuses(self, status):
        return sum(task["status"] == status for task in self.tasks())

    def let_go(self):
        """Let the tasks end, and wait until their commands have."""
        self._go.touch()
        wait_until(lambda: not any(str(self._go) in each for each in command_lines()))

    def ends_at_its_first_attempts(self):
        wait_until(lambda: self.statuses("succeeded") == 3)
        return [task["attempt"] for task in self.tasks()] == [1, 1, 1]


def command_lines():
    return [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]


def start(stack, name):
    """Start a run; return its id and how long the answer took."""
    asked_at = time.monotonic()
    answer = stack.request("POST", f"/workflows/{name}/runs", json={})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], time.monotonic() - asked_at


def look_at_admin(stack):
    headers, cookies = {"Accept": "text/html"}, {"maestro_session": "x" * 32}
    return requests.get(f"{stack.url}/admin/", headers=headers, cookies=cookies, timeout=PATIENCE_SECONDS)


def of_postgres(stack):
    server = psutil.Process(pid_of(stack, "postgres"))
    return [server, *server.children(recursive=True)]


def connect(stack):
    secrets = load_or_create_secrets(Home(stack.home))
    port = json.loads((stack.home / "state.json").read_text())["ports"]["postgres"]
    return psycopg.connect(
        host=HOST,
        port=port,
        user=postgres.SUPERUSER,
        dbname="maestro",
        autocommit=True,
        password=secrets.postgres_password.get_secret_value(),
    )


def is_open(stack):
    with contextlib.suppress(psycopg.OperationalError), connect(stack):
        return True
    return False


@pytest.fixture
def superuser(hurt):
    with connect(hurt) as connection:
        yield connection


@pytest.mark.usefixtures("programs")
def test_results_computed_while_the_database_hangs_and_then_dies_are_written_when_it_is_back(hurt, tmp_path):
    held = Held(hurt, tmp_path)
    stopped = of_postgres(hurt)
    suspend(stopped)

    held.let_go()
    asked_at = time.monotonic()
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(hurt.request, "GET", "/workflows")
        looked = threads.submit(look_at_admin, hurt)
        answer, page = asked.result(), looked.result()
    waited = time.monotonic() - asked_at
    kill(stopped)

    assert held.ends_at_its_first_attempts()
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert (page.status_code, page.headers["Retry-After"]) == (503, answer.headers["Retry-After"])
    assert "<h1>The database is not available" in page.text
    assert waited < ANSWER_SECONDS


@pytest.mark.usefixtures("programs")
def test_request_while_the_database_is_gone_is_told_so_and_noted_in_the_log(hurt):
    # Suspended, it starts nothing again.
    supervisor = psutil.Process(json.loads((hurt.home / "state.json").read_text())["pid"])
    with suspended([supervisor]):
        os.kill(pid_of(hurt, "postgres"), signal.SIGKILL)
        away = hurt.request("GET", "/workflows")
    answers = [away]

    def is_back():
        answers.append(hurt.request("GET", "/workflows"))
        return answers[-1].status_code == 200

    wait_until(is_back)
    assert {answer.status_code for answer in answers} == {200, 503}
    assert (away.json()["code"], away.headers["Content-Type"]) == ("unavailable", "application/problem+json")
    assert int(away.headers["Retry-After"]) > 0
    noted = f"[{away.headers['X-Request-Id']}] The database is not available"
    wait_until(lambda: noted in hurt.log)


@pytest.mark.usefixtures("programs")
def test_first_requests_after_a_restart_of_the_database_are_answered(hurt):
    for _ in range(3):
        hurt.request("GET", "/workflows")
    before = pid_of(hurt, "postgres")

    os.kill(before, signal.SIGINT)
    wait_until(lambda: pid_of(hurt, "postgres") not in (before, None) and is_open(hurt))

    assert [hurt.request("GET", "/workflows").status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.usefixtures("programs")
def test_database_that_is_read_only_for_a_while_is_read_and_keeps_what_ended_meanwhile(hurt, superuser, tmp_path):
    held = Held(hurt, tmp_path)
    superuser.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    superuser.execute("SELECT pg_reload_conf()")
    wait_until(lambda: superuser.execute("SHOW transaction_read_only").fetchone() == ("on",))

    held.let_go()
    read = hurt.request("GET", f"/workflow-runs/{held.id}")
    cancelled = hurt.request("POST", f"/workflow-runs/{held.id}/cancel")
    superuser.execute("ALTER SYSTEM RESET default_transaction_read_only")
    superuser.execute("SELECT pg_reload_conf()")

    assert held.ends_at_its_first_attempts()
    assert (read.status_code, read.json()["status"]) == (200, "running")
    assert (cancelled.status_code, cancelled.json()["code"]) == (503, "unavailable")


@pytest.mark.usefixtures("programs")
def test_runs_start_and_tasks_end_while_the_broker_hangs_and_then_dies_and_go_on_when_it_is_back(hurt, tmp_path):
    held = Held(hurt, tmp_path)
    name = f"started-{uuid.uuid4().hex[:12]}"
    definition = {
        "schema_version": 1,
        "name": name,
        "tasks": {"a": {"uses": "noop"}, "b": {"needs": ["a"], "uses": "noop"}},
    }
    assert hurt.request("POST", "/workflows", json={"definition": definition}).status_code == 201
    broker = psutil.Process(pid_of(hurt, "valkey"))
    broker.suspend()

    started = [start(hurt, name) for _ in range(20)]
    held.let_go()
    wait_until(lambda: held.statuses("succeeded") >= 2)
    broker.kill()

    wait_until(
        lambda: all(hurt.request("GET", f"/workflow-runs/{run_id}").json()["finished_at"] for run_id, _ in started)
    )
    assert held.ends_at_its_first_attempts()
    assert {hurt.request("GET", f"/workflow-runs/{run_id}").json()["status"] for run_id, _ in started} == {"succeeded"}
    # The first of each five seconds waits for the broker, for a second; all others do not.
    assert statistics.median(seconds for _, seconds in started) < 1
