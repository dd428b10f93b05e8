"""Whether output has colours: what the environment says, for every command. Pure."""

from __future__ import annotations

from collections.abc import Mapping

FORCING = ("FORCE_COLOR", "CLICOLOR_FORCE")


def wants_colours(environment: Mapping[str, str]) -> bool | None:
    """Tell whether the environment asks for colours or refuses them; None leaves it to whether a terminal is there."""
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in {"", "0"} for name in FORCING):
        return True
    return False if environment.get("TERM") == "dumb" else None
