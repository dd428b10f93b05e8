"""Functions that take longer than they may."""

import time

from maestro.sdk import TimeLimitReached


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
        except TimeLimitReached:
            print("never mind")
