"""Processes of the system under test, hurt on purpose; one that ends by itself meanwhile is no error."""

import contextlib
from collections.abc import Iterator, Sequence

import psutil


def suspend(processes: Sequence[psutil.Process]) -> None:
    """Stop these processes; parents come before their children."""
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.suspend()


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill these processes, children first."""
    for each in reversed(processes):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


@contextlib.contextmanager
def suspended(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Stop these processes, parents before their children, as long as the block runs."""
    suspend(processes)
    try:
        yield
    finally:
        # Children first: a parent that goes on takes down its dead children, and with them their numbers.
        for each in reversed(processes):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that waits for its parent to take it down does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def command_of(process: psutil.Process) -> list[str]:
    """Return the words of its command line; none of one that has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def named(processes: Sequence[psutil.Process], name: str) -> list[psutil.Process]:
    """Return those of the processes whose name contains this, in the same order."""
    found = []
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in each.name():
                found.append(each)
    return found
