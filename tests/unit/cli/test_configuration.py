"""Where the server is and with which key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro.cli.configuration import Connection, resolve_connection
from maestro.cli.profiles import ConfigurationError


def make_home(parent: Path, *, url: str | None = "http://127.0.0.1:3111", key: str | None = "mk_home\n") -> Path:
    home = parent / ".maestro"
    home.mkdir(parents=True)
    if url is not None:
        (home / "state.json").write_text(json.dumps({"pid": 1, "urls": {"api": url}}))
    if key is not None:
        (home / "api-key").write_text(key)
    return home


def resolve(
    directory: Path, *, url: str | None = None, home: str | None = None, profile: str | None = None, **environment: str
) -> Connection:
    environment = {"XDG_CONFIG_HOME": str(directory)} | environment
    return resolve_connection(url=url, home=home, profile=profile, environment=environment, directory=directory)


def make_profile(directory: Path, name: str) -> None:
    file = directory / "maestro" / "config.toml"
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as opened:
        opened.write(f'[profiles.{name}]\nurl = "https://{name}.example"\napi_key = "mk_{name}"\n')


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


def test_home_named_by_a_flag_comes_before_url_and_key_of_the_environment(tmp_path: Path):
    make_home(tmp_path)

    connection = resolve(tmp_path, home=".maestro", MAESTRO_URL="http://localhost:2", MAESTRO_API_KEY="mk_env")

    assert (connection.url, connection.api_key) == ("http://127.0.0.1:3111", "mk_home")


def test_profile_comes_before_everything_that_is_no_flag(tmp_path: Path):
    make_home(tmp_path)
    make_profile(tmp_path, "prod")
    make_profile(tmp_path, "dev")
    everything = {
        "MAESTRO_URL": "http://localhost:2",
        "MAESTRO_API_KEY": "mk_env",
        "MAESTRO_HOME": ".maestro",
        "MAESTRO_PROFILE": "dev",
    }

    by_flag = resolve(tmp_path, profile="prod", **everything)
    by_environment = resolve(tmp_path, **everything)
    by_other_flags = (
        resolve(tmp_path, home=".maestro", **everything),
        resolve(tmp_path, url="http://[::1]:9", **everything),
    )

    assert (by_flag.url, by_flag.api_key) == ("https://prod.example", "mk_prod")
    assert (by_environment.url, by_environment.api_key) == ("https://dev.example", "mk_dev")
    assert [(each.url, each.api_key) for each in by_other_flags] == [
        ("http://127.0.0.1:3111", "mk_home"),
        ("http://[::1]:9", "mk_env"),
    ]


def test_source_of_the_url_is_told(tmp_path: Path):
    home = make_home(tmp_path)
    make_profile(tmp_path, "prod")

    assert resolve(tmp_path).url_source == str(home / "state.json")
    assert resolve(tmp_path, url="http://localhost:1").url_source == "--url"
    assert resolve(tmp_path, MAESTRO_URL="http://localhost:1").url_source == "MAESTRO_URL"
    assert resolve(tmp_path, profile="prod").url_source == f"profile 'prod' in {tmp_path / 'maestro' / 'config.toml'}"
    (home / "state.json").unlink()
    assert resolve(tmp_path).url_source == "the default"


def test_named_home_without_a_key_is_told(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"There is no .*/nowhere/api-key\. Is it the home of a stack\?"):
        resolve(tmp_path, home="nowhere", MAESTRO_API_KEY="mk_env")


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
