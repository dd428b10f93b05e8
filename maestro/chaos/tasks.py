"""What the Python tasks of a campaign call. Imported by the scratch stack's workers."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from maestro.chaos import effects
from maestro.chaos.expected import value_of
from maestro.core.user_code.current_task import current_task
from maestro.core.user_code.exceptions import TaskCancelled, TimeLimitReached


class PlannedFailure(Exception):
    """The task fails because its graph says so."""


def work(
    effects_file: str, number: int, values: list[int], seconds: float, failures: int, *, is_stubborn: bool
) -> dict[str, int]:
    """Note the beginning, take some time, note the end, and return a value; raise PlannedFailure so often before.

    Who is stubborn takes all of its time, whatever it is told.
    """
    task = current_task()
    token = uuid.uuid4().hex
    path = Path(effects_file)

    def note(event: str) -> None:
        effects.note(
            path,
            event,
            run_id=str(task.run_id),
            task_key=task.task_key,
            attempt=task.attempt,
            token=token,
        )

    note(effects.BEGUN)
    if number % 3 == 0:
        task.logger.info("attempt %d takes %g s", task.attempt, seconds)
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        try:
            time.sleep(left)
        except (TimeLimitReached, TaskCancelled):
            note(effects.STOPPED)
            if not is_stubborn:
                raise
    # A failure that was noted counts, also when the attempt is lost before it is told: so it ends all the same.
    failed = effects.count_failures(path, run_id=str(task.run_id), task_key=task.task_key) if failures else 0
    fails = failed < failures
    if fails:
        note(effects.FAILED)
    note(effects.ENDED)
    if fails:
        raise PlannedFailure(f"task {task.task_key} fails as planned")
    return {"value": value_of(number, values), "attempt": task.attempt}
