"""Pauses runs, a workflow, the queue or the organization for a moment, as an operator does, and lets them go on."""

from __future__ import annotations

import random
import threading
import time
from itertools import islice

from maestro.chaos.deeds import Hold
from maestro.chaos.scratch import ScratchStack
from maestro.client import ApiError, Client, ClientError
from maestro.client.pauses import PauseTarget

QUEUE = "maestro"
HOLD_SECONDS = (0.5, 2.5)
SCOPES = ("run", "run", "run", "workflow", "queue", "organization")
MOST_RUNS = 20
RETRY_SECONDS = 0.2
RELEASE_SECONDS = 60.0


class StillHeld(Exception):
    """Something could not be let go on."""


class Holds:
    """What is paused, and was."""

    def __init__(self, stack: ScratchStack) -> None:
        self.done: list[Hold] = []
        self._stack = stack
        self._threads: dict[tuple[str, str], threading.Thread] = {}

    def hold(self, chance: random.Random) -> tuple[str, float] | None:
        """Pause something that runs, and let it go on in a while; return what, and for how long. None when nothing can
        be paused just now.
        """
        seconds = round(chance.uniform(*HOLD_SECONDS), 1)
        with self._stack.client() as client:
            try:
                target, scope, name = _choose(client, chance)
                if self._is_held(scope, name):
                    return None
                begun_at = self._pause(client, target)
            except (ClientError, _NothingRuns):
                return None
        thread = threading.Thread(
            target=self._let_go, args=(target, scope, name, begun_at, seconds), daemon=True, name=f"hold of {scope}"
        )
        self._threads[scope, name] = thread
        thread.start()
        return (" ".join(part for part in (scope, name) if part), seconds) if begun_at is not None else None

    def release_all(self) -> None:
        """Wait until everything goes on, also what was paused without an answer. Raises StillHeld."""
        deadline = time.monotonic() + RELEASE_SECONDS
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._stack.client() as client:
            while time.monotonic() < deadline:
                try:
                    held = list(client.pauses.iterate())
                    for pause in held:
                        workflow = None if pause.run else pause.workflow
                        client.pauses.resume(PauseTarget(run_id=pause.run, workflow=workflow, queue=pause.queue))
                    if not held:
                        return
                except ClientError:
                    time.sleep(RETRY_SECONDS)
        raise StillHeld

    def _is_held(self, scope: str, name: str) -> bool:
        thread = self._threads.get((scope, name))
        return thread is not None and thread.is_alive()

    def _pause(self, client: Client, target: PauseTarget) -> float | None:
        """Pause it, and return since when; None when that is not known, because no answer came."""
        try:
            client.pauses.pause(target, reason="chaos")
        except ApiError as error:
            if not error.is_temporary:
                raise
            return None
        except ClientError:
            return None
        return time.time()

    def _let_go(self, target: PauseTarget, scope: str, name: str, begun_at: float | None, seconds: float) -> None:
        time.sleep(seconds)
        ended_at = time.time()
        if begun_at is not None:
            self.done.append(Hold(scope=scope, name=name, begun_at=begun_at, ended_at=ended_at))
        with self._stack.client() as client:
            while True:
                try:
                    client.pauses.resume(target)
                except ApiError as error:
                    if error.is_temporary:
                        time.sleep(RETRY_SECONDS)
                        continue
                    # Its run is over, or an answer that was lost said that it goes on.
                    return
                except ClientError:
                    time.sleep(RETRY_SECONDS)
                else:
                    return


class _NothingRuns(Exception):
    """There is no run to be paused."""


def _choose(client: Client, chance: random.Random) -> tuple[PauseTarget, str, str]:
    scope = chance.choice(SCOPES)
    place = chance.random()
    if scope == "queue":
        return PauseTarget(queue=QUEUE), scope, QUEUE
    if scope == "organization":
        return PauseTarget(), scope, ""
    running = list(islice(client.runs.iterate(status="running", page_size=MOST_RUNS), MOST_RUNS))
    if not running:
        raise _NothingRuns
    run = running[int(place * len(running))]
    if scope == "run":
        return PauseTarget(run_id=run.id), scope, run.id
    return PauseTarget(workflow=run.workflow), scope, run.workflow
