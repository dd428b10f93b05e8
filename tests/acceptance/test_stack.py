"""`maestro up`, `down` and `status` as a user types them, on stacks of their own where a test stops or hurts one."""

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from maestro.embedded import postgres
from maestro.embedded.home import Home, load_or_create_secrets
from maestro.embedded.ports import HOST, find_free, is_free
from tests.acceptance.conftest import MAESTRO, ROOT, outside_environment
from tests.patience import PATIENCE_SECONDS, wait_until
from tests.processes import command_of, is_alive, named

# For what must not be waited for.
LONG_SECONDS = 600
PROCESSES = {"postgres", "valkey", "api", "worker", "beat", "flower"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStack:
    """A home with ports of its own, on which commands are run."""

    home: Path
    port: int
    flower_port: int

    @property
    def log(self) -> Path:
        return self.home.parent / "output"

    @property
    def record(self):
        return json.loads((self.home / "state.json").read_text())

    def up_command(self, *flags):
        ports = ("--port", str(self.port), "--flower-port", str(self.flower_port))
        return [str(MAESTRO), "up", "--home", str(self.home), *ports, *flags]

    def call(self, command, *arguments):
        return run([str(MAESTRO), command, "--home", str(self.home), *arguments])

    def start(self, *flags):
        """Start in the foreground of a process group of its own, as a shell does."""
        with self.log.open("wb") as output:
            return subprocess.Popen(
                self.up_command(*flags),
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=outside_environment(),
                start_new_session=True,
            )

    def wait_for(self, text, supervisor):
        wait_until(lambda: text in self.log.read_text() or supervisor.poll() is not None)
        assert text in self.log.read_text()

    def kill(self, guard, victims):
        pids = {"guard": guard.pid, "supervisor": self.record["pid"]}
        for victim in victims:
            os.kill(pids[victim], signal.SIGKILL)
        guard.wait(PATIENCE_SECONDS)

    def pid_of(self, name):
        return next((each["pid"] for each in self.record["processes"] if each["name"] == name), None)

    def wait_for_process(self, name, guard):
        """Wait until the supervisor below this guard, not an earlier one, has started the process."""
        record = self.home / "state.json"
        wait_until(lambda: record.exists() and self.record["guard_pid"] == guard.pid and self.pid_of(name) is not None)

    def keep_busy(self):
        """Run a shell task that leaves processes in every place it can, and return them."""
        self.run_shell("sleep 300 & setsid sleep 301 & sleep 302")
        wait_until(lambda: len(self.sleepers()) == 3)
        return self.sleepers()

    def run_shell(self, command):
        """Start a run of one shell task and return its id."""
        definition = self.home.parent / "shell.yaml"
        task = {"uses": "shell", "with": {"command": command}}
        definition.write_text(json.dumps({"schema_version": 1, "name": "shell", "tasks": {"only": task}}))
        started = self.call("run", str(definition), "--json")
        assert started.returncode == 0, started.stderr
        return json.loads(started.stdout)["id"]

    def sleepers(self):
        return named(descendants_of(self.record["pid"]), "sleep")


@pytest.fixture
def own_stack(tmp_path):
    # As root, PostgreSQL runs as another user; the suite's directories are closed to it otherwise.
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o711)
    port, flower_port = find_free(2)
    own = OwnStack(home=tmp_path / "my home", port=port, flower_port=flower_port)
    yield own
    own.call("down")


def run(command):
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=outside_environment(), timeout=PATIENCE_SECONDS
    )


def descendants_of(pid):
    """Every process of a stack; psutil tells a recycled pid from the one meant."""
    supervisor = psutil.Process(pid)
    return [supervisor, *supervisor.children(recursive=True)]


def still_running(processes):
    sessions = {process.pid for process in processes}
    members = [each for each in psutil.process_iter() if session_of(each.pid) in sessions]
    return [each for each in {*processes, *members} if is_alive(each)]


def session_of(pid):
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid)
    return None


def assert_nothing_left(own, processes):
    ports = own.record["ports"].values()
    assert still_running(processes) == []
    assert [port for port in ports if not is_free(port)] == []


def test_stack_keeps_its_data_over_a_stop_and_restarts_what_crashes(own_stack):
    detached = run(own_stack.up_command("--detach", "--json"))

    assert detached.returncode == 0, detached.stdout + detached.stderr
    assert json.loads(detached.stdout) == own_stack.record
    assert requests.get(f"http://127.0.0.1:{own_stack.port}/health", timeout=10).status_code == 200
    assert own_stack.call("status").returncode == 0
    first_key = (own_stack.home / "api-key").read_text()
    first_processes = descendants_of(own_stack.record["guard_pid"])

    stopped = own_stack.call("down")

    assert (stopped.returncode, stopped.stdout) == (0, "Stopped.\n")
    assert_nothing_left(own_stack, first_processes)
    assert own_stack.call("status").returncode == 1

    abandoned = own_stack.home / "tmp" / "maestro-abandoned"
    abandoned.mkdir()
    supervisor = own_stack.start()
    own_stack.wait_for("Maestro is ready", supervisor)

    assert (own_stack.home / "api-key").read_text() == first_key
    assert not abandoned.exists()

    worker = own_stack.pid_of("worker")
    orphans_to_be = psutil.Process(worker).children(recursive=True)
    os.kill(worker, signal.SIGKILL)
    own_stack.wait_for("worker ended unexpectedly (killed by SIGKILL); starting it again in 0.5 s", supervisor)
    wait_until(lambda: own_stack.pid_of("worker") not in (None, worker))

    assert still_running(orphans_to_be) == []
    [restarted] = [each for each in own_stack.record["processes"] if each["name"] == "worker"]
    assert restarted["restarts"] == 1

    second_processes = descendants_of(supervisor.pid)
    os.killpg(supervisor.pid, signal.SIGINT)  # as Ctrl-C in a terminal does

    assert supervisor.wait(PATIENCE_SECONDS) == 0
    assert_nothing_left(own_stack, second_processes)


def test_nothing_outlives_a_supervisor_killed_while_it_starts(own_stack):
    guard = own_stack.start()
    own_stack.wait_for_process("worker", guard)
    processes = descendants_of(guard.pid)

    os.kill(own_stack.record["pid"], signal.SIGKILL)

    wait_until(lambda: still_running(processes) == [])
    assert guard.wait() == 128 + signal.SIGKILL
    assert own_stack.call("status").returncode == 1

    again = own_stack.start()
    own_stack.wait_for_process("postgres", again)
    processes = descendants_of(again.pid)
    again.terminate()

    assert again.wait(PATIENCE_SECONDS) == 0
    assert_nothing_left(own_stack, processes)


@pytest.mark.parametrize("victims", [("supervisor",), ("guard",)])
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
def test_nothing_outlives_a_killed_supervisor_or_its_guard(own_stack, is_busy, victims, pytestconfig):
    if (not is_busy or victims == ("guard",)) and not pytestconfig.getoption("all_faults"):
        pytest.skip(
            "a busy stack has these processes and more, and below the guard dies with its supervisor: --all-faults"
        )
    guard = own_stack.start()
    own_stack.wait_for("Maestro is ready", guard)
    sleepers = own_stack.keep_busy() if is_busy else []
    processes = {*descendants_of(guard.pid), *sleepers}

    own_stack.kill(guard, victims)

    wait_until(lambda: still_running(processes) == [])
    assert_nothing_left(own_stack, processes)


def test_a_stop_lets_running_tasks_finish_and_a_second_one_does_not(own_stack):
    guard = own_stack.start()
    own_stack.wait_for("Maestro is ready", guard)
    begun, go_on = (own_stack.home.parent / name for name in ("begun", "go-on"))
    run_id = own_stack.run_shell(f"touch '{begun}'; until [ -e '{go_on}' ]; do sleep 0.1; done")
    wait_until(begun.exists)

    os.killpg(guard.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    own_stack.wait_for("draining", guard)
    go_on.touch()

    assert guard.wait(PATIENCE_SECONDS) == 0
    guard = own_stack.start("--drain-seconds", str(LONG_SECONDS))
    own_stack.wait_for("Maestro is ready", guard)
    finished = json.loads(own_stack.call("show", run_id, "--json").stdout)
    assert [(each["status"], each["attempt"]) for each in finished["task_executions"]] == [("succeeded", 1)]

    processes = {*descendants_of(guard.pid), *own_stack.keep_busy()}
    os.killpg(guard.pid, signal.SIGINT)
    own_stack.wait_for("draining", guard)
    os.killpg(guard.pid, signal.SIGINT)

    assert guard.wait(PATIENCE_SECONDS) == 0
    assert_nothing_left(own_stack, processes)


def test_programs_end_with_supervisor_and_guard_and_down_ends_what_they_left_and_names_it(own_stack):
    guard = own_stack.start()
    own_stack.wait_for("Maestro is ready", guard)
    programs = descendants_of(guard.pid)
    sleepers = own_stack.keep_busy()
    processes = {*descendants_of(guard.pid), *sleepers}

    own_stack.kill(guard, ("guard", "supervisor"))
    wait_until(lambda: still_running(programs) == [])
    assert still_running(sleepers) != []

    stopped = own_stack.call("down", "--json")

    report = json.loads(stopped.stdout)
    assert (stopped.returncode, report["was_running"]) == (0, False)
    assert {each.pid for each in sleepers} <= {each["pid"] for each in report["leftovers"]}
    assert_nothing_left(own_stack, processes)
    assert own_stack.call("down").stdout == f"No stack runs in {own_stack.home}.\n"


def test_stopping_a_home_that_never_ran_says_so(own_stack):
    stopped = own_stack.call("down")
    as_json = own_stack.call("down", "--json")

    assert stopped.returncode == as_json.returncode == 0
    assert stopped.stdout == f"No stack runs in {own_stack.home}.\n"
    assert json.loads(as_json.stdout) == {"was_running": False, "leftovers": []}
    assert not own_stack.home.exists()


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_a_home_that_is_a_file_is_refused_like_everything_else(tmp_path, command):
    (tmp_path / "file").write_text("")

    refused = run([str(MAESTRO), command, "--home", str(tmp_path / "file")])

    assert refused.returncode == 1
    assert refused.stderr == f"Error: {tmp_path / 'file'} is no directory. Choose another home by --home.\n"


@pytest.mark.parametrize(
    ("flag", "value", "wanted"),
    [
        ("--port", "abc", "'abc' is no port: give a whole number from 1 to 65,535."),
        ("--flower-port", "65536", "'65536' is no port: give a whole number from 1 to 65,535."),
        ("--concurrency", "0", "'0' is no number of tasks: give a whole number from 1 to 1,000."),
    ],
)
def test_a_wrong_number_is_answered_with_what_is_wanted(tmp_path, flag, value, wanted):
    refused = run([str(MAESTRO), "up", "--home", str(tmp_path / "home"), flag, value])

    assert refused.returncode == 2
    assert wanted in refused.stderr


def test_json_of_a_stack_in_the_foreground_is_refused(own_stack):
    refused = run(own_stack.up_command("--json"))

    assert refused.returncode == 2
    assert "--json needs --detach" in refused.stderr


def test_status_of_a_home_that_never_ran_says_so(own_stack):
    shown = own_stack.call("status")
    as_json = own_stack.call("status", "--json")

    assert shown.returncode == as_json.returncode == 1
    assert "No stack has run" in shown.stdout
    assert json.loads(as_json.stdout) == {"status": "stopped", "processes": []}


def test_status_shows_every_process(stack):
    shown = stack.run("status")
    record = json.loads(stack.run("status", "--json").stdout)

    assert shown.returncode == 0
    assert record["status"] == "ready"
    assert {each["name"]: each["status"] for each in record["processes"]} == dict.fromkeys(PROCESSES, "running")
    assert all(str(each["pid"]) in shown.stdout for each in record["processes"])
    assert record["urls"]["api"] in shown.stdout


def test_a_start_ends_without_warnings_of_maestros_programs(stack):
    start = (stack.home.parent / "log").read_text().partition("Maestro is ready")[0]

    ours = [line for line in start.splitlines() if line.startswith(("api", "worker", "beat", "flower"))]

    assert ours
    assert [line for line in ours if " WARNING " in line or "Warning:" in line] == []


@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_second_up_on_a_home_is_refused(stack, detach):
    api, flower = find_free(2)

    refused = stack.run("up", "--port", str(api), "--flower-port", str(flower), *detach)

    assert refused.returncode == 1
    assert "already runs in" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("flag", ["--port", "--flower-port"])
def test_busy_port_is_named_before_anything_is_started(stack, own_stack, flag):
    address = stack.url if flag == "--port" else stack.flower_url
    busy = address.rpartition(":")[2]

    refused = run(own_stack.up_command(flag, busy))

    assert refused.returncode == 1
    assert f"Port {busy}" in refused.stderr
    assert f"Choose another by {flag}" in refused.stderr
    assert not (own_stack.home / "postgres").exists()


def test_no_secret_stands_in_an_argument_list(stack):
    home = Home(stack.home)
    secrets = json.loads(home.secrets.read_text()).values()
    files = [path.read_text().strip() for path in (home.api_key, home.admin_password)]
    record = json.loads(home.record.read_text())

    words = " ".join(word for process in descendants_of(record["pid"]) for word in command_of(process))

    assert [secret for secret in (*secrets, *files) if secret in words] == []


def test_files_with_secrets_are_closed_to_others(stack):
    home = Home(stack.home)

    modes = {path.name: path.stat().st_mode & 0o777 for path in (home.secrets, home.api_key, home.admin_password)}

    assert modes == {"secrets.json": 0o600, "api-key": 0o600, "admin-password": 0o600}


def test_a_database_administrator_can_run_bootstrap_again_by_psql(stack):
    home = Home(stack.home)
    record = json.loads(home.record.read_text())
    password = load_or_create_secrets(home).postgres_password.get_secret_value()
    psql = next(Path(word) for word in psutil.Process(record["processes"][1]["pid"]).cmdline()).with_name("psql")
    target = ["-h", HOST, "-p", str(record["ports"]["postgres"]), "-U", "postgres", "-d", "maestro"]

    done = subprocess.run(
        [str(psql), *target, "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", str(postgres.BOOTSTRAP)],
        capture_output=True,
        text=True,
        env=os.environ | {"PGPASSWORD": password},
    )

    assert done.returncode == 0, done.stderr


def test_the_guides_statistics_queries_run_as_the_owner(stack):
    home = Home(stack.home)
    ports = json.loads(home.record.read_text())["ports"]
    url = postgres.url("maestro", load_or_create_secrets(home).maestro_password, ports["postgres"])

    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT query, mean_time, calls, total_time FROM pg_stat_statements ORDER BY mean_time DESC LIMIT 10"
        ).fetchall()
        roles = connection.execute(
            "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname LIKE 'maestro%' ORDER BY 1"
        ).fetchall()
        owned = connection.execute("SELECT count(*) FROM pg_tables WHERE tableowner = 'maestro_api'").fetchone()

    assert len(rows) == 10
    assert not any("SCRAM" in row[0] for row in rows)
    assert roles == [("maestro", False, False, True), ("maestro_api", False, False, True)]
    assert owned == (0,)
