"""Asks whether a Celery worker serves a broker. Sends no tasks."""

from __future__ import annotations

import asyncio

from celery import Celery
from kombu.exceptions import OperationalError

ANSWER_SECONDS = 0.5


async def worker_answers(broker_url: str, name: str) -> bool:
    """Tell whether the worker of this name answers Celery's ping."""
    return await asyncio.to_thread(_ping, broker_url, name)


def _ping(broker_url: str, name: str) -> bool:
    """Send a ping and wait for the answer."""
    with Celery(broker=broker_url, set_as_current=False) as app:
        try:
            return bool(app.control.ping(destination=[name], timeout=ANSWER_SECONDS, limit=1))
        except OperationalError:
            return False
