"""Named servers in the user's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from maestro.cli.profiles import ConfigurationError, configuration_file, list_profiles, read_profile
from tests.unit.cli.conftest import Maestro


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path), "PROD_KEY": " mk_env "}


def write(environment: Mapping[str, str], content: str | bytes) -> Path:
    file = configuration_file(environment)
    file.parent.mkdir()
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_file_is_below_the_users_configuration_directory():
    assert configuration_file({"XDG_CONFIG_HOME": "/x"}) == Path("/x/maestro/config.toml")
    assert configuration_file({"HOME": "/home/ada"}) == Path("/home/ada/.config/maestro/config.toml")
    assert configuration_file({"HOME": "/home/ada", "XDG_CONFIG_HOME": "x"}) == Path(
        "/home/ada/.config/maestro/config.toml"
    )


def test_key_is_taken_from_where_the_profile_says(environment: dict[str, str]):
    file = write(
        environment,
        """
        [profiles.by_file]
        url = "https://a.example"
        api_key_file = "key"
        [profiles.by_variable]
        url = "https://b.example"
        api_key_env = "PROD_KEY"
        """,
    )
    (file.parent / "key").write_text("mk_file\n")

    by_file, by_variable = (read_profile(name, environment) for name in ("by_file", "by_variable"))

    assert (by_file.url, by_file.api_key, by_file.key_source) == (
        "https://a.example",
        "mk_file",
        str(file.parent / "key"),
    )
    assert (by_variable.url, by_variable.api_key, by_variable.key_source) == ("https://b.example", "mk_env", "PROD_KEY")
    assert "mk_file" not in repr(by_file)
    assert list_profiles(environment) == ("by_file", "by_variable")


@pytest.mark.parametrize(("mode", "is_warned"), [(0o600, False), (0o644, True), (0o640, True)])
def test_file_with_a_key_that_others_can_read_is_warned_of(environment: dict[str, str], mode: int, is_warned: bool):
    file = write(environment, '[profiles.prod]\nurl = "https://a.example"\napi_key = "mk_x"\n')
    file.chmod(mode)

    warning = read_profile("prod", environment).warning

    assert warning == (f"{file} holds an API key and others can read it: `chmod 600 {file}`." if is_warned else "")


URL = 'url = "https://a.example"\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[profiles.prdo]", "There is no profile 'prod'. Did you mean prdo? {file} has: prdo. Add to {file}: "),
        ("", "There is no profile 'prod'. Add to {file}: [profiles.prod] with url = "),
        ("[profiles.prod", "{file} is not valid TOML: "),
        (b"\xff", "{file} is not UTF-8 text. Save it as UTF-8."),
        ("[profile.prod]", "{file} has a 'profile' that nothing reads. A profile begins with [profiles.NAME]."),
        ("profiles = 1", "'profiles' in {file} must be a table"),
        ("[profiles]\nprod = 1", "The profile 'prod' in {file} must be a table with url, api_key_file, "),
        ('[profiles.prod]\napi_key = "x"', "The profile 'prod' in {file} has no url. Add, for example, url = \"http"),
        (
            f"[profiles.prod]\n{URL}",
            "The profile 'prod' in {file} has no API key. Give one of api_key_file, api_key_env",
        ),
        (
            f'[profiles.prod]\n{URL}api_key = "x"\napi_key_env = "y"',
            "The profile 'prod' in {file} has api_key_env and api_key. Give one of ",
        ),
        (
            f'[profiles.prod]\n{URL}api_keyfile = "x"',
            "The profile 'prod' in {file} has a setting 'api_keyfile' that nothing reads. Did you mean api_key_file",
        ),
        (f"[profiles.prod]\n{URL}api_key = 3", "'api_key' of the profile 'prod' in {file} must be text in quotation"),
        (
            f'[profiles.prod]\n{URL}api_key_env = "NOT_SET"',
            "The profile 'prod' in {file} takes its API key from NOT_SET, which is not set.",
        ),
        (
            f'[profiles.prod]\n{URL}api_key_file = "none"',
            "The API key of the profile 'prod' in {file} cannot be read from ",
        ),
    ],
)
def test_what_is_wrong_is_told_with_the_way_out(environment: dict[str, str], content: str | bytes, said: str):
    file = write(environment, content)

    with pytest.raises(ConfigurationError) as caught:
        read_profile("prod", environment)

    assert str(caught.value).startswith(said.format(file=file))


def test_profile_and_another_server_are_not_named_together(maestro: Maestro):
    result = maestro("kinds", "--profile", "prod", "--home", "x")

    assert result.exit_code == 2
    assert "Give --profile or --home: a profile names its own server." in result.stderr
