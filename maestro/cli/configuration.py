"""Where the server is and with which key: flags, environment, the home of `maestro up`. The one place that decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:3000"
HOME_NAME = ".maestro"
STATE_FILE = "state.json"
KEY_FILE = "api-key"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class ConfigurationError(Exception):
    """What was configured cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach the server."""

    url: str
    """The server's base URL."""
    api_key: str = field(repr=False)
    """The API key; never printed."""
    key_source: str
    """Where the key was found, for people."""


def resolve_connection(
    *, url: str | None, home: str | None, environment: Mapping[str, str], directory: Path
) -> Connection:
    """Decide on the server and the key. Raises ConfigurationError.

    URL: the flag, MAESTRO_URL, the home's state, the default. Key: MAESTRO_API_KEY, the home's key file.
    """
    found_home = find_home(home or environment.get("MAESTRO_HOME"), directory)
    given_url = url or environment.get("MAESTRO_URL")
    chosen_url = given_url or _url_of_state(found_home) or DEFAULT_URL
    given_key = environment.get("MAESTRO_API_KEY", "").strip()
    if given_key:
        return Connection(url=chosen_url, api_key=given_key, key_source="MAESTRO_API_KEY")
    if given_url and not _is_loopback(given_url):
        # The home's key belongs to the stack on this machine; it must not be sent to another one.
        raise ConfigurationError(
            "No API key for this server: the key of a local home is only used on this machine. "
            "Set MAESTRO_API_KEY to a key of the server you named."
        )
    key_file = found_home / KEY_FILE
    return Connection(url=chosen_url, api_key=_read_key(key_file), key_source=str(key_file))


def find_home(named: str | None, directory: Path) -> Path:
    """Return the named home, or the nearest `.maestro` in the directory or above it, or where it would be."""
    if named:
        return directory / Path(named).expanduser()
    for candidate in (directory, *directory.parents):
        if (candidate / HOME_NAME).is_dir():
            return candidate / HOME_NAME
    return directory / HOME_NAME


def _url_of_state(home: Path) -> str | None:
    path = home / STATE_FILE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({_cause(error)}). Start Maestro again with `maestro up`, or set MAESTRO_URL."
        ) from error
    urls = state.get("urls") if isinstance(state, dict) else None
    url = urls.get("api") if isinstance(urls, dict) else None
    return url if isinstance(url, str) and url else None


def _read_key(path: Path) -> str:
    try:
        key = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
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


def _is_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in LOOPBACK_HOSTS
    except ValueError:
        return False


def _cause(error: OSError | ValueError) -> str:
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "its content is damaged"
