"""What a supervisor that was killed left behind: processes and files, cleared away before anything is started."""

from __future__ import annotations

import signal
import time

from executors.runtime import workspace
from maestro.embedded import process_table
from maestro.embedded.errors import StartFailed
from maestro.embedded.home import Home
from maestro.embedded.output import Log
from maestro.embedded.record import StackRecord

PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.05


def stop_leftovers(home: Home, previous: StackRecord | None, log: Log) -> None:
    """Stop processes of an earlier stack of this home. Call it with the home's lock held. Raises StartFailed."""
    found = _find(home, previous)
    if not found:
        return
    names = ", ".join(f"{name} (pid {pid})" for pid, name in found.items())
    log.say(f"stopping what an earlier stack left running: {names}")
    for pid, name in found.items():
        process_table.send(pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
    for last_resort in (signal.SIGQUIT, signal.SIGKILL):
        if _all_end(found, PATIENCE_SECONDS):
            return
        for pid in found:
            process_table.send(pid, last_resort)
    if not _all_end(found, PATIENCE_SECONDS):
        raise StartFailed(f"An earlier stack of {home.path} does not go away: pids {', '.join(map(str, found))}.")


def remove_files(home: Home, log: Log) -> None:
    """Empty the directory of temporary files. Call it with the home's lock held: nobody uses them any more."""
    try:
        workspace.remove_directory(home.tmp)
    except OSError as error:
        log.say(f"{home.tmp} cannot be emptied: {error.strerror}")
    home.tmp.mkdir(mode=0o700, exist_ok=True)


def _find(home: Home, previous: StackRecord | None) -> dict[int, str]:
    """Return pid and name of every process that is left, members of the recorded processes' groups too."""
    found: dict[int, str] = {}
    for process in previous.processes if previous else ():
        if process.pid is None:
            continue
        # The pid in another process's hands: the group of that number is not ours either.
        if process_table.born_at(process.pid) is None or process_table.is_same(process.pid, process.born_at):
            found |= dict.fromkeys(process_table.group_members(process.pid), process.name)
    postmaster = _postmaster(home)
    if postmaster is not None:
        found[postmaster] = "postgres"
    return found


def _postmaster(home: Home) -> int | None:
    """Return the pid of a server that has this home's data open, whoever started it."""
    try:
        pid = int((home.postgres / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if process_table.works_in(pid, home.postgres) else None


def _all_end(pids: dict[int, str], seconds: float) -> bool:
    """Wait until none of the processes runs any more."""
    deadline = time.monotonic() + seconds
    while any(process_table.born_at(pid) is not None for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
