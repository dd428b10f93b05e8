"""Fakes of what following a run needs: a clock that does not wait, a view that remembers."""

from __future__ import annotations

from maestro.cli.tracking import Progress


class Clock:
    """Moves on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


class RememberingView:
    """Remembers what it was shown and told."""

    def __init__(self) -> None:
        self.shown: list[Progress] = []
        self.notices: list[str] = []

    def show(self, progress: Progress) -> None:
        self.shown.append(progress)

    def notice(self, message: str) -> None:
        self.notices.append(message)
