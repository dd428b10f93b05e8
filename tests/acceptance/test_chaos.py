"""`maestro chaos`, as a person types it: it notices what does not hold, and leaves nothing behind."""

import contextlib
import json
import os
import signal
import subprocess
import time

import psutil
import psycopg
import pytest

from maestro.embedded import postgres
from maestro.embedded.home import Home, load_or_create_secrets
from maestro.embedded.record import read_record
from tests.acceptance.conftest import MAESTRO, ROOT, outside_environment
from tests.processes import is_alive

START_SECONDS = 300
CAMPAIGN_SECONDS = 600
# Quickly recovered from; all of them, and more runs: `maestro chaos --runs 200`.
FAULTS = "kill-child,restart-database,duplicate,reorder,hold"


class Campaign:
    """A `maestro chaos` that goes on."""

    def __init__(self, directory, *arguments):
        self._directory = directory
        self.process = subprocess.Popen(
            [str(MAESTRO), "chaos", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=outside_environment() | {"TMPDIR": str(directory)},
        )

    @property
    def homes(self):
        return [Home(path) for path in self._directory.glob("maestro-chaos-*")]

    def wait_for_home(self):
        """Wait until its stack is ready, and return its home."""
        return self.wait_for(lambda home: home.api_key.exists() and read_record(home).is_whole)

    def wait_for(self, is_so):
        """Wait until something is true of its home, and return it."""
        deadline = time.monotonic() + START_SECONDS
        while not any(is_so(home) for home in self.homes):
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.1)
        return self.homes[0]

    def finish(self):
        output, errors = self.process.communicate(timeout=CAMPAIGN_SECONDS)
        return self.process.returncode, output, errors


@pytest.fixture
def begin(tmp_path):
    # As root, PostgreSQL runs as another user; the suite's directories are closed to it otherwise.
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o711)
    begun = []

    def begin(*arguments):
        begun.append(Campaign(tmp_path, *arguments))
        return begun[-1]

    yield begin
    for campaign in begun:
        if campaign.process.poll() is None:
            campaign.process.send_signal(signal.SIGTERM)
            campaign.finish()


def test_a_campaign_finds_the_one_thing_that_is_wrong_and_nothing_else(begin, tmp_path):
    page = tmp_path / "report.md"
    campaign = begin("--runs", "12", "--seed", "357", "--faults", FAULTS, "--report", str(page), "--json")
    home = campaign.wait_for_home()
    stack = psutil.Process(read_record(home).guard_pid)
    processes = [stack, *stack.children(recursive=True)]

    spoiled = spoil_an_output(home)
    code, output, errors = campaign.finish()

    told = json.loads(output)
    wrong = f"wrong_output: {spoiled['task_key']} of run {spoiled['run_id']}: output {{'value': -5}}"
    assert [(found["run"], found["task"], found["rule"]) for found in told["breaks"]] == [
        (spoiled["run_id"], spoiled["task_key"], "wrong_output")
    ]
    assert code == 1, errors
    assert told["held"] is False
    assert told["command"] == f"maestro chaos --runs 12 --seed 357 --faults {FAULTS}"
    assert told["figures"]["runs"] >= 12
    assert told["faults"]
    assert wrong in page.read_text()
    history = "\n".join(told["histories"][spoiled["run_id"]]["events"])
    assert f"{spoiled['task_key']} attempt 1 began on executor" in history
    assert f"{spoiled['task_key']} succeeded, attempt 1" in history
    assert campaign.homes == [home]
    assert [process for process in processes if is_alive(process)] == []


def spoil_an_output(home):
    """Change the output of the first task that nobody reads any more, as an engine with a fault would have it."""
    ports, secrets = read_record(home).ports, load_or_create_secrets(home)
    url = postgres.url("maestro", secrets.maestro_password, ports.postgres)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        # The campaign restarts the database meanwhile.
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute(
                """
                UPDATE task_executions SET output = '{"value": -5}' WHERE id = (
                    SELECT t.id FROM task_executions t JOIN workflow_runs r ON r.id = t.run_id
                    WHERE r.status IN ('succeeded', 'failed') AND t.status = 'succeeded' AND t.attempt = 1 LIMIT 1
                )
                RETURNING run_id::text, task_key
                """
            ).fetchone()
            if row is not None:
                return {"run_id": row[0], "task_key": row[1]}
        time.sleep(0.05)
    raise AssertionError("no run ended")


def test_ctrl_c_stops_the_stack_and_removes_its_home(begin):
    campaign = begin("--runs", "500", "--seed", "7")
    home = campaign.wait_for(lambda home: home.record.exists() and read_record(home).processes)
    stack = psutil.Process(read_record(home).guard_pid)
    processes = [stack, *stack.children(recursive=True)]

    os.kill(campaign.process.pid, signal.SIGINT)
    code, _, errors = campaign.finish()

    assert (code, "Interrupted." in errors) == (130, True), errors
    assert campaign.homes == []
    assert [process for process in processes if is_alive(process)] == []
