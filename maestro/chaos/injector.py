"""Does to a stack what the schedule says, beside the runs that go on there."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import redis

from maestro.chaos import faults, schedule
from maestro.chaos.deeds import Hold
from maestro.chaos.faults import Ground, Pauses
from maestro.chaos.findings import Plan
from maestro.chaos.holds import Holds
from maestro.chaos.schedule import Injected
from maestro.chaos.scratch import ScratchStack


class Injector:
    """Does what the schedule says, in a thread of its own."""

    def __init__(self, stack: ScratchStack, broker: redis.Redis, plan: Plan) -> None:
        self.injected: list[Injected] = []
        self._plan = plan
        self._ground = Ground(stack=stack, broker=broker, pauses=Pauses(), holds=Holds(stack))
        self._stopped = threading.Event()
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="faults")

    def __enter__(self) -> Injector:
        self._done = self._threads.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._ground.pauses.resume_all()
        self._threads.shutdown()
        # A pause that began in between.
        self._ground.pauses.resume_all()
        self._ground.holds.release_all()
        # A campaign whose faults ended by an error has shown nothing.
        self._done.result()

    @property
    def holds(self) -> tuple[Hold, ...]:
        """What an operator had paused."""
        return tuple(self._ground.holds.done)

    def go_on(self, seconds: float) -> None:
        """Let faults happen for a while longer."""
        wait([self._done], seconds)

    def _run(self) -> None:
        began_at = time.monotonic()
        for planned in schedule.draw_faults(self._plan.seed, self._plan.kinds):
            if self._stopped.wait(max(0.0, began_at + planned.after_seconds - time.monotonic())):
                return
            injected = faults.inject(self._ground, planned, self._plan.seed)
            if injected is not None:
                self.injected.append(injected)
