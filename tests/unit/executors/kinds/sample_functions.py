"""Functions the tests of the kind `python` call."""

import asyncio
import datetime
import logging
import sys
import threading
import time
from dataclasses import dataclass
from subprocess import run  # noqa: F401 - a function of a module that is not allowed

from maestro.core.user_code.current_task import current_task
from maestro.core.user_code.exceptions import TaskFailed, TimeLimitReached
from maestro.core.user_code.typed_function import TypedFunction

logger = logging.getLogger("acme.flights")

NUMBER = 3


class Aircraft:
    pass


class HTTPTimeoutError(Exception):
    pass


def fail_to_clean_up():
    try:
        time.sleep(60)
    finally:
        raise OSError("gone")


async def wait_in_a_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(block())


async def block():
    time.sleep(60)


def explain_itself():
    try:
        time.sleep(60)
    except TimeLimitReached:
        raise TaskFailed("half of it is done", code="half_done", retry=False) from None


def add(left, right=1):
    return left + right


def talk():
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logger.debug("not shown")
    logger.info("level %s", "info")
    logger.warning("careful")
    logger.error("wrong")
    logging.getLogger("django.db").warning("about the platform")
    sys.stdout.buffer.write(b"bytes \xff\n")
    print("no newline", end="")


def log_badly():
    logger.info("%d rows", "many")


def fail(text="no such day"):
    raise ValueError(text)


def fail_with_cause():
    try:
        fail("inner")
    except ValueError as error:
        raise HTTPTimeoutError from error


def leave():
    sys.exit(3)


def interrupt():
    raise KeyboardInterrupt


async def wait_and_add(left, right):
    await asyncio.sleep(0)
    return left + right


async def cancel_itself():
    raise asyncio.CancelledError


@dataclass
class Delay:
    day: datetime.date
    minutes: int


@TypedFunction
def longest(delays: list[Delay], *, limit: int = 60) -> Delay:
    return max((delay for delay in delays if delay.minutes <= limit), key=lambda delay: delay.minutes)


@TypedFunction
def aircraft() -> Aircraft:
    return Aircraft()


@TypedFunction
def unusable(aircraft: Aircraft) -> None:
    pass


async def current_in_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(current_task()))
    thread.start()
    thread.join()
    current = current_task()
    current.progress(0.4, "loading")
    current.progress(1)
    return {
        "is_same": seen[0] is current,
        "run_id": str(current.run_id),
        "workflow": current.workflow_name,
        "task": current.task_key,
        "attempt": current.attempt,
        "token": current.idempotency_token,
        "is_cancelled": current.is_cancelled(),
    }


def fail_as_said():
    raise TaskFailed("the table is locked", code="table_locked", retry=False, retry_after=30)
