"""The command as a whole: its overview, unknown commands, colours, interruption."""

from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest

from maestro.cli.main import COMMANDS, cli
from tests.unit.cli.conftest import Maestro


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
