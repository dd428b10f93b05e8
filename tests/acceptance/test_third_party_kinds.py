"""A kind of somebody else's package, installed beside Maestro."""

import json
import subprocess

import pytest

from maestro.embedded.ports import find_free
from tests.acceptance.conftest import MAESTRO, ROOT, outside_environment
from tests.packages import install
from tests.patience import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def maestro(tmp_path_factory):
    """Run `maestro` commands against a stack whose programs all find the package."""
    directory = tmp_path_factory.mktemp("kind")
    for parent in (directory, *directory.parents[:2]):
        parent.chmod(0o711)  # as root, PostgreSQL runs as another user
    installed = install("maestro-kind-reverse", directory)
    home, (port, flower_port) = directory / "home", find_free(2)
    environment = outside_environment() | {"PYTHONPATH": str(installed), "MAESTRO_HOME": str(home)}

    def run(*arguments):
        return subprocess.run(
            [str(MAESTRO), *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            timeout=PATIENCE_SECONDS,
        )

    started = run("up", "--detach", "--port", str(port), "--flower-port", str(flower_port))
    assert started.returncode == 0, started.stdout + started.stderr
    yield run
    run("down")


@pytest.fixture
def write(tmp_path):
    """Write a definition of one task of the kind and return its file."""

    def written(options):
        file = tmp_path / "workflow.json"
        task = {"uses": "reverse", "with": options}
        outputs = {"text": "${{ tasks.turn.output.text }}"}
        file.write_text(
            json.dumps({"schema_version": 1, "name": "backwards", "tasks": {"turn": task}, "outputs": outputs})
        )
        return str(file)

    return written


def test_kind_is_listed_with_its_options_and_stands_in_the_schema(maestro):
    [kind] = [kind for kind in json.loads(maestro("kinds", "--json").stdout) if kind["kind"] == "reverse"]

    assert kind["summary"] == "Writes a text backwards."
    assert list(kind["options_schema"]["properties"]) == ["text", "words"]
    assert '"const": "reverse"' in maestro("schema").stdout


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"txt": "abc"}, 'tasks.turn.with.txt: "txt" is not an option of the kind "reverse"; did you mean "text"?'),
        ({"text": "abc", "words": 3}, "tasks.turn.with.words: must be true or false"),
    ],
)
def test_wrong_option_is_refused_when_the_definition_is_applied(maestro, write, options, problem):
    applied = maestro("apply", write(options))

    assert applied.returncode == 1
    assert problem in applied.stderr


def test_task_of_the_kind_runs_and_logs(maestro, write):
    finished = maestro("run", write({"text": "one two", "words": True}), "--follow", "--json")

    run = json.loads(finished.stdout.splitlines()[-1])["run"]
    assert run["outputs"] == {"text": "two one"}
    assert "attempt 1: 7 characters" in maestro("logs", run["id"]).stdout


def test_failure_of_the_kind_is_the_tasks(maestro, write):
    finished = maestro("run", write({"text": ""}), "--follow")

    assert finished.returncode == 1
    assert "with.text is empty." in finished.stdout + finished.stderr
