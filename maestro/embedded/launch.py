"""Become another program: die with the parent, give up root, then exec. Run as a file by an isolated interpreter.

Takes a JSON object and the command. It stands between fork and exec so that no Python code runs in a forked copy of the
supervisor. Imports nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    """Linux `cap_user_header_t`."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """Linux `cap_user_data_t`: 32 capabilities."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def become(*, parent: int, death_signal: int, uid: int | None, gid: int | None, capability: int | None) -> None:
    """Change this process as asked; root is given up but for the one capability, which survives exec."""
    for default in (signal.SIGINT, signal.SIGTERM):
        signal.signal(default, signal.SIG_DFL)
    if uid is not None and gid is not None:
        if capability is not None:
            # Without this bit access(2), by which PostgreSQL checks its files, ignores capabilities.
            prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        if capability is not None:
            _keep_only(capability)
    # Last, because changing credentials clears it.
    die_with(parent, death_signal)


def die_with(parent: int, death_signal: int) -> None:
    """Have the kernel send this process a signal when its parent dies (Linux)."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        sys.exit(1)  # it died in between


def prctl(option: int, *arguments: int) -> None:
    """Call prctl(2); raise OSError when it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *padded) != 0:
        raise OSError(ctypes.get_errno(), f"prctl: {os.strerror(ctypes.get_errno())}")


def _keep_only(capability: int) -> None:
    """Drop all capabilities but one, and let that one pass through exec."""
    bit = 1 << capability
    sets = (_Sets * 2)(_Sets(bit, bit, bit), _Sets(0, 0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(ctypes.byref(_Header(CAPABILITY_VERSION_3, 0)), ctypes.byref(sets)) != 0:
        raise OSError(ctypes.get_errno(), f"capset: {os.strerror(ctypes.get_errno())}")
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


if __name__ == "__main__":
    try:
        become(**json.loads(sys.argv[1]))
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
    except OSError as error:
        sys.exit(f"{sys.argv[2]} cannot be started: {error}")
