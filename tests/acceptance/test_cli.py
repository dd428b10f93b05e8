"""The command line against a running stack, as a person types it."""

import json
import os
import signal
import subprocess
import uuid

import pytest

from tests.acceptance.conftest import MAESTRO, ROOT
from tests.patience import PATIENCE_SECONDS, wait_until


@pytest.fixture
def name():
    return f"w-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def write(tmp_path, name):
    """Write a definition with the given tasks and return its file."""

    def written(tasks, **more):
        file = tmp_path / "workflow.json"
        file.write_text(json.dumps({"schema_version": 1, "name": name, "tasks": tasks} | more))
        return str(file)

    return written


def test_run_of_a_file_applies_it_and_exits_by_its_outcome(stack, write):
    file = write({"a": {"uses": "noop", "with": {"output": 7}}}, outputs={"answer": "${{ tasks.a.output }}"})

    finished = stack.run("run", file, "--follow")

    assert finished.returncode == 0, finished.stderr
    assert "answer: 7" in finished.stdout


def test_failed_run_exits_1_and_names_the_cause_and_its_last_lines(stack, write):
    file = write({"bad": {"uses": "shell", "with": {"command": "echo before; echo broken >&2; exit 3"}}})

    finished = stack.run("run", file, "--follow")

    assert finished.returncode == 1
    assert "bad" in finished.stdout + finished.stderr
    assert "broken" in finished.stdout + finished.stderr


def test_run_cancelled_by_somebody_exits_130(stack, write, name):
    file = write({"slow": {"uses": "noop", "with": {"duration": "10m"}}})
    following = subprocess.Popen(
        [str(MAESTRO), "run", file, "--follow"], cwd=ROOT, env=stack.environment, stdout=subprocess.PIPE, text=True
    )
    run = _first_run(stack, name)

    stack.run("cancel", run["id"])

    assert following.wait(PATIENCE_SECONDS) == 130
    following.communicate()


def test_interrupted_follow_leaves_the_run_and_says_how_to_stop_it(stack, write, name):
    file = write({"slow": {"uses": "noop", "with": {"duration": "10m"}}})
    following = subprocess.Popen(
        [str(MAESTRO), "run", file, "--follow"],
        cwd=ROOT,
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    run = _first_run(stack, name)
    assert any(line.startswith("slow: ") for line in following.stdout), "it followed nothing"

    following.send_signal(signal.SIGINT)
    with following.stdout as printed:
        said = printed.read()

    assert following.wait(PATIENCE_SECONDS) == 130
    assert f"cancel {run['id']}" in said
    assert stack.request("GET", f"/workflow-runs/{run['id']}").json()["status"] == "running"
    stack.request("POST", f"/workflow-runs/{run['id']}/cancel")


def _first_run(stack, name):
    return wait_until(lambda: stack.request("GET", f"/workflow-runs?workflow={name}").json()["results"])[0]


def test_every_reading_command_prints_json(stack, write, name):
    file = write({"a": {"uses": "shell", "with": {"command": "echo hi"}}})
    run = json.loads(stack.run("run", file, "--json").stdout)
    stack.run("show", run["id"], "--follow")

    commands = {
        "workflows": ["workflows", "--json"],
        "runs": ["runs", "--workflow", name, "--json"],
        "show": ["show", run["id"], "--json"],
        "logs": ["logs", run["id"], "--json"],
        "canvas": ["canvas", name, "--json"],
        "kinds": ["kinds", "--json"],
        "schema": ["schema", "--json"],
        "status": ["status", "--json"],
    }
    for command, arguments in commands.items():
        finished = stack.run(*arguments)
        assert finished.returncode == 0, (command, finished.stderr)
        assert [json.loads(finished.stdout)] if command != "logs" else map(json.loads, finished.stdout.splitlines())


def test_logs_show_what_a_task_wrote(stack, write):
    file = write({"a": {"uses": "shell", "with": {"command": "echo one; echo two"}}, "b": {"uses": "noop"}})
    run = json.loads(stack.run("run", file, "--json").stdout)
    stack.run("show", run["id"], "--follow")

    shown = stack.run("logs", run["id"], "a").stdout

    assert [line.split()[-1] for line in shown.splitlines()] == ["one", "two"]


def test_followed_log_prints_lines_while_the_run_goes_on_and_ends_with_it(stack, write, tmp_path):
    go_on = tmp_path / "go-on"
    command = f"echo one; while [ ! -e '{go_on}' ]; do sleep 0.1; done; echo two; echo three >&2; exit 3"
    file = write({"a": {"uses": "shell", "with": {"command": command}}})
    run = json.loads(stack.run("run", file, "--json").stdout)
    following = subprocess.Popen(
        [str(MAESTRO), "logs", run["id"], "a", "--follow"],
        cwd=ROOT,
        env=stack.environment,
        stdout=subprocess.PIPE,
        text=True,
    )

    first = following.stdout.readline()
    go_on.touch()
    rest, _ = following.communicate(timeout=PATIENCE_SECONDS)

    assert first == "one\n"
    assert sorted(rest.splitlines()) == ["three", "two"]
    assert following.returncode == 1


def test_problems_of_a_file_are_listed_with_line_and_column(stack, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("schema_version: 1\nname: Bad Name\ntasks:\n  a: {uses: shel, with: {command: x}}\n")

    finished = stack.run("validate", str(file))

    assert finished.returncode == 1
    assert f"{file}:2:" in finished.stdout + finished.stderr
    assert f"{file}:4:" in finished.stdout + finished.stderr
    assert "shell" in finished.stdout + finished.stderr


def test_input_is_parsed_by_its_type(stack, write):
    inputs = {"count": {"type": "integer"}, "text": {"type": "string"}}
    file = write({"a": {"uses": "noop"}}, inputs=inputs, outputs={"seen": "${{ [inputs.count, inputs.text] }}"})

    finished = stack.run("run", file, "--input", "count=3", "--input", "text=3", "--follow", "--json")

    assert json.loads(finished.stdout.splitlines()[-1])["run"]["outputs"] == {"seen": [3, "3"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", str(uuid.UUID(int=1))),
        ("logs", "nonsense"),
        ("run", "no-such-workflow"),
        ("run", "no-such-file.yaml"),
        ("canvas", "no-such-workflow"),
        ("cancel", str(uuid.UUID(int=1))),
        ("activate", "no-such-workflow", "1"),
    ],
    ids=" ".join,
)
def test_wrong_argument_is_one_readable_paragraph(stack, arguments):
    finished = stack.run(*arguments)

    assert finished.returncode in (1, 2)
    assert "Traceback" not in finished.stderr
    assert finished.stderr.strip()
    assert len(finished.stderr.strip().splitlines()) <= 6


def test_server_that_is_not_up_is_said_with_what_to_do(stack, tmp_path):
    environment = stack.environment | {"MAESTRO_HOME": str(tmp_path), "MAESTRO_URL": "http://127.0.0.1:1"}

    finished = stack.run("workflows", env=environment | {"MAESTRO_API_KEY": "mk_x"})

    assert finished.returncode == 1
    assert "maestro up" in finished.stderr


def test_shell_tasks_see_nothing_of_the_platforms_secrets(stack, write):
    file = write({"a": {"uses": "shell", "with": {"command": "env; cat /proc/self/environ | tr '\\0' '\\n'"}}})
    run = json.loads(stack.run("run", file, "--json").stdout)
    stack.run("show", run["id"], "--follow")

    shown = stack.run("logs", run["id"]).stdout

    secrets = json.loads((stack.home / "secrets.json").read_text()).values()
    assert "MAESTRO_RUN_ID" in shown
    assert not [secret for secret in secrets if secret in shown]
    assert "DATABASE_URL" not in shown
    assert os.environ["HOME"] not in [line.partition("HOME=")[2] for line in shown.splitlines()]
