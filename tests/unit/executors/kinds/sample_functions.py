"""Functions the tests of the kind `python` call."""

import asyncio
import logging
import sys
from subprocess import run  # noqa: F401 - a function of a module that is not allowed

logger = logging.getLogger("acme.flights")

NUMBER = 3


class Aircraft:
    pass


class HTTPTimeoutError(Exception):
    pass


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
