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

from celery.beat import Scheduler

from executors.pools.lease import LEASE
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


# First, because the others wait for the broker while it is away.
TAKE_BACK = Duty(work=leases.take_back_lost, every_seconds=2)
DUTIES = (
    TAKE_BACK,
    Duty(work=recovery.recover_ready, every_seconds=5),
    Duty(work=recovery.recover_ended, every_seconds=5),
    Duty(work=lost_messages.resend_lost, every_seconds=5),
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
                if not _do(duty):
                    # Workers could not renew their leases either: they get the time of one before any is given up.
                    self._due_at[TAKE_BACK] = time.monotonic() + LEASE.total_seconds()
        until_next = max(0.0, min(self._due_at.values()) - time.monotonic())
        return float(min(super().tick(*args, **kwargs), until_next))


def _do(duty: Duty) -> bool:
    """Do a duty. False while the database is away; whatever else goes wrong keeps no other duty from being done."""
    try:
        duty.work(sql.engine_connection())
    except sql.UNAVAILABLE as error:
        sql.drop_engine_connection()
        logger.warning("Database not available, the tick goes on: %s", type(error).__name__)
        return False
    except Exception:
        logger.exception("A duty of the tick failed, the tick goes on")
    return True
