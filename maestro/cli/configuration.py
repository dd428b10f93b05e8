"""Where the server is and with which key: flags, profile, environment, the home of `maestro up`. Decided here only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from maestro.cli import profiles
from maestro.cli.profiles import ConfigurationError

DEFAULT_URL = "http://127.0.0.1:3000"
HOME_NAME = ".maestro"
STATE_FILE = "state.json"
KEY_FILE = "api-key"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach the server."""

    url: str
    """The server's base URL."""
    url_source: str
    """Where the URL was found, for people."""
    api_key: str = field(default="", repr=False)
    """The API key; never printed."""
    key_source: str = ""
    """Where the key was found, for people."""
    flower_url: str = ""
    """Where Flower listens; empty when only the server's operator knows."""
    warning: str = ""
    """What to change although it works; often empty."""


def resolve_connection(
    *, url: str | None, home: str | None, profile: str | None, environment: Mapping[str, str], directory: Path
) -> Connection:
    """Decide on the server and the key. Raises ConfigurationError.

    Flags come before the environment, which comes before the home found here. A profile names both URL and key, and a
    home that is named by a flag too; apart from them the URL is that of `--url`, MAESTRO_URL, the home's state or the
    default, and the key that of MAESTRO_API_KEY or the home's key file.
    """
    name = profile or (environment.get("MAESTRO_PROFILE") if not (url or home) else None)
    if name:
        return _of_profile(profiles.read_profile(name, environment))
    found_home = find_home(home or environment.get("MAESTRO_HOME"), directory)
    given_url, source = (url, "--url") if url else (None if home else environment.get("MAESTRO_URL"), "MAESTRO_URL")
    urls = _urls_of_state(found_home) if not given_url else {}
    if not given_url:
        source = str(found_home / STATE_FILE) if "api" in urls else "the default"
    connection = Connection(
        url=given_url or urls.get("api", DEFAULT_URL), url_source=source, flower_url=urls.get("flower", "")
    )
    given_key = environment.get("MAESTRO_API_KEY", "").strip()
    is_elsewhere = bool(given_url) and not is_loopback(given_url or "")
    if given_key and (is_elsewhere or not home):
        return replace(connection, api_key=given_key, key_source="MAESTRO_API_KEY")
    if is_elsewhere and not _host(given_url or ""):
        raise ConfigurationError(f"'{given_url}' from {source} is no URL. It looks like http://127.0.0.1:3000.")
    if is_elsewhere:
        # The home's key belongs to the stack on this machine; it must not be sent to another one.
        raise ConfigurationError(
            "No API key for this server: the key of a local home is only used on this machine. "
            "Set MAESTRO_API_KEY to a key of the server you named, or give it a profile."
        )
    key_file = found_home / KEY_FILE
    return replace(connection, api_key=_read_key(key_file, is_named=bool(home)), key_source=str(key_file))


def find_home(named: str | None, directory: Path) -> Path:
    """Return the named home, or the nearest `.maestro` in the directory or above it, or where it would be."""
    if named:
        return directory / Path(named).expanduser()
    for candidate in (directory, *directory.parents):
        if (candidate / HOME_NAME).is_dir():
            return candidate / HOME_NAME
    return directory / HOME_NAME


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine itself."""
    return _host(url) in LOOPBACK_HOSTS


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _of_profile(profile: profiles.Profile) -> Connection:
    return Connection(
        url=profile.url,
        url_source=profile.source,
        api_key=profile.api_key,
        key_source=profile.key_source,
        warning=profile.warning,
    )


def _urls_of_state(home: Path) -> dict[str, str]:
    """Return the addresses of the stack that runs or ran in a home, by name."""
    path = home / STATE_FILE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({_cause(error)}). Start Maestro again with `maestro up`, or set MAESTRO_URL."
        ) from error
    urls = state.get("urls") if isinstance(state, dict) else None
    found = urls.items() if isinstance(urls, dict) else ()
    return {name: url for name, url in found if isinstance(url, str) and url}


def _read_key(path: Path, *, is_named: bool) -> str:
    try:
        key = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        if is_named:
            raise ConfigurationError(
                f"There is no {path}. Is it the home of a stack? `maestro up --home {path.parent}` starts one in it."
            ) from error
        raise ConfigurationError(
            f"No API key: MAESTRO_API_KEY is not set and there is no {path}. Start Maestro with `maestro up`, which "
            "writes it, and call maestro in that directory or with --home; or set MAESTRO_URL and MAESTRO_API_KEY."
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The API key in {path} cannot be read ({_cause(error)}). Call maestro as the user who ran `maestro up`, "
            "or set MAESTRO_API_KEY."
        ) from error
    if not key:
        raise ConfigurationError(f"{path} is empty. Set MAESTRO_API_KEY, or start Maestro again with `maestro up`.")
    return key


def _cause(error: OSError | ValueError) -> str:
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "its content is damaged"
