"""A `TaskContext` for tests: keeps the lines, makes the workspace in a given directory."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from executors.base import Options, TaskRequest, Workspace

RUN_ID = UUID("01890000-0000-7000-8000-000000000001")
ORGANIZATION_ID = UUID("01890000-0000-7000-8000-000000000002")


class FakeContext:
    def __init__(
        self,
        directory: Path | None = None,
        is_cancelled: Callable[[], bool] = lambda: False,
        seconds_left: float = math.inf,
        grace_seconds: float = 5.0,
    ) -> None:
        self._grace_seconds = grace_seconds
        self._ends_at = time.monotonic() + seconds_left
        self.lines: list[tuple[str, str, str]] = []
        self._is_cancelled = is_cancelled
        self._directory = directory

    def write_line(self, message: str, *, stream: str = "stdout", level: str = "info") -> None:
        self.lines.append((stream, level, message))

    def is_cancelled(self) -> bool:
        return self.seconds_left() <= 0 or self._is_cancelled()

    def seconds_left(self) -> float:
        return self._ends_at - time.monotonic()

    def grace_seconds(self) -> float:
        return self._grace_seconds

    def workspace(self) -> Workspace:
        assert self._directory is not None, "this test gives no directory"
        output_file = self._directory / "output.json"
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self._directory), "MAESTRO_OUTPUT": str(output_file)}
        return Workspace(directory=self._directory, environment=environment, output_file=output_file)

    def messages(self, stream: str) -> list[str]:
        return [message for of, _, message in self.lines if of == stream]


def make_request(options: Options, *, resumed: dict[str, Any] | None = None) -> TaskRequest[Any]:
    return TaskRequest(
        run_id=RUN_ID,
        organization_id=ORGANIZATION_ID,
        workflow_name="flight-delays",
        task_key="clean",
        attempt=1,
        idempotency_token="token",
        options=options,
        resumed=resumed,
    )
