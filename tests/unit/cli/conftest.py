"""The command line against a fake API, in an empty directory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from maestro.cli.main import cli
from tests.unit.client.fake_api import KEY, FakeApi, serving

Maestro = Callable[..., Result]


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("MAESTRO_URL", "MAESTRO_API_KEY", "MAESTRO_HOME", "MAESTRO_PROFILE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("CLICOLOR_FORCE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    monkeypatch.setattr("maestro.client.transport.RETRY_DELAYS_SECONDS", ())
    return tmp_path


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    with serving(FakeApi()) as serving_api:
        monkeypatch.setenv("MAESTRO_URL", serving_api.url)
        monkeypatch.setenv("MAESTRO_API_KEY", KEY)
        yield serving_api


@pytest.fixture
def maestro() -> Maestro:
    """Call the command line as a person does."""

    def call(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, list(arguments), input=stdin, prog_name="maestro")

    return call
