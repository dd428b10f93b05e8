"""Following a log: every line once, until the run ends."""

from __future__ import annotations

from maestro.cli.tailing import LINES_INTERVAL_SECONDS, RUN_INTERVAL_SECONDS, follow_log
from maestro.client import LogLine, Run, ServerUnreachable
from maestro.client.representations import LogExtract
from tests.unit.cli.builders import a_run
from tests.unit.cli.fakes import Clock


class Server:
    """A run that ends at a given time and writes a line each second; away for some questions."""

    def __init__(self, clock: Clock, *, end: float, away: range = range(0)) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self._end = end
        self._away = away
        self.questions = 0
        self.asked_for_the_run = 0

    def get_run(self) -> Run:
        self.asked_for_the_run += 1
        self._answer()
        return a_run("succeeded" if self._elapsed() >= self._end else "running")

    def read_log(self, after: int) -> LogExtract:
        self._answer()
        written = int(min(self._elapsed(), self._end))
        ids = range(after + 1, written + 1)[:2]
        lines = tuple(LogLine(id=number, message=str(number)) for number in ids)
        last_id = ids[-1] if ids else after
        return LogExtract(results=lines, last_id=last_id, next="more" if last_id < written else None)

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._start

    def _answer(self) -> None:
        self.questions += 1
        if self.questions in self._away:
            raise ServerUnreachable("http://x", "connection refused")


def follow(server: Server, clock: Clock) -> tuple[list[str], list[str], Run]:
    shown: list[str] = []
    notices: list[str] = []
    run = follow_log(
        server.get_run,
        server.read_log,
        lambda line: shown.append(line.message),
        notices.append,
        sleep=clock.sleep,
        monotonic=clock.monotonic,
    )
    return shown, notices, run


def test_every_line_is_shown_once_and_the_last_ones_after_the_end():
    clock = Clock()
    server = Server(clock, end=7)

    shown, notices, run = follow(server, clock)

    assert shown == [str(number) for number in range(1, 8)]
    assert (run.status, notices) == ("succeeded", [])


def test_lines_are_asked_for_more_often_than_the_run():
    clock = Clock()
    server = Server(clock, end=5)

    follow(server, clock)

    assert set(clock.slept) == {LINES_INTERVAL_SECONDS}
    assert server.asked_for_the_run == 5 / RUN_INTERVAL_SECONDS + 1


def test_server_that_was_away_costs_no_line():
    clock = Clock()
    server = Server(clock, end=20, away=range(5, 8))

    shown, notices, _ = follow(server, clock)

    assert shown == [str(number) for number in range(1, 21)]
    assert notices == ["The server does not answer; trying again…", "The server answers again."]
