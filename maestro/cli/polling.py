"""Asking after a run until it ends: how often, and what to do while the server is away. How it looks is the view's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

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
    started = monotonic()
    while True:
        progress = _refresh_patiently(tracker, view, sleep=sleep, monotonic=monotonic)
        view.show(progress)
        if progress.run.is_finished:
            return progress
        sleep(polling_interval(monotonic() - started))


def polling_interval(elapsed_seconds: float) -> float:
    """Return how long to wait before asking again: the longer a run goes on, the less a moment matters."""
    return min(LONGEST_INTERVAL_SECONDS, max(SHORTEST_INTERVAL_SECONDS, elapsed_seconds * INTERVAL_SHARE_OF_ELAPSED))


def _refresh_patiently(
    tracker: RunTracker, view: View, *, sleep: Callable[[float], None], monotonic: Callable[[], float]
) -> Progress:
    lost_at: float | None = None
    while True:
        try:
            progress = tracker.refresh()
        except ClientError as error:
            if not _is_away(error):
                raise
            now = monotonic()
            if lost_at is None:
                lost_at = now
                view.notice("The server does not answer; trying again…")
            elif now - lost_at >= PATIENCE_SECONDS:
                raise ServerLost(f"The server has not answered for {text.duration(now - lost_at)}.") from error
            sleep(AWAY_INTERVAL_SECONDS)
        else:
            if lost_at is not None:
                view.notice("The server answers again.")
            return progress


def _is_away(error: ClientError) -> bool:
    if isinstance(error, ApiError):
        return error.status >= FIRST_SERVER_ERROR
    return isinstance(error, ServerUnreachable)
