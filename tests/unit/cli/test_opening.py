"""open: where things are, and which server that is."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.builders import RUN_ID, run_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi


def test_addresses_are_printed_with_where_the_server_was_found(api: FakeApi, maestro: Maestro):
    api.on_list("/kinds", [])

    assert maestro("open").stdout == (
        f"API       {api.url}\n"
        f"API docs  {api.url}/api/docs/\n"
        f"Admin     {api.url}/admin/\n"
        "\n"
        "The address is from MAESTRO_URL, the API key from MAESTRO_API_KEY.\n"
    )


def test_page_of_a_run_is_among_them_and_opened(api: FakeApi, maestro: Maestro, monkeypatch: pytest.MonkeyPatch):
    api.on("GET", f"/workflow-runs/{RUN_ID}", run_json())
    opened: list[str] = []

    def launch(url: str) -> int:
        opened.append(url)
        return 0

    monkeypatch.setattr("click.launch", launch)

    result = maestro("open", RUN_ID, "--browser", "--json")

    page = f"{api.url}/admin/workflows/workflowrun/{RUN_ID}/change/"
    assert json.loads(result.stdout)["run"] == page
    assert opened == [page]


def test_machine_without_a_browser_is_told(api: FakeApi, maestro: Maestro, monkeypatch: pytest.MonkeyPatch):
    api.on_list("/kinds", [])
    monkeypatch.setattr("click.launch", lambda url: 1)

    result = maestro("open", "--browser")

    assert (result.exit_code, result.stderr) == (
        1,
        "Error: No browser could be opened here; open the address yourself.\n",
    )
