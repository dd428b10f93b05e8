"""The tick: what the clock makes happen, run inside the beat process and never as a message, which would queue behind
the backlog it is there to mend.

Any number of beat processes may run: everything here is a compare-and-set.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from celery.beat import Scheduler

from maestro.core import sql
from workflows.dispatch import leases, lost_messages, recovery

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something the tick does again and again."""

    work: Callable[[sql.Connection], int]
    """What to do; returns how much there was to do."""
    every_seconds: float
    """Time between two starts."""


DUTIES = (
    Duty(work=recovery.recover_ready, every_seconds=5),
    Duty(work=recovery.recover_ended, every_seconds=5),
    Duty(work=lost_messages.resend_lost, every_seconds=5),
    Duty(work=leases.take_back_lost, every_seconds=2),
)


class TickScheduler(Scheduler):
    """A beat scheduler that does the platform's own duties besides any configured schedule."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._due_at = dict.fromkeys(DUTIES, 0.0)
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Do the duties that are due; return the seconds until something is due again."""
        for duty, due_at in self._due_at.items():
            if time.monotonic() >= due_at:
                self._due_at[duty] = time.monotonic() + duty.every_seconds
                _do(duty)
        until_next = max(0.0, min(self._due_at.values()) - time.monotonic())
        return float(min(super().tick(*args, **kwargs), until_next))


def _do(duty: Duty) -> None:
    """Do a duty; while the database is away it is due again as usual."""
    try:
        duty.work(sql.engine_connection())
    except psycopg.OperationalError as error:
        sql.drop_engine_connection()
        logger.warning("Database not available, the tick goes on: %s", type(error).__name__)
