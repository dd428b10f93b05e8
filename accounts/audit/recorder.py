"""Writes API requests to `api_requests` in batches, from one thread, so that recording costs a request nothing.

A batch lost with its process loses statistics, never work.
"""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time

from django.db import DatabaseError, connection

from accounts.models import ApiRequest

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000
MAX_BATCH = 500
INTERVAL_SECONDS = 1.0


class Recorder:
    """Collects records and writes them every second."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[ApiRequest] = queue.Queue(MAX_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, record: ApiRequest) -> None:
        """Take a record; when the database is so slow that too many wait, say so and drop it."""
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            logger.warning("Too many API requests wait to be recorded: one was dropped")
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="api-request-recorder", daemon=True)
                self._thread.start()
                atexit.register(self.flush)

    def flush(self) -> None:
        """Write everything that waits."""
        while batch := self._take():
            try:
                ApiRequest.objects.bulk_create(batch)
            except DatabaseError as error:
                logger.warning("%d API requests were not recorded: %s", len(batch), type(error).__name__)
            finally:
                connection.close()

    def _run(self) -> None:
        while True:
            time.sleep(INTERVAL_SECONDS)
            self.flush()

    def _take(self) -> list[ApiRequest]:
        batch: list[ApiRequest] = []
        while len(batch) < MAX_BATCH:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch


recorder = Recorder()
