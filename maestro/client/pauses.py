"""The routes by which runs, workflows, queues and the organization are paused and resumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote
from uuid import uuid4

from maestro.client.representations import Pause
from maestro.client.transport import Transport


@dataclass(frozen=True, slots=True)
class PauseTarget:
    """What is paused: a run, a workflow, a queue, or with nothing given all of the organization."""

    run_id: str | None = None
    """Id of the run."""
    workflow: str | None = None
    """Name or id of the workflow."""
    queue: str | None = None
    """Name of the queue."""

    @property
    def path(self) -> str:
        """Return the address of what is paused."""
        if self.run_id is not None:
            return f"/workflow-runs/{quote(self.run_id, safe='')}"
        if self.workflow is not None:
            return f"/workflows/{quote(self.workflow, safe='')}"
        if self.queue is not None:
            return f"/queues/{quote(self.queue, safe='')}"
        return "/organization"


class Pauses:
    """What is paused."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def iterate(self, *, run_id: str | None = None) -> Iterator[Pause]:
        """Yield what is paused, the latest first; with a run, what keeps that run or one of its tasks."""
        return self._transport.get_all("/pauses", Pause, {} if run_id is None else {"run": run_id})

    def pause(self, target: PauseTarget, *, reason: str = "") -> Pause:
        """Let nothing begin in it; what runs goes on to its end."""
        document = {"reason": reason}
        return self._transport.post(f"{target.path}/pause", document, idempotency_key=str(uuid4())).parse(Pause)

    def resume(self, target: PauseTarget) -> Pause:
        """Let it go on, but for what another pause covers."""
        return self._transport.post(f"{target.path}/resume", idempotency_key=str(uuid4())).parse(Pause)
