"""Flower, and Celery's own command line, as somebody who watches a running stack uses them."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from maestro.embedded.home import Home
from tests.acceptance.conftest import ROOT
from tests.patience import PATIENCE_SECONDS, wait_until

BEHIND_SIGN_IN = (
    "/",
    "/tasks",
    "/broker",
    "/worker/executor@nowhere",
    "/metrics",
    "/api/workers",
    "/api/tasks",
    "/api/task/types",
    "/api/queues/length",
)
COMMANDS = (
    "inspect ping",
    "inspect active",
    "inspect stats",
    "inspect conf",
    "report",
    "status",
    "control pool_grow 1",
    "control pool_shrink 1",
    "control rate_limit workflows.dispatch.execute 0",
    "control cancel_consumer nothing-listens-to-this",
)


@pytest.fixture(scope="module")
def password(stack):
    return Home(stack.home).admin_password.read_text().strip()


@pytest.fixture
def flower(stack, password):
    """Ask Flower, signed in."""
    return lambda path: requests.get(stack.flower_url + path, auth=("admin", password), timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("path", BEHIND_SIGN_IN)
def test_pages_api_and_metrics_need_the_password(stack, path):
    anonymous = requests.get(stack.flower_url + path, timeout=PATIENCE_SECONDS)
    wrong = requests.get(stack.flower_url + path, auth=("admin", "wrong"), timeout=PATIENCE_SECONDS)

    assert (anonymous.status_code, wrong.status_code) == (401, 401)


def test_they_answer_who_has_it(flower):
    assert [flower(path).status_code for path in ("/", "/metrics", "/api/workers", "/api/tasks")] == [200] * 4
    assert "flower_worker_online" in flower("/metrics").text


def test_healthcheck_answers_anybody_and_says_no_more_than_ok(stack):
    assert requests.get(f"{stack.flower_url}/healthcheck", timeout=PATIENCE_SECONDS).text == "OK"


def test_every_task_is_named_after_its_workflow_and_key_from_sent_to_succeeded(stack, flower):
    run = json.loads(stack.run("run", "examples/flight-delays.yaml", "--json").stdout)
    stack.run("show", run["id"], "--follow")
    executions = stack.request("GET", f"/workflow-runs/{run['id']}/task-executions?limit=200").json()["results"]
    wanted = {f"flight-delays.{task['task_key']}" for task in executions}

    seen = _poll(lambda: _finished_names(flower, run["id"]), until=lambda names: names == wanted)

    assert seen == wanted
    assert 'type="task-sent",worker="' in (metrics := flower("/metrics").text)
    assert 'task="workflows.dispatch.execute"' not in metrics


def test_inputs_do_not_reach_flower(stack, flower, tmp_path):
    file = tmp_path / "workflow.json"
    task = {"uses": "noop", "with": {"output": "${{ inputs.word }}"}}
    inputs = {"word": {"type": "string"}}
    file.write_text(json.dumps({"schema_version": 1, "name": "hushed", "inputs": inputs, "tasks": {"a": task}}))
    run = json.loads(stack.run("run", str(file), "--input", "word=correct-horse-battery", "--json").stdout)

    seen = _poll(lambda: _finished_names(flower, run["id"]), until=bool)

    assert seen == {"hushed.a"}
    assert "correct-horse" not in flower("/api/tasks").text


def test_arguments_of_a_called_celery_task_do_not_reach_flower(stack, flower, tmp_path):
    file = tmp_path / "workflow.json"
    called = {"task": "examples.celery_tasks.count_flights", "args": ["EWR"], "kwargs": {"day": 7}}
    tasks = {"count": {"uses": "celery", "with": called}}
    file.write_text(json.dumps({"schema_version": 1, "name": "calling", "tasks": tasks}))

    finished = stack.run("run", str(file), "--follow")

    assert finished.returncode == 0, finished.stdout + finished.stderr
    seen = _poll(lambda: flower(f"/api/tasks?taskname={called['task']}").json().values(), until=bool)
    assert {(task["args"], task["kwargs"]) for task in seen} == {("(…)", "{…}")}


def test_secret_that_a_called_celery_task_returns_or_raises_reaches_neither_flower_nor_the_log(stack, flower, tmp_path):
    file = tmp_path / "workflow.json"
    flights = [{"origin": "${{ inputs.code }}", "cancelled_percent": 1, "scheduled": 2}]
    called = {
        "returns": {"task": "examples.celery_tasks.compare", "args": [flights]},
        "raises": {"task": "examples.celery_tasks.count_flights", "args": ["${{ inputs.code }}"]},
    }
    tasks = {key: {"uses": "celery", "with": options} for key, options in called.items()}
    inputs = {"code": {"type": "string", "writeOnly": True}}
    file.write_text(json.dumps({"schema_version": 1, "name": "discreet", "inputs": inputs, "tasks": tasks}))

    finished = stack.run("run", str(file), "--input", "code=correct-horse-battery", "--follow")

    assert "ValueError: no flights from ••••••" in finished.stdout
    ends = {"discreet.returns ended", "discreet.raises ended"}
    _poll(lambda: {task["name"] for task in flower("/api/tasks").json().values()}, until=lambda names: ends <= names)
    told = flower("/api/tasks").text
    assert told.count("hidden: the inputs of the run have secrets") >= 2
    assert "correct-horse" not in told
    wait_until(lambda: "count_flights" in stack.log)
    assert "correct-horse" not in stack.log


def test_celery_commands_reach_the_workers_and_tell_no_secret(stack):
    def call(command):
        """Whoever does not answer within Celery's one second is asked again."""
        return wait_until(lambda: (each := run(command)).returncode != os.EX_UNAVAILABLE and each)

    def run(command):
        return stack.run("exec", "celery", "-A", "maestro", *command.split())

    with ThreadPoolExecutor(max_workers=4) as pool:  # most of their time they wait for more workers to answer
        finished = dict(zip(COMMANDS, pool.map(call, COMMANDS), strict=True))

    said = "".join(each.stdout + each.stderr for each in finished.values())
    assert {command: each.returncode for command, each in finished.items() if each.returncode} == {}
    assert [secret for secret in _secrets(stack) if secret in said] == []


def test_what_flower_shows_of_a_worker_has_no_secret(stack, flower):
    [worker] = wait_until(lambda: flower("/api/workers?refresh=true").json())

    shown = flower(f"/worker/{worker}").text + flower("/api/workers").text

    assert "maestro" in shown
    assert [secret for secret in _secrets(stack) if secret in shown] == []


def test_program_run_by_exec_gives_its_exit_code_and_output(stack):
    finished = stack.run("exec", "sh", "-c", 'echo "$MAESTRO_COMPONENT"; exit 3')

    assert (finished.returncode, finished.stdout) == (3, "command\n")


def test_program_that_does_not_exist_is_named(stack):
    refused = stack.run("exec", "no-such-program")

    assert (refused.returncode, refused.stderr) == (
        1,
        "Error: 'no-such-program' cannot be run: No such file or directory.\n",
    )


def test_exec_without_a_stack_says_how_to_start_one(stack, tmp_path):
    refused = stack.run("exec", "--home", str(tmp_path / "none"), "true", cwd=ROOT)

    assert refused.returncode == 1
    assert "Start one by `maestro up`." in refused.stderr


def _finished_names(flower, run_id):
    tasks = flower("/api/tasks").json()
    return {task["name"] for uuid, task in tasks.items() if uuid.startswith(run_id) and task["state"] == "SUCCESS"}


def _poll(look, *, until):
    """Look until it is as wanted, or for so long that it never will be."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


def _secrets(stack):
    home = Home(stack.home)
    return [
        *json.loads(home.secrets.read_text()).values(),
        home.api_key.read_text().strip(),
        home.admin_password.read_text().strip(),
    ]
