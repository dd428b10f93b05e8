"""kinds, schema."""

from __future__ import annotations

import json

import pytest

from executors.kinds.errors import BrokenKind
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi

SHELL = {
    "kind": "shell",
    "summary": "Run a command.",
    "options_schema": {"properties": {"env": {}, "command": {}}, "required": ["command"]},
}


def test_kinds_are_listed_with_required_options_first(api: FakeApi, maestro: Maestro):
    api.on_list("/kinds", [SHELL, {"kind": "noop"}])

    assert maestro("kinds").stdout.splitlines() == [
        "KIND   OPTIONS        SUMMARY",
        "shell  command [env]  Run a command.",
        "noop",
    ]


def test_kinds_as_json_are_one_document(api: FakeApi, maestro: Maestro):
    api.on_list("/kinds", [SHELL])

    assert json.loads(maestro("kinds", "--json").stdout) == [SHELL]


def test_schema_is_printed_without_a_server_or_a_key(maestro: Maestro):
    result = maestro("schema")

    assert result.exit_code == 0
    assert {"name", "tasks"} <= set(json.loads(result.stdout)["properties"])
    assert maestro("schema", "--json").stdout == result.stdout


def test_broken_kind_is_told_in_one_line(maestro: Maestro, monkeypatch: pytest.MonkeyPatch):
    def broken() -> None:
        raise BrokenKind("The kind 'ftp' of acme 1.0 cannot be loaded.")

    monkeypatch.setattr("executors.kinds.registry.options_models", broken)

    result = maestro("schema")

    assert (result.exit_code, result.stderr) == (1, "Error: The kind 'ftp' of acme 1.0 cannot be loaded.\n")
