"""What a person may choose about an embedded stack."""

from __future__ import annotations

from pathlib import Path

import pydantic

LONGEST_RESTART_DELAY_SECONDS = 30.0


class StackOptions(pydantic.BaseModel):
    """The choices of one `maestro up`; JSON, so that a detached supervisor can be given them."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    home: Path
    """Absolute path of the home."""
    port: int
    """The API's port."""
    flower_port: int
    """Flower's port."""
    concurrency: int
    """How many tasks one worker runs at a time."""
    autoscale: tuple[int, int] | None = None
    """The most and the least tasks that one worker runs at a time; None for always as many as `concurrency` says."""
    workers: int = 1
    """How many workers run."""
    longest_restart_delay_seconds: float = LONGEST_RESTART_DELAY_SECONDS
    """The pause before a process that keeps ending starts again grows up to this."""
    drain_seconds: int = 20
    """How long running tasks have to finish when the stack is stopped."""
