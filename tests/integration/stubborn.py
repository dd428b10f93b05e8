"""Functions that take longer than they may, or go on when they are cancelled."""

import subprocess
import time
from pathlib import Path

from maestro.sdk import TaskCancelled, TaskInterrupted, TimeLimitReached, current_task


def clean_up():
    try:
        time.sleep(60)
    except TimeLimitReached:
        print("cleaned up")
        raise


def go_on():
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        try:
            time.sleep(60)
        except TaskInterrupted:
            print("never mind")


def stop_when_told(path):
    """Say that it has begun, work until the attempt is cancelled, and say what it came to."""
    Path(path).write_text("begun")
    while not current_task().is_cancelled():
        time.sleep(0.05)
    Path(path).write_text("stopped by itself")
    raise RuntimeError("cancelled")


def clean_up_when_cancelled(path):
    """Say that it has begun, work until the attempt is interrupted, and say so."""
    try:
        Path(path).write_text("begun")
        time.sleep(60)
    except TaskCancelled:
        Path(path).write_text("cleaned up")
        raise


def start_something_and_go_on(path):
    """Start a process that has a group of its own, and ignore whatever comes."""
    process = subprocess.Popen(["sleep", "300"], start_new_session=True)
    Path(path).write_text(str(process.pid))
    go_on()
