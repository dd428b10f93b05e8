"""Errors as a person meets them: one paragraph on standard error, exit code 1."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import KEY, FakeApi, Reply, problem


def test_server_that_is_not_up_says_what_to_run(maestro: Maestro, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("MAESTRO_API_KEY", KEY)

    result = maestro("kinds", "--url", url)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: No answer from Maestro at {url} (from --url): connection refused. Start it with `maestro up` "
        "(or `make up`), or say where it listens by --url, --profile or MAESTRO_URL.\n"
    )


def test_refused_key_says_where_it_came_from_but_not_what_it_is(
    api: FakeApi, maestro: Maestro, directory: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("MAESTRO_API_KEY")
    home = directory / "home"
    home.mkdir()
    (home / "api-key").write_text("mk_wrong_secret")

    result = maestro("kinds", "--home", "home", "--url", api.url)

    assert result.exit_code == 1
    assert f"does not accept the API key from {home / 'api-key'}. Without a profile the key is" in result.stderr
    assert "mk_wrong_secret" not in result.output


def test_missing_configuration_is_told(maestro: Maestro):
    result = maestro("kinds")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: No API key: MAESTRO_API_KEY is not set and there is no ")


@pytest.mark.parametrize("url", ["localhost:3000", "http://"])
def test_url_that_is_none_is_told(maestro: Maestro, monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("MAESTRO_API_KEY", KEY)

    result = maestro("kinds", "--url", url)

    assert (result.exit_code, result.stderr) == (
        1,
        "Error: The server's URL must look like http://127.0.0.1:3000.\n",
    )


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            problem(500, "internal_error", "Something went wrong\x1b[2J."),
            r"could not do it: Something went wrong\x1b[2J. (HTTP 500) (request req-1). Its log says more",
        ),
        (
            Reply(body=b"<html>", status=503, content_type="text/html"),
            "could not do it: Service Unavailable (HTTP 503)",
        ),
        (problem(403, "forbidden", "Your role is viewer."), "Error: Your role is viewer. (request req-1)\n"),
        (
            problem(422, "invalid_request", "limit: too big", errors=[{"path": "limit", "message": "too big"}]),
            "Error: limit: too big (request req-1)\n",
        ),
        (Reply(body=b"<html>hello", content_type="text/html"), "does not speak Maestro's API: HTTP 200 without a JSON"),
        (Reply(body=b"", status=301, location="https://x.example"), "it redirects to https://x.example"),
    ],
    ids=["500", "503", "403", "422", "html", "redirect"],
)
def test_refusal_is_one_paragraph(api: FakeApi, maestro: Maestro, reply: Reply, said: str):
    api.on_turns("GET", "/kinds", reply)

    result = maestro("kinds")

    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert KEY not in result.stderr
