"""Where the server is and with which key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro.cli.configuration import ConfigurationError, Connection, resolve_connection


def make_home(parent: Path, *, url: str | None = "http://127.0.0.1:3111", key: str | None = "mk_home\n") -> Path:
    home = parent / ".maestro"
    home.mkdir(parents=True)
    if url is not None:
        (home / "state.json").write_text(json.dumps({"pid": 1, "urls": {"api": url}}))
    if key is not None:
        (home / "api-key").write_text(key)
    return home


def resolve(directory: Path, *, url: str | None = None, home: str | None = None, **environment: str) -> Connection:
    return resolve_connection(url=url, home=home, environment=environment, directory=directory)


def test_home_above_gives_url_and_key(tmp_path: Path):
    home = make_home(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    connection = resolve(below)

    assert (connection.url, connection.api_key) == ("http://127.0.0.1:3111", "mk_home")
    assert connection.key_source == str(home / "api-key")


def test_flag_comes_before_environment_before_home(tmp_path: Path):
    make_home(tmp_path)

    from_flag = resolve(tmp_path, url="http://localhost:1", MAESTRO_URL="http://localhost:2")
    from_environment = resolve(tmp_path, MAESTRO_URL="http://localhost:2", MAESTRO_API_KEY=" mk_env ")

    assert (from_flag.url, from_flag.api_key) == ("http://localhost:1", "mk_home")
    assert (from_environment.url, from_environment.api_key) == ("http://localhost:2", "mk_env")
    assert from_environment.key_source == "MAESTRO_API_KEY"


def test_named_home_comes_before_the_one_found(tmp_path: Path):
    make_home(tmp_path)
    make_home(tmp_path / "by flag", key="mk_flag")
    make_home(tmp_path / "by environment", key="mk_environment")

    by_flag = resolve(tmp_path, home="by flag/.maestro", MAESTRO_HOME="by environment/.maestro")
    by_environment = resolve(tmp_path, MAESTRO_HOME="by environment/.maestro")

    assert (by_flag.api_key, by_environment.api_key) == ("mk_flag", "mk_environment")


def test_default_url_is_taken_when_no_state_names_one(tmp_path: Path):
    make_home(tmp_path, url=None)

    assert resolve(tmp_path).url == "http://127.0.0.1:3000"


def test_key_of_the_home_is_not_sent_to_another_machine(tmp_path: Path):
    make_home(tmp_path)

    with pytest.raises(ConfigurationError, match="Set MAESTRO_API_KEY to a key of the server you named"):
        resolve(tmp_path, url="https://maestro.example")


def test_missing_key_says_where_it_was_looked_for_and_how_to_get_one(tmp_path: Path):
    with pytest.raises(ConfigurationError) as caught:
        resolve(tmp_path)

    assert str(caught.value) == (
        f"No API key: MAESTRO_API_KEY is not set and there is no {tmp_path / '.maestro' / 'api-key'}. Start Maestro "
        "with `maestro up`, which writes it, and call maestro in that directory or with --home; or set MAESTRO_URL "
        "and MAESTRO_API_KEY."
    )


def test_empty_key_file_is_told(tmp_path: Path):
    make_home(tmp_path, key=" \n")

    with pytest.raises(ConfigurationError, match="is empty"):
        resolve(tmp_path)


def test_unreadable_key_file_is_told_with_the_cause(tmp_path: Path):
    home = make_home(tmp_path, key=None)
    (home / "api-key").mkdir()

    with pytest.raises(ConfigurationError, match=r"cannot be read \(Is a directory\)"):
        resolve(tmp_path)


@pytest.mark.parametrize("content", [b'{"urls"', b"\xff\xfe"])
def test_damaged_state_is_told(tmp_path: Path, content: bytes):
    home = make_home(tmp_path)
    (home / "state.json").write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"state\.json cannot be read \(its content is damaged\)"):
        resolve(tmp_path)


@pytest.mark.parametrize("state", [[], {"urls": None}, {"urls": {"api": 3}}])
def test_state_without_an_address_leaves_the_default(tmp_path: Path, state: object):
    home = make_home(tmp_path)
    (home / "state.json").write_text(json.dumps(state))

    assert resolve(tmp_path).url == "http://127.0.0.1:3000"


def test_key_is_not_part_of_the_representation(tmp_path: Path):
    make_home(tmp_path)

    assert "mk_home" not in repr(resolve(tmp_path))
