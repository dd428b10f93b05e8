"""Which home the commands about a stack mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Maestro


@pytest.mark.parametrize("command", [["status"], ["down"], ["exec", "true"]])
def test_home_in_a_directory_above_is_found_as_by_the_other_commands(
    directory: Path, maestro: Maestro, monkeypatch: pytest.MonkeyPatch, command: list[str]
):
    (directory / ".maestro").mkdir()
    (directory / "examples").mkdir()
    monkeypatch.chdir(directory / "examples")

    assert f"in {directory / '.maestro'}" in maestro(*command).output


@pytest.mark.parametrize("command", [["status"], ["down"], ["exec", "true"]])
def test_home_that_is_here_or_nowhere_is_named_briefly(maestro: Maestro, command: list[str]):
    assert "in .maestro" in maestro(*command).output
