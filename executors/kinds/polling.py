"""Asking again until an answer says what it should: the option `poll` of the kind `http`, and what an answer means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from executors.base import JsonValue, Options, TaskContext, TaskError, TaskResult, Wait
from executors.kinds.http_statuses import Statuses, status_ranges
from maestro.core.durations import Duration

REASON = "poll"
LONGEST_SECONDS = 86_400.0
_MISSING = object()
_MOST_CHARACTERS = 100


def _check_path(path: str) -> str:
    if not all(path.split(".")):
        raise ValueError("should be keys and positions of the JSON body, joined by dots: job.state, items.0.state")
    return path


def _check_every(seconds: float) -> float:
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise ValueError("should be at least 1s and at most 1d")
    return seconds


class Condition(Options):
    """What an answer may say: all of this."""

    status: Statuses | None = Field(default=None, description="Statuses, one of which it has; written as in `expect`.")
    body: dict[Annotated[str, AfterValidator(_check_path)], JsonValue] = Field(
        default_factory=dict,
        description="What its JSON body has: a path such as `job.state` or `items.0.state` to the value that stands "
        "there, or to a list of values of which one does.",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.status is None and not self.body:
            raise ValueError("needs `status` or `body`")
        return self

    def statuses(self) -> list[range]:
        """Return the statuses it names."""
        return [] if self.status is None else status_ranges(self.status)

    def is_met(self, status: int, body: JsonValue) -> bool:
        """Tell whether an answer says all of this."""
        if self.status is not None and not any(status in statuses for statuses in self.statuses()):
            return False
        return all(_is_one_of(_look_up(body, path), wanted) for path, wanted in self.body.items())


class Poll(Options):
    """How a condition outside is waited for."""

    every: Annotated[Duration, AfterValidator(_check_every)] = Field(
        description="Time between an answer and the next request: `5s`, at least `1s`. An answer's `Retry-After` may "
        "ask for more."
    )
    until: Condition = Field(description="What the answer says when the task has succeeded.")
    fail_if: Condition | None = Field(
        default=None,
        description="What the answer says when waiting is no use: it fails the task as `poll_failed`.",
    )

    def statuses(self) -> list[range]:
        """Return the statuses that its conditions name."""
        return self.until.statuses() + (self.fail_if.statuses() if self.fail_if is not None else [])


def judge(
    poll: Poll,
    output: Mapping[str, JsonValue],
    *,
    asked: str,
    retry_after: float | None,
    resumed: Mapping[str, JsonValue] | None,
    context: TaskContext,
) -> TaskResult:
    """Return what an answer, as the task's output would have it, means: the end, or that it is asked for again.

    `asked` is the request, for people; `resumed` is what the request before has left. The log is told of answers that
    say something else than the one before.
    """
    status, body = output["status"], output["body"]
    if poll.fail_if is not None and poll.fail_if.is_met(status, body):
        said = _said(poll.fail_if, status, body)
        message = f"{asked} answered what `poll.fail_if` names: {said}."
        return TaskResult(error=TaskError(code="poll_failed", message=message, is_retryable=False))
    if poll.until.is_met(status, body):
        if resumed is not None:
            context.write_line(f"{asked} answered {_said(poll.until, status, body)}.", stream="log")
        return TaskResult(output=output)
    said = _said(poll.until, status, body)
    # Kept with the task, where nothing hides what is secret.
    seen = hashlib.sha256(said.encode()).hexdigest()
    if resumed is None or resumed.get("seen") != seen:
        context.write_line(f"Not yet: {asked} answered {said}.", stream="log")
    seconds = max(poll.every, min(retry_after or 0.0, LONGEST_SECONDS))
    return TaskResult(waits_for=Wait(reason=REASON, seconds=seconds, details={"seen": seen}))


def _said(condition: Condition, status: int, body: JsonValue) -> str:
    return ", ".join([str(status), *_values(condition, body)])


def _values(condition: Condition, body: JsonValue) -> Iterator[str]:
    for path in condition.body:
        value = _look_up(body, path)
        text = "nothing" if value is _MISSING else json.dumps(value, ensure_ascii=False)
        yield f"{path}: {text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + '…'}"


def _look_up(value: JsonValue, path: str) -> JsonValue:
    """Return what stands at a path, `_MISSING` where nothing does."""
    for step in path.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _MISSING
    return value


def _is_one_of(value: JsonValue, wanted: JsonValue) -> bool:
    return any(_is_same(value, each) for each in (wanted if isinstance(wanted, list) else [wanted]))


def _is_same(value: JsonValue, wanted: JsonValue) -> bool:
    # To Python, true is 1.
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)
