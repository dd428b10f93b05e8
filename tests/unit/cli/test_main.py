"""The command as a whole: its overview, unknown commands, colours, interruption."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from maestro.cli.main import COMMANDS, cli
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi, problem


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_overview_exists_and_explains_itself(name: str, maestro: Maestro):
    result = maestro(name, "-h")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: maestro {name}")


def test_overview_names_every_command_with_its_summary(maestro: Maestro):
    shown = maestro("--help").stdout

    for name, entry in COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, entry.summary] for line in shown.splitlines())


def test_overview_loads_neither_the_client_nor_any_command():
    program = (
        "import sys\nfrom maestro.cli.main import cli\ncli(['--help'], standalone_mode=False)\n"
        "heavy = {'requests', 'pydantic', 'rich', 'django', 'celery', 'yaml', 'maestro.cli.stack', 'maestro.client'}\n"
        "sys.exit(f'loaded: {sorted(heavy & set(sys.modules))}' if heavy & set(sys.modules) else 0)"
    )

    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (finished.returncode, finished.stderr) == (0, "")


def test_version_is_shown(maestro: Maestro):
    assert maestro("--version").stdout.startswith("maestro 0.")


def test_unknown_command_is_answered_with_the_nearest(maestro: Maestro):
    result = maestro("workflow")

    assert result.exit_code == 2
    assert "There is no command 'workflow'. Did you mean 'workflows'?" in result.stderr


def test_command_far_from_any_is_answered_with_where_to_look(maestro: Maestro):
    result = maestro("xyzzy\x1b[2J")

    assert result.exit_code == 2
    assert r"There is no command 'xyzzy\x1b[2J'. `maestro --help` lists the commands." in result.stderr


def test_interruption_ends_a_command_with_130(maestro: Maestro, monkeypatch: pytest.MonkeyPatch):
    def interrupted() -> None:
        raise KeyboardInterrupt

    module = importlib.import_module("maestro.cli.reference")
    monkeypatch.setattr(module, "schema_command", click.Command("schema", callback=interrupted))

    result = maestro("schema")

    assert result.exit_code == 130
    assert result.stderr == "Interrupted.\n"


@pytest.mark.parametrize(("value", "color"), [("1", False), ("", None)])
def test_no_color_turns_colours_off(value: str, color: bool | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", value)
    seen: list[bool | None] = []
    module = importlib.import_module("maestro.cli.reference")
    command = click.Command("schema", callback=lambda: seen.append(click.get_current_context().color))
    monkeypatch.setattr(module, "schema_command", command)

    cli(["schema"], standalone_mode=False)

    assert seen == [color]


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("kinds", "--json"), "invalid_configuration", 1),
        (("kinds", "--json", "--bogus"), "usage", 2),
        (("show", "nonsense", "--json"), "usage", 2),
        (("workflow", "--json"), "usage", 2),
        (("validate", "gone.yaml", "--json", "--url", "http://127.0.0.1:1"), "invalid_configuration", 1),
    ],
    ids=str,
)
def test_failure_with_json_is_one_object_on_standard_error(
    maestro: Maestro, arguments: tuple[str, ...], code: str, exit_code: int
):
    result = maestro(*arguments)

    assert (result.exit_code, result.stdout) == (exit_code, "")
    failure = json.loads(result.stderr)
    assert failure["code"] == code
    assert failure["message"]


def test_refusal_of_the_server_with_json_keeps_its_code_and_problems(api: FakeApi, maestro: Maestro):
    errors = [{"path": "tasks.a", "code": "unknown_key", "message": "is unknown", "line": 3, "column": 5}]
    api.on_turns("POST", "/workflows", problem(422, "definition_invalid", "It has a problem.", errors=errors))

    result = maestro("apply", "-", "--json", stdin="name: x\n")

    assert (result.exit_code, result.stdout) == (1, "")
    failure = json.loads(result.stderr)
    assert (failure["code"], failure["problems"]) == ("definition_invalid", errors)


def test_interruption_with_json_is_an_object_too(maestro: Maestro, monkeypatch: pytest.MonkeyPatch):
    def interrupted() -> None:
        raise KeyboardInterrupt

    module = importlib.import_module("maestro.cli.reference")
    options: list[click.Parameter] = [click.Option(["--json"], is_flag=True, expose_value=False)]
    monkeypatch.setattr(module, "schema_command", click.Command("schema", params=options, callback=interrupted))

    result = maestro("schema", "--json")

    assert (result.exit_code, json.loads(result.stderr)["code"]) == (130, "interrupted")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("argument", ["schema", "--help", "--version"])
def test_output_that_cannot_be_written_is_told_in_one_line(argument: str):
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [sys.executable, "-c", "from maestro.cli.main import main; main()", argument],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (finished.returncode, finished.stderr) == (
        1,
        "Error: The output cannot be written: No space left on device.\n",
    )
