"""`timeout:`: how long a task, each of its attempts or a whole run may take. Pure."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from maestro.core.durations import Duration

LONGEST_SECONDS = 366 * 86_400.0
"""The longest limit that can be written; without one, a task or run may take for ever."""
DEFAULT_GRACE_SECONDS = 10.0

Limit = Annotated[Duration, Field(gt=0, le=LONGEST_SECONDS)]


class TaskTimeout(BaseModel):
    """How long a task may take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempt: Limit | None = Field(
        default=None,
        description="Time for each attempt. Then it is told to stop: Python code gets an exception, a process SIGTERM.",
    )
    grace: Annotated[Duration, Field(le=3600)] = Field(
        default=DEFAULT_GRACE_SECONDS,
        description="How long an attempt that was told to stop may take to clean up before it is killed.",
    )
    queue: Limit | None = Field(
        default=None, description="Time for which the task may wait, ready to run, until its first attempt begins."
    )
    total: Limit | None = Field(
        default=None,
        description="Time for the whole task, over all attempts, waits and delays, from when its first attempt begins.",
    )


def _from_attempt(value: object) -> object:
    """Read `timeout: 20s`, which limits each attempt."""
    return value if isinstance(value, (dict, TaskTimeout)) else {"attempt": value}


TaskTimeoutValue = Annotated[
    TaskTimeout, BeforeValidator(_from_attempt, json_schema_input_type=TaskTimeout | float | str)
]
"""A limit of each attempt, or a mapping of several limits."""
