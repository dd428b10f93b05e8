"""What Tab offers."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from maestro.cli.main import COMMANDS, cli
from tests.unit.cli.builders import RUN_ID, run_json, task_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi

WORKFLOWS = [{"id": "1", "name": "flights", "description": "Who is late"}, {"id": "2", "name": "greeting"}]


def offered(*typed: str) -> list[str]:
    """Return what is offered for the last word typed."""
    *before, incomplete = typed
    items = ShellComplete(cli, {}, "maestro", "_MAESTRO_COMPLETE").get_completions(before, incomplete)
    return [item.value if item.type == "plain" else f"a {item.type}" for item in items]


def test_commands_and_options_are_offered():
    assert offered("") == list(COMMANDS)
    assert offered("ru") == ["run", "runs"]
    assert offered("logs", "--fo") == ["--follow"]
    assert offered("runs", "--status", "s") == ["succeeded"]


@pytest.mark.parametrize("command", ["run", "canvas", "activate", "archive"])
def test_workflows_are_offered(api: FakeApi, command: str):
    api.on_list("/workflows", WORKFLOWS)

    assert offered(command, "fl") == ["flights"]


def test_a_workflow_is_offered_however_many_come_before_it(api: FakeApi):
    api.on_list("/workflows", [{"id": str(number), "name": f"a{number}"} for number in range(150)] + WORKFLOWS)

    assert offered("run", "fl") == ["flights"]
    assert len(offered("run", "a")) == 100


def test_files_are_offered_where_no_workflow_begins_so(api: FakeApi):
    api.on_list("/workflows", WORKFLOWS)

    assert offered("run", "examples/") == ["a file"]
    assert offered("apply", "") == ["a file"]


@pytest.mark.parametrize("command", ["show", "logs", "cancel", "open"])
def test_runs_are_offered(api: FakeApi, command: str):
    api.on_list("/workflow-runs", [run_json()])

    assert offered(command, RUN_ID[:4]) == [RUN_ID]


def test_tasks_of_the_run_that_is_typed_are_offered(api: FakeApi):
    api.on_list(f"/workflow-runs/{RUN_ID}/task-executions", [task_json("read"), task_json("report")])

    assert offered("logs", RUN_ID, "rep") == ["report"]


def test_profiles_are_offered(directory: Path):
    file = directory / "configuration" / "maestro" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[profiles.prod]\n[profiles.dev]\n")

    assert offered("runs", "--profile", "p") == ["prod"]


def test_server_that_is_not_there_is_passed_over_in_silence(capfd: pytest.CaptureFixture[str]):
    assert offered("show", "--url", "http://127.0.0.1:1", "") == []
    assert offered("run", "") == ["a file"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_of_each_shell_is_printed(maestro: Maestro, shell: str):
    result = maestro("completion", shell)

    assert result.exit_code == 0
    assert f"_MAESTRO_COMPLETE={shell}_complete" in result.stdout


def test_shell_that_is_not_known_is_refused(maestro: Maestro):
    result = maestro("completion", "tcsh")

    assert result.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.stderr
