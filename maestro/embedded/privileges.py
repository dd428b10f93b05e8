"""Whom PostgreSQL runs as: it refuses root, so root runs it as another user who can still reach its files."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maestro.embedded.errors import HomeUnusable, NoUnprivilegedUser

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8
PREFERRED_USERS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAs:
    """Another user to run a program as."""

    uid: int
    """User id."""
    gid: int
    """Group id."""
    capability: int | None = None
    """The one Linux capability kept, when the user could not even look up the program's files without it."""


def choose_user(*, data_directory: Path, reached: Sequence[Path]) -> RunAs | None:
    """Return whom PostgreSQL must run as; None for the current user.

    `reached` are files and directories it has to get at. Raises HomeUnusable, NoUnprivilegedUser.
    """
    owner = data_directory.stat().st_uid if data_directory.exists() else None
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            raise HomeUnusable(
                f"{data_directory} belongs to user {_name_of(owner)}, so PostgreSQL cannot open it. "
                "Start the stack as that user (or as root), or choose another --home."
            )
        return None
    entry = pwd.getpwuid(owner) if owner else _unprivileged()
    if _reaches_all(entry, reached):
        return RunAs(uid=entry.pw_uid, gid=entry.pw_gid)
    return RunAs(uid=entry.pw_uid, gid=entry.pw_gid, capability=_capability(entry.pw_name, reached))


def _unprivileged() -> pwd.struct_passwd:
    """Find a user without rights."""
    for name in PREFERRED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry
    raise NoUnprivilegedUser(
        "PostgreSQL does not run as root, and this machine has neither a user `postgres` nor `nobody`. "
        "Make one (useradd --system postgres), or start the stack as an ordinary user."
    )


def _reaches_all(entry: pwd.struct_passwd, paths: Sequence[Path]) -> bool:
    """Ask the kernel, as that user, whether every path can be entered or executed."""
    for path in paths:
        try:
            answer = subprocess.run(
                ["/usr/bin/env", "test", "-x", path],
                user=entry.pw_uid,
                group=entry.pw_gid,
                extra_groups=[],
                cwd="/",
                check=False,
            )
        except OSError as error:
            raise NoUnprivilegedUser(
                f"PostgreSQL does not run as root, and becoming user {entry.pw_name} failed: {error.strerror}. "
                "Start the stack as an ordinary user."
            ) from error
        if answer.returncode != 0:
            return False
    return True


def _capability(user: str, paths: Sequence[Path]) -> int:
    """Choose the weaker of the two capabilities that pass closed directories."""
    held = _held_capabilities()
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        # Keeping it also takes the right to set the process's own security bits.
        if held >> capability & 1 and held >> CAP_SETPCAP & 1:
            return capability
    raise NoUnprivilegedUser(
        f"PostgreSQL does not run as root, and user {user} cannot reach {' or '.join(map(str, paths))}. "
        "Move the checkout and the home to where other users may pass (not /root), or start as an ordinary user."
    )


def _held_capabilities() -> int:
    """Return the bits of this process's permitted capabilities; none where the kernel is not Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["CapPrm"], 16)


def _name_of(uid: int | None) -> str:
    """Return a user's name, or the number when it has none."""
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return str(uid)
