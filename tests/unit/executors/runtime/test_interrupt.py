"""Code that is interrupted when its time is over."""

import asyncio
import datetime
import math
import signal
import threading
import time

import pytest

from executors.runtime.attempt_log import AttemptLog
from executors.runtime.interrupt import interrupted_after
from maestro.core.user_code.exceptions import TimeLimitReached


def test_code_is_interrupted_when_its_time_is_over():
    began = time.monotonic()

    with pytest.raises(TimeLimitReached), interrupted_after(0.1):
        time.sleep(20)

    assert time.monotonic() - began < 10


def test_async_code_is_cancelled_and_may_clean_up():
    cleaned = []

    async def work():
        try:
            await asyncio.sleep(20)
        finally:
            cleaned.append(True)

    with pytest.raises(TimeLimitReached), interrupted_after(0.1):
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

    with pytest.raises(TimeLimitReached), interrupted_after(0.1):
        work()

    assert written == [True]
    log.close()


@pytest.mark.parametrize("seconds", [60, math.inf])
def test_code_that_ends_in_time_is_left_alone_and_so_is_what_follows(seconds):
    before = signal.getsignal(signal.SIGALRM)

    with interrupted_after(seconds):
        pass

    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_time_that_is_over_already_interrupts_at_once():
    with pytest.raises(TimeLimitReached), interrupted_after(-1):
        time.sleep(20)


def test_code_in_another_thread_runs_to_its_end():
    done = []

    def work():
        with interrupted_after(0.01):
            time.sleep(0.1)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert done == [True]
