"""`retry:`: whether a failed attempt is followed by another, and when. Pure.

Exponential back-off with a cap and full jitter: each delay is drawn between zero and what the back-off says, so that
tasks that failed together do not come back together (M. Brooker, "Exponential Backoff And Jitter", 2015).
"""

from __future__ import annotations

import math
from random import Random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from maestro.core.durations import Duration

MAX_ATTEMPTS = 1_000
LONGEST_DELAY_SECONDS = 30 * 86_400.0
"""The longest time between two attempts, whoever asks for it: the definition, or a server by `Retry-After`."""
ERROR_CODE = r"^[a-z_][a-z0-9_]*$"

ErrorCode = Annotated[str, Field(pattern=ERROR_CODE)]
Delay = Annotated[Duration, Field(le=LONGEST_DELAY_SECONDS)]


class RetrySpec(BaseModel):
    """How often and when a task is tried again whose attempt failed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_attempts: int = Field(
        default=3,
        ge=1,
        le=MAX_ATTEMPTS,
        strict=True,
        description="How often the task is tried in all. Attempts lost with a worker do not count.",
    )
    delay: Delay = Field(default=1.0, description="Time before the second attempt, such as `500ms` or `2s`.")
    backoff: float = Field(
        default=2.0, ge=1, le=100, strict=True, description="Factor by which each further delay is longer."
    )
    max_delay: Delay = Field(default=300.0, description="The longest delay, however many attempts there were.")
    jitter: bool = Field(
        default=True,
        strict=True,
        description="Draw each delay at random between zero and itself, so that tasks that failed together do not come"
        " back together.",
    )
    within: Annotated[Duration, Field(gt=0)] | None = Field(
        default=None, description="No attempt begins later than this after the first one began."
    )
    on: tuple[ErrorCode, ...] | None = Field(
        default=None,
        min_length=1,
        description="Error codes that are tried again; all others are not. Without it, all are.",
    )
    not_on: tuple[ErrorCode, ...] = Field(default=(), description="Error codes that are not tried again.")

    def tries_again_on(self, error_code: str) -> bool:
        """Tell whether an attempt that failed with this code is followed by another."""
        return (self.on is None or error_code in self.on) and error_code not in self.not_on

    def delay_seconds(self, tries: int, random: Random, *, at_least: float | None = None) -> float:
        """Return the time before the next attempt, after so many that failed (1 for the first).

        `at_least` is what the other side asked for, and is drawn upwards only; no delay is longer than
        `LONGEST_DELAY_SECONDS`.
        """
        try:
            grown = self.delay * self.backoff ** (tries - 1)
        except OverflowError:
            grown = math.inf
        seconds = min(grown, self.max_delay)
        if self.jitter:
            seconds = random.uniform(0, seconds)
        if at_least is not None:
            seconds += at_least
        return min(seconds, LONGEST_DELAY_SECONDS)
