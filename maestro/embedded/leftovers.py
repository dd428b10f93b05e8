"""What a supervisor that was killed left behind: processes and files, cleared away before anything is started."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

import pydantic

from executors.runtime import workspace
from maestro.embedded import process_table
from maestro.embedded.errors import StopFailed
from maestro.embedded.home import Home
from maestro.embedded.output import Log
from maestro.embedded.record import StackRecord

PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.05


class Leftover(pydantic.BaseModel):
    """A process that outlived its stack."""

    model_config = pydantic.ConfigDict(frozen=True)

    name: str
    pid: int


def stop_leftovers(home: Home, previous: StackRecord | None, log: Log) -> None:
    """End what an earlier stack of this home left running, and say so. Raises StopFailed."""
    found = find_leftovers(home, previous)
    if found:
        log.say(f"stopping what an earlier stack left running: {describe(found)}")
        end_leftovers(home, found)


def find_leftovers(home: Home, previous: StackRecord | None) -> tuple[Leftover, ...]:
    """Return every process that an earlier stack of this home left. Call it with the home's lock held."""
    found = process_table.with_variable("TMPDIR", home.tmp)
    for process in previous.processes if previous else ():
        if process.pid is None:
            continue
        # The pid in another process's hands: the group of that number is not ours either.
        if process_table.born_at(process.pid) is None or process_table.is_same(process.pid, process.born_at):
            found |= dict.fromkeys(process_table.group_members(process.pid), process.name)
    postmaster = _postmaster(home)
    if postmaster is not None:
        found[postmaster] = "postgres"
    return tuple(Leftover(name=name, pid=pid) for pid, name in found.items())


def end_leftovers(home: Home, found: Sequence[Leftover]) -> None:
    """End the processes, by force when they take too long. Raises StopFailed."""
    for left in found:
        process_table.send(left.pid, signal.SIGINT if left.name == "postgres" else signal.SIGTERM)
    for last_resort in (signal.SIGQUIT, signal.SIGKILL):
        if _all_end(found, PATIENCE_SECONDS):
            return
        for left in found:
            process_table.send(left.pid, last_resort)
    if not _all_end(found, PATIENCE_SECONDS):
        raise StopFailed(f"An earlier stack of {home.path} does not go away: {describe(found)}.")


def describe(found: Sequence[Leftover]) -> str:
    """Name the processes."""
    return ", ".join(f"{left.name} (pid {left.pid})" for left in found)


def remove_files(home: Home, log: Log) -> None:
    """Empty the directory of temporary files. Call it with the home's lock held: nobody uses them any more."""
    try:
        workspace.remove_directory(home.tmp)
    except OSError as error:
        log.say(f"{home.tmp} cannot be emptied: {error.strerror}")
    home.tmp.mkdir(mode=0o700, exist_ok=True)


def _postmaster(home: Home) -> int | None:
    """Return the pid of a server that has this home's data open, whoever started it."""
    try:
        pid = int((home.postgres / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if process_table.works_in(pid, home.postgres) else None


def _all_end(found: Sequence[Leftover], seconds: float) -> bool:
    """Wait until none of the processes runs any more."""
    deadline = time.monotonic() + seconds
    while any(process_table.born_at(left.pid) is not None for left in found):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
