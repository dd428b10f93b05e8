"""Asking after a run until it ends: how often, and what to do while the server is away. How it looks is the view's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from maestro.cli import text
from maestro.cli.tracking import Progress, RunTracker
from maestro.client import ApiError, ClientError, ServerUnreachable
from maestro.client.runs import Runs

SHORTEST_INTERVAL_SECONDS = 0.25
LONGEST_INTERVAL_SECONDS = 2.0
INTERVAL_SHARE_OF_ELAPSED = 0.05
PATIENCE_SECONDS = 60.0
AWAY_INTERVAL_SECONDS = 2.0
FIRST_SERVER_ERROR = 500

Answer = TypeVar("Answer")


class ServerLost(Exception):
    """The server went away while a run was followed, and did not come back in time."""


class View(Protocol):
    """Shows a run to somebody."""

    def show(self, progress: Progress) -> None:
        """Show what is known now."""

    def notice(self, message: str) -> None:
        """Say something about following itself."""


def follow_run(
    runs: Runs,
    run_id: str,
    view: View,
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Progress:
    """Show a run until it is finished, and return its end. Raises ClientError, ServerLost."""
    tracker = RunTracker(runs, run_id)
    patience = Patience(view.notice, sleep=sleep, monotonic=monotonic)
    started = monotonic()
    while True:
        progress = patience.ask(tracker.refresh)
        view.show(progress)
        if progress.run.is_finished:
            return progress
        sleep(polling_interval(monotonic() - started))


def polling_interval(elapsed_seconds: float) -> float:
    """Return how long to wait before asking again: the longer a run goes on, the less a moment matters."""
    return min(LONGEST_INTERVAL_SECONDS, max(SHORTEST_INTERVAL_SECONDS, elapsed_seconds * INTERVAL_SHARE_OF_ELAPSED))


class Patience:
    """Asks again while the server is away, and says so."""

    def __init__(
        self, notice: Callable[[str], None], *, sleep: Callable[[float], None], monotonic: Callable[[], float]
    ) -> None:
        self._notice = notice
        self._sleep = sleep
        self._monotonic = monotonic

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Return the answer; wait a minute for a server that is away. Raises ClientError, ServerLost."""
        lost_at: float | None = None
        while True:
            try:
                answer = question()
            except ClientError as error:
                if not _is_away(error):
                    raise
                now = self._monotonic()
                if lost_at is None:
                    lost_at = now
                    self._notice("The server does not answer; trying again…")
                elif now - lost_at >= PATIENCE_SECONDS:
                    raise ServerLost(f"The server has not answered for {text.duration(now - lost_at)}.") from error
                self._sleep(AWAY_INTERVAL_SECONDS)
            else:
                if lost_at is not None:
                    self._notice("The server answers again.")
                return answer


def _is_away(error: ClientError) -> bool:
    if isinstance(error, ApiError):
        return error.status >= FIRST_SERVER_ERROR
    return isinstance(error, ServerUnreachable)
