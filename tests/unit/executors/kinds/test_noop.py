import pytest

from executors.base import CANCELLED, TaskResult
from executors.kinds.noop import NoopExecutor, NoopOptions
from tests.unit.executors.context import FakeContext, make_request


def run(context=None, **options):
    return NoopExecutor().execute(make_request(NoopOptions.model_validate(options)), context or FakeContext())


def test_noop_succeeds_without_output():
    assert run() == TaskResult(output=None)


def test_noop_returns_the_given_output():
    assert run(output={"rows": [1, 2.5, None]}) == TaskResult(output={"rows": [1, 2.5, None]})


def test_noop_fails_on_request():
    error = run(fail=True, output=1).error

    assert (error.code, error.message, error.is_retryable) == ("noop_failed", "Failed as its options asked.", True)


def test_noop_fails_with_the_given_message():
    assert run(fail="The disk is full.").error.message == "The disk is full."


def test_noop_waits_for_its_duration_before_it_succeeds(monkeypatch):
    now = [100.0]
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("executors.kinds.noop.time.sleep", sleep)
    monkeypatch.setattr("executors.kinds.noop.time.monotonic", lambda: now[0])

    assert run(duration="250ms", output=1).output == 1
    assert sum(naps) == pytest.approx(0.25)
    assert max(naps) <= 0.1


def test_waiting_noop_stops_when_cancelled():
    assert run(FakeContext(is_cancelled=lambda: True), duration="1d") == TaskResult(error=CANCELLED)
