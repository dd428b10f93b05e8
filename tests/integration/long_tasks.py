"""What runs long at its first attempt: functions for `uses: python`, and a Celery task for `uses: celery`."""

import os
import signal
import time
from pathlib import Path

from celery import shared_task

from maestro.core.user_code import current_task

LONG_SECONDS = 600
_kept: list[bytes] = []


def sleep_at_first():
    """Sleep in the first attempt; a signal ends it."""
    if current_task.current_task().attempt == 1:
        time.sleep(LONG_SECONDS)


def ignore_signals():
    """Sleep, whatever the worker asks for."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGQUIT})
    time.sleep(LONG_SECONDS)


def process_id():
    """Tell which process runs this."""
    return os.getpid()


def leak(mebibytes):
    """Keep memory for ever, and tell in which process."""
    _kept.append(b"x" * (mebibytes * 2**20))
    return os.getpid()


@shared_task(name="long_tasks.sleep_when_new")
def sleep_when_new(note):
    """Sleep unless the note is there already, and return how often this was begun."""
    with Path(note).open("a") as begun:
        begun.write("begun\n")
    times = len(Path(note).read_text().split())
    if times == 1:
        time.sleep(LONG_SECONDS)
    return times
