"""Code that is interrupted when its time is over."""

import asyncio
import datetime
import math
import signal
import threading
import time

import pytest

from executors.runtime import interrupt
from executors.runtime.attempt_log import AttemptLog
from executors.runtime.interrupt import interruptible
from maestro.core.user_code.exceptions import TaskCancelled, TaskInterrupted, TimeLimitReached


def never():
    return False


def always():
    return True


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(interrupt, "PATIENCE_SECONDS", 0.2)


def test_code_is_interrupted_when_its_time_is_over():
    began = time.monotonic()

    with pytest.raises(TimeLimitReached), interruptible(0.1, never):
        time.sleep(20)

    assert time.monotonic() - began < 10


def test_async_code_is_cancelled_and_may_clean_up():
    cleaned = []

    async def work():
        try:
            await asyncio.sleep(20)
        finally:
            cleaned.append(True)

    with pytest.raises(TimeLimitReached), interruptible(0.1, never):
        asyncio.run(work())

    assert cleaned == [True]


def test_platform_does_what_the_code_asked_it_for_before_the_code_is_interrupted():
    written = []

    def slow_clock():
        time.sleep(0.3)
        written.append(True)
        return datetime.datetime.now(datetime.UTC)

    log = AttemptLog(lambda lines: None, now=slow_clock)

    def work():
        log.write_line("a line")
        time.sleep(20)

    with pytest.raises(TimeLimitReached), interruptible(0.1, never):
        work()

    assert written == [True]
    log.close()


@pytest.mark.parametrize("seconds", [60, math.inf])
def test_code_that_ends_in_time_is_left_alone_and_so_is_what_follows(seconds):
    before = signal.getsignal(signal.SIGALRM)

    with interruptible(seconds, never):
        pass

    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_time_that_is_over_already_interrupts_at_once():
    with pytest.raises(TimeLimitReached), interruptible(-1, never):
        time.sleep(20)


def test_code_in_another_thread_runs_to_its_end():
    done = []

    def work():
        with interruptible(0.01, never):
            time.sleep(0.1)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert done == [True]


def test_code_that_is_cancelled_is_interrupted_after_a_while(impatient):
    began = time.monotonic()

    with pytest.raises(TaskCancelled), interruptible(math.inf, always):
        time.sleep(20)

    assert 0.7 <= time.monotonic() - began < 10


def test_code_that_ends_when_it_learns_of_the_cancel_is_not_interrupted(impatient):
    asked = threading.Event()

    def is_cancelled():
        asked.set()
        return True

    with interruptible(math.inf, is_cancelled):
        assert asked.wait(10)
    time.sleep(0.4)


def test_code_that_cleans_up_is_not_interrupted_again(impatient):
    """Its time is over, which a kind is told as a cancel too."""
    ends_at = time.monotonic() + 0.1

    def work():
        try:
            time.sleep(20)
        finally:
            time.sleep(1)

    with pytest.raises(TaskInterrupted) as interrupted, interruptible(0.1, lambda: time.monotonic() >= ends_at):
        work()

    assert interrupted.type is TimeLimitReached


def test_async_code_is_cancelled_with_its_run_and_may_clean_up(impatient):
    cleaned = []

    async def work():
        try:
            await asyncio.sleep(20)
        finally:
            cleaned.append(True)

    with pytest.raises(TaskCancelled), interruptible(math.inf, always):
        asyncio.run(work())

    assert cleaned == [True]
