"""When a run begins, and by when it must be over: what a person asks for, turned into times. Pure."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from workflows.definition.limits import LONGEST_SECONDS
from workflows.definition.problems import Problem
from workflows.errors import StartTimesRefused

LONGEST = datetime.timedelta(seconds=LONGEST_SECONDS)
_DAYS = LONGEST.days


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimes:
    """The times of one run."""

    start_at: datetime.datetime | None = None
    """When it begins; None for at once."""
    deadline_at: datetime.datetime | None = None
    """When it is ended, finished or not."""


def start_times(
    now: datetime.datetime,
    *,
    start_at: datetime.datetime | datetime.timedelta | None,
    deadline: datetime.datetime | datetime.timedelta | None,
) -> StartTimes:
    """Return the times of a run that is asked for now: `start_at` is a time or a delay, `deadline` a time or how long
    after the start.

    A start that is past is now. Raises `StartTimesRefused` with every problem.
    """
    problems = []
    begins = max(now, now + start_at if isinstance(start_at, datetime.timedelta) else start_at or now)
    if begins - now > LONGEST:
        problems.append(_problem("start_at", "too_far", f"must be within {_DAYS} days from now"))
    ends = begins + deadline if isinstance(deadline, datetime.timedelta) else deadline
    if ends is not None and ends <= begins:
        is_past = ends <= now
        message = "is past: give a time that is still to come" if is_past else "must be later than the start of the run"
        problems.append(_problem("deadline", "past", message))
    elif ends is not None and ends - begins > LONGEST:
        problems.append(_problem("deadline", "too_far", f"must be within {_DAYS} days of the start of the run"))
    if problems:
        raise StartTimesRefused(problems)
    return StartTimes(start_at=begins if begins > now else None, deadline_at=ends)


def _problem(name: str, code: str, message: str) -> Problem:
    return Problem(code=code, path=(name,), message=message)
