"""The block of text a stack prints when it is ready: addresses, logins and what to type first."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from maestro.embedded.home import Home
from maestro.embedded.record import StackRecord

CHECKOUT = Path(__file__).parents[2]
DEFAULT_HOME = ".maestro"
LARGEST_EXAMPLES = 3


def describe(home: Home, record: StackRecord) -> str:
    """Return the block; no secrets, only the files they are in."""
    urls = record.urls
    password = _shown(home.admin_password)
    rows = (
        ("API", urls.api),
        ("API docs", urls.docs),
        ("Admin", f"{urls.admin}  login {record.admin_email}, password in {password}"),
        ("Flower", f"{urls.flower}  login admin, the same password"),
        ("API key", f"in {_shown(home.api_key)}"),
    )
    maestro = _command(home)
    lines = [
        "",
        f"Maestro is ready after {record.ready_after_seconds or 0:.1f} s.",
        "",
        *(f"  {name:<10}{value}" for name, value in rows),
        "",
        "Now try:",
        *(f"  {maestro} run {shlex.quote(_shown(example))} --follow" for example in _examples()),
        f"  {maestro} status",
        f"  {maestro} down",
        "",
        "",
    ]
    return "\n".join(lines)


def _examples() -> list[Path]:
    """Return a few of the checkout's example workflows."""
    return sorted((CHECKOUT / "examples").glob("*.yaml"))[:LARGEST_EXAMPLES]


def _command(home: Home) -> str:
    """Return how to call the command line from here so that it finds this home."""
    program = shlex.quote(_shown(Path(sys.executable).parent / "maestro"))
    is_default = home.path == Path.cwd() / DEFAULT_HOME and "MAESTRO_HOME" not in os.environ
    return program if is_default else f"MAESTRO_HOME={shlex.quote(_shown(home.path))} {program}"


def _shown(path: Path) -> str:
    """Return the path as short as it can be typed here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
