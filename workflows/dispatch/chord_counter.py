"""The result backend: counts the headers of chords and does nothing else.

Celery's own also keeps a result object and a subscription for every header member in whichever process sends a chord,
for as long as it lives, in case somebody waits for the results. Nobody does: results are rows.
"""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend


class ChordCounter(RedisBackend):
    """A Redis backend that tracks no results."""

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do not subscribe to a result nobody waits for."""

    def add_pending_result(self, result: Any, weak: bool = False, start_drainer: bool = True) -> Any:
        """Do not keep the result."""
        return result

    def add_pending_results(self, results: Any, weak: bool = False) -> Any:
        """Do not keep the results."""
        return results
