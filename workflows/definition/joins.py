"""When a task may run, judged by how its needs ended: the rules of `run_if`.

The engine says the same in SQL (`workflows.runs.joins`); a test compares the two over every combination. Only a
positive `any_…` decides early; every skip waits for all needs, so that its reason does not depend on timing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from workflows.definition.spec import RunIf


class End(StrEnum):
    """How a need ended, as joins count it."""

    OPEN = "open"
    """Not yet."""
    SUCCEEDED = "succeeded"
    """It did its work, or failed and may."""
    FAILED = "failed"
    """It failed, was cancelled, or was skipped because something upstream of it failed."""
    SKIPPED = "skipped"
    """It was skipped by its condition or by a user, or because all it could have run for was."""


class Decision(StrEnum):
    """What becomes of a task whose join is decided."""

    RUN = "run"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_SKIPPED = "upstream_skipped"


def decide_join(rule: RunIf, needs: Sequence[End]) -> Decision | None:
    """Judge a join: run the task, skip it for a reason, or None while that is open."""
    succeeded, failed = needs.count(End.SUCCEEDED), needs.count(End.FAILED)
    if (rule is RunIf.ANY_SUCCEEDED and succeeded) or (rule is RunIf.ANY_FAILED and failed):
        return Decision.RUN
    if End.OPEN in needs:
        return None
    runs = (
        not needs
        or rule is RunIf.ALL_DONE
        or (rule is RunIf.ALL_SUCCEEDED and succeeded == len(needs))
        or (rule is RunIf.NONE_FAILED and not failed)
    )
    if runs:
        return Decision.RUN
    return Decision.UPSTREAM_FAILED if failed else Decision.UPSTREAM_SKIPPED
