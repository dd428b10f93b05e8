"""Named servers in a file of the user's: `[profiles.NAME]` with a URL and where its API key is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maestro.cli.failures import suggestion

CONFIGURATION_FILE = Path("maestro", "config.toml")
KEY_SETTINGS = ("api_key_file", "api_key_env", "api_key")
SETTINGS = ("url", *KEY_SETTINGS)
READABLE_BY_OTHERS = 0o044


class ConfigurationError(Exception):
    """What was configured cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One server of the file."""

    url: str
    """The server's base URL."""
    api_key: str = field(repr=False)
    """The API key; never printed."""
    source: str
    """Where it is defined, for people."""
    key_source: str
    """Where the key was found, for people."""
    warning: str = ""
    """What to change although it works; often empty."""


def configuration_file(environment: Mapping[str, str]) -> Path:
    """Return where the profiles are: below XDG_CONFIG_HOME, or ~/.config."""
    base = environment.get("XDG_CONFIG_HOME", "")
    # A relative path there is to be ignored, says the XDG specification.
    directory = Path(base) if Path(base).is_absolute() else Path(environment.get("HOME", "~")).expanduser() / ".config"
    return directory / CONFIGURATION_FILE


def list_profiles(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the profiles there are. Raises ConfigurationError."""
    return tuple(_read(configuration_file(environment)))


def read_profile(name: str, environment: Mapping[str, str]) -> Profile:
    """Return the profile of a name. Raises ConfigurationError."""
    path = configuration_file(environment)
    profiles = _read(path)
    if name not in profiles:
        known = f" {path} has: {', '.join(profiles)}." if profiles else ""
        raise ConfigurationError(
            f"There is no profile '{name}'.{suggestion(name, profiles)}{known} "
            f'Add to {path}: [profiles.{name}] with url = "https://…" and api_key_file = "…" below it.'
        )
    settings = _checked(profiles[name], f"profile '{name}' in {path}")
    key, key_source = _read_key(settings, f"profile '{name}' in {path}", path, environment)
    is_open = "api_key" in settings and path.stat().st_mode & READABLE_BY_OTHERS
    return Profile(
        url=settings["url"],
        api_key=key,
        source=f"profile '{name}' in {path}",
        key_source=key_source,
        warning=f"{path} holds an API key and others can read it: `chmod 600 {path}`." if is_open else "",
    )


def _read(path: Path) -> dict[str, Any]:
    """Return the profiles of a file by name, none where there is no file."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text. Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from error
    unknown = [name for name in document if name != "profiles"]
    if unknown:
        raise ConfigurationError(
            f"{path} has a '{unknown[0]}' that nothing reads. A profile begins with [profiles.NAME]."
        )
    profiles = document.get("profiles", {})
    if not isinstance(profiles, dict):
        raise ConfigurationError(f"'profiles' in {path} must be a table: a profile begins with [profiles.NAME].")
    return profiles


def _checked(settings: Any, where: str) -> dict[str, str]:
    """Return the settings of a profile when they are complete, known and text."""
    if not isinstance(settings, dict):
        raise ConfigurationError(f"The {where} must be a table with {', '.join(SETTINGS)}.")
    for name, value in settings.items():
        if name not in SETTINGS:
            raise ConfigurationError(
                f"The {where} has a setting '{name}' that nothing reads.{suggestion(name, SETTINGS)} "
                f"There are: {', '.join(SETTINGS)}."
            )
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(f"'{name}' of the {where} must be text in quotation marks, and not empty.")
    if "url" not in settings:
        raise ConfigurationError(f'The {where} has no url. Add, for example, url = "https://maestro.example".')
    given = [name for name in KEY_SETTINGS if name in settings]
    if len(given) != 1:
        raise ConfigurationError(
            f"The {where} has {' and '.join(given) or 'no API key'}. Give one of {', '.join(KEY_SETTINGS)}."
        )
    return settings


def _read_key(settings: Mapping[str, str], where: str, path: Path, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the key of a profile, and where it was found."""
    if "api_key" in settings:
        return settings["api_key"].strip(), where
    if "api_key_env" in settings:
        variable = settings["api_key_env"]
        key = environment.get(variable, "").strip()
        if not key:
            raise ConfigurationError(f"The {where} takes its API key from {variable}, which is not set.")
        return key, variable
    key_file = path.parent / Path(settings["api_key_file"]).expanduser()
    try:
        key = key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"The API key of the {where} cannot be read from {key_file}: {cause}.") from error
    if not key:
        raise ConfigurationError(f"The API key of the {where} should be in {key_file}, which is empty.")
    return key, str(key_file)
