"""What a person may choose about an embedded stack."""

from __future__ import annotations

from pathlib import Path

import pydantic


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
    """How many tasks run at a time."""
