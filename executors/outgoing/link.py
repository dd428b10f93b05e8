"""Network work in a thread of its own, so that it ends in time and at a cancel whatever it waits for.

A limit of the socket holds for one read, and a server that sends a byte now and then never exceeds it; a resolver has
no limit at all. So the caller watches the clock, and cuts the connection.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from executors.outgoing.errors import OutgoingCancelled, OutgoingFailed

POLL_SECONDS = 0.1
_FAREWELL_SECONDS = 0.5

Result = TypeVar("Result")
Socket = TypeVar("Socket", bound=socket.socket)


class Link:
    """The connection that work in another thread waits for, and the moment it must have ended."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def seconds_left(self) -> float:
        """Return how long the work may still take; never 0, which sockets take for something else."""
        return max(0.001, self._ends_at - time.monotonic())

    def is_late(self) -> bool:
        """Tell whether the time is up."""
        return time.monotonic() >= self._ends_at

    def hold(self, connection: Socket) -> Socket:
        """Make this the connection that `cut` cuts. Raises OSError when that has happened already."""
        with self._lock:
            if self._is_cut:
                connection.close()
                raise ConnectionAbortedError("given up")
            self._socket = connection
        return connection

    def cut(self) -> None:
        """End the connection under whoever waits for it, and keep the work from opening another."""
        with self._lock:
            self._is_cut = True
            # Not the method of a TLS socket, which would take the layer away that the other thread is using.
            if self._socket is not None and self._socket.fileno() >= 0:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def run_linked(work: Callable[[Link], Result], *, seconds: float, is_cancelled: Callable[[], bool]) -> Result:
    """Run network work and return its result, or raise what it raised.

    Raises OutgoingFailed `timed_out` when it takes longer than allowed, and OutgoingCancelled.
    """
    link = Link(seconds)
    task = _Task(work, link)
    task.start()
    try:
        while task.is_alive() and not link.is_late():
            task.join(min(POLL_SECONDS, link.seconds_left()))
            if is_cancelled():
                raise OutgoingCancelled
    finally:  # also when the worker is being stopped, which raises here
        is_given_up = task.is_alive()
        if is_given_up:
            link.cut()
            task.join(_FAREWELL_SECONDS)
    # What a cut connection leaves behind may look like a complete answer that ends early.
    if is_given_up or (task.error is not None and link.is_late()):
        raise OutgoingFailed("timed_out", f"No complete answer within {seconds:g} seconds.")
    if task.error is not None:
        raise task.error
    assert task.result is not None
    return task.result


class _Task(threading.Thread, Generic[Result]):
    """A thread that keeps what its work returned or raised."""

    def __init__(self, work: Callable[[Link], Result], link: Link) -> None:
        super().__init__(name="outgoing", daemon=True)
        self._work = work
        self._link = link
        self.result: Result | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self._work(self._link)
        except Exception as error:  # noqa: BLE001 - raised again by who waits for it
            self.error = error
