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

from executors.pools.lease import LeaseWatch
from maestro.core import sql
from maestro.core.outage import Outage
from workflows.dispatch import (
    call_watch,
    leases,
    lost_messages,
    pausing,
    recovery,
    retry,
    run_requests,
    signals,
    start,
    time_limits,
    waits,
)
from workflows.dispatch.retention import Pruning

logger = logging.getLogger(__name__)

_outage = Outage(logger, "the tick goes on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something the tick does again and again."""

    work: Callable[[sql.Connection], object]
    """What to do."""
    every_seconds: float
    """Time between two starts."""


class TickScheduler(Scheduler):
    """A beat scheduler that does the platform's own duties besides any configured schedule."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        watch, ready = LeaseWatch(), recovery.ReadySweep()
        duties = (
            # First, because the others may wait for the broker.
            Duty(work=watch.give_up_silent_workers, every_seconds=2),
            Duty(work=leases.take_back_lost, every_seconds=2),
            Duty(work=retry.wake_due, every_seconds=0.5),
            Duty(work=run_requests.RunRequests().take, every_seconds=0.5),
            Duty(work=start.start_due, every_seconds=0.5),
            Duty(work=waits.end_due, every_seconds=0.5),
            Duty(work=signals.take_forgotten, every_seconds=2),
            Duty(work=time_limits.end_overdue, every_seconds=1),
            Duty(work=ready.recover, every_seconds=1),
            Duty(work=recovery.recover_ended, every_seconds=2),
            Duty(work=pausing.settle_left_over, every_seconds=2),
            Duty(work=pausing.UnheldStarts().hold, every_seconds=2),
            Duty(work=recovery.recover_parents, every_seconds=2),
            Duty(work=recovery.recover_children, every_seconds=10),
            Duty(work=pausing.settle_children, every_seconds=10),
            Duty(work=lost_messages.resend_lost, every_seconds=1),
            Duty(work=call_watch.CallWatch().look_at_calls, every_seconds=2),
            # Last, and for a part of a second, because nothing waits for it.
            Duty(work=Pruning().prune, every_seconds=1),
        )
        self._due_at = dict.fromkeys(duties, 0.0)
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
    """Do a duty. Whatever goes wrong keeps no other duty from being done; it is due again soon."""
    try:
        sql.repeat_if_victim(lambda: duty.work(sql.engine_connection()))
        _outage.note_success()
    except sql.UNAVAILABLE as error:
        if not sql.is_victim(error):
            sql.drop_engine_connection()
            _outage.note_failure(error)
    except Exception:
        logger.exception("A duty of the tick failed, the tick goes on")
