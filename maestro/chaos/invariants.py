"""What must be true after a campaign, whatever was done to the stack. Pure: judges evidence against expectation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from maestro.chaos import beginnings, interference, limits
from maestro.chaos.cases import CANCELLED, ENDED_RUN, ENDED_TASK, FENCED, Break, Case, broken, cases_of, tasks_of
from maestro.chaos.deeds import Deeds
from maestro.chaos.effects import Effect
from maestro.chaos.expected import FAILED, TIMED_OUT, ExpectedTask
from maestro.chaos.graphs import Graph, Kind
from maestro.chaos.openings import Asked
from maestro.chaos.rows import Ask, AttemptRow, Leftovers, RepeatedLine, RunRow, SignalRow, TaskRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the invariants say of a campaign."""

    breaks: tuple[Break, ...]
    """Everything that is wrong."""
    repeats_after_crash: int
    """Attempts that ran twice because the database lost a claim in a crash, as the protocol allows."""


def judge(
    *,
    runs: Sequence[RunRow],
    wanted: int,
    graphs: Mapping[str, Graph],
    asked: Mapping[str, Asked],
    acknowledged: Mapping[str, str],
    rolled_back: Sequence[str],
    effects: Sequence[Effect],
    repeated_lines: Sequence[RepeatedLine],
    crashes: Sequence[float],
    disturbances: Sequence[tuple[float, float]],
    leftovers: Leftovers,
    deeds: Deeds,
    signals: Sequence[SignalRow],
    asks: Sequence[Ask],
) -> Verdict:
    """Judge a campaign.

    `wanted` is how many runs were to be started, `graphs` and `asked` are by workflow name, `acknowledged` are the runs
    of which somebody was told that they are started, with their workflows, `rolled_back` those whose transactions were
    rolled back, `crashes` the times, seconds since the epoch, at which the database may have lost claims, and
    `disturbances` from when until when something was away that ends what is overdue.
    """
    cases = cases_of(runs, graphs, asked, effects, crashes, disturbances, deeds, signals, asks)
    breaks = [
        *_not_started(acknowledged, wanted),
        *beginnings.started_as_asked(runs, asked, acknowledged, rolled_back),
        *(found for case in cases for invariant in INVARIANTS for found in invariant(case)),
        *lines_repeated(repeated_lines, cases),
        *left_over(leftovers),
        *(Break(rule="wrong_answer", message=refusal) for refusal in deeds.refusals),
    ]
    return Verdict(
        breaks=tuple(breaks),
        repeats_after_crash=sum(1 for case in cases for _, _, is_allowed in _repeats(case) if is_allowed),
    )


def _not_started(acknowledged: Mapping[str, str], wanted: int) -> Iterator[Break]:
    if len(acknowledged) < wanted:
        yield Break(rule="not_started", message=f"only {len(acknowledged)} of {wanted} runs could be started")


def left_over(leftovers: Leftovers) -> Iterator[Break]:
    """Nothing waits in a queue, and no living worker holds a message."""
    for queue, length in leftovers.waiting_messages.items():
        yield Break(rule="message_left", message=f"queue {queue} holds {length} messages and nobody takes them")
    for name in leftovers.holding_workers:
        yield Break(rule="message_held", message=f"worker {name} holds a message with nothing left to do")


def lines_repeated(lines: Sequence[RepeatedLine], cases: Sequence[Case]) -> Iterator[Break]:
    """No line of an attempt is stored twice; the tasks of a campaign write none twice."""
    excused = {
        (case.run.id, effect.task_key, effect.attempt)
        for case in cases
        for _, effect, is_allowed in _repeats(case)
        if is_allowed
    }
    for line in lines:
        if (line.run_id, line.task_key, line.attempt) not in excused:
            message = f"attempt {line.attempt} has this line {line.times} times: {line.message}"
            yield Break(rule="line_repeated", run_id=line.run_id, task_key=line.task_key, message=message)


def run_has_ended(case: Case) -> Iterator[Break]:
    """The run and every task of it have ended."""
    if case.run.status not in ENDED_RUN:
        yield broken(case, "run_not_ended", f"the run is {case.run.status}")
    for task in case.run.tasks:
        if task.status not in ENDED_TASK:
            yield broken(case, "task_not_ended", f"it is {task.status} {task.reason}".strip(), task)


def run_ended_as_expected(case: Case) -> Iterator[Break]:
    """The run ended with the status and the outputs that its graph has."""
    run, expected = case.run, case.expected
    if run.status not in ENDED_RUN:
        return
    if run.status == CANCELLED and case.may_be_cancelled:
        if run.outputs is not None:
            yield broken(case, "wrong_outputs", f"outputs {run.outputs} of a run that is cancelled")
        return
    if run.status != expected.status:
        message = f"the run {run.status}, expected {expected.status}: {run.error_message}"
        yield broken(case, "wrong_status", message)
    elif run.reason != expected.reason:
        yield broken(case, "wrong_reason", f"the run {run.status} with the reason {run.reason or None}")
    elif run.outputs != (None if expected.outputs is None else dict(expected.outputs)):
        yield broken(case, "wrong_outputs", f"outputs {run.outputs}, expected {expected.outputs}")


def tasks_ended_as_expected(case: Case) -> Iterator[Break]:
    """Every task ended with the status, the reason and the output that the graph has."""
    found = {task.task_key for task in case.run.tasks}
    if case.run.status in ENDED_RUN and not case.has_all_of(found):
        yield broken(case, "wrong_tasks", f"tasks {sorted(found)}, expected {sorted(case.expected.tasks)}")
    for task, expected in tasks_of(case):
        if task.status not in ENDED_TASK:
            continue
        if case.cancels(task):
            continue
        if (task.status, task.reason) != (expected.status, expected.reason):
            message = f"{_words(task.status, task.reason)}, expected {_words(expected.status, expected.reason)}"
            yield broken(case, "wrong_status", f"{message}: {task.error_message}", task)
        elif case.graph[task.task_key].is_awaited and not _is_as_expected(task, expected):
            message = f"output {task.output}, expected {expected.output(task.attempt)}"
            yield broken(case, "wrong_output", message, task)
        elif task.status == FAILED and task.error_code not in expected.codes:
            yield broken(case, "wrong_cause", f"{task.error_code}: {task.error_message}", task)


def effects_are_there(case: Case) -> Iterator[Break]:
    """What ended has done its work in its last attempt; what was skipped has done nothing."""
    for task, expected in tasks_of(case):
        of_task = [effect for effect in case.effects if effect.task_key == task.task_key]
        if task.status not in ENDED_TASK or case.cancels(task):
            continue
        if not expected.works and not all(case.may_forget(effect) for effect in of_task):
            yield broken(case, "effect_of_skipped", f"its code ran in attempt {of_task[0].attempt}", task)
        if expected.is_done and not any(each.ended_at and each.attempt == task.attempt for each in of_task):
            yield broken(case, "effect_missing", f"attempt {task.attempt} did not do its work", task)


def effects_follow_their_needs(case: Case) -> Iterator[Break]:
    """Nothing begins before the work that it waits for is done."""
    done: dict[str, float] = {}
    for effect in case.effects:
        if effect.ended_at is not None:
            done[effect.task_key] = min(effect.ended_at, done.get(effect.task_key, math.inf))
    awaited = {task.task_key for task in case.run.tasks if not case.cancels(task)}
    for effect in case.effects:
        expected = case.expected.tasks.get(effect.task_key)
        for need in expected.after if expected else ():
            if need in awaited and done.get(need, math.inf) > effect.begun_at:
                message = f"attempt {effect.attempt} of {effect.task_key} began before {need} was done"
                yield broken(case, "begun_early", message)


def effects_are_of_attempts(case: Case) -> Iterator[Break]:
    """No attempt runs twice, and none runs that nobody counted."""
    last = {task.task_key: task.attempt for task in case.run.tasks}
    for effect in case.effects:
        is_counted = 1 <= effect.attempt <= last.get(effect.task_key, 0)
        if not is_counted and not (effect.attempt and case.may_forget(effect)):
            message = f"attempt {effect.attempt} of {effect.task_key} ran, and its row says {last.get(effect.task_key)}"
            yield broken(case, "attempt_uncounted", message)
    for first, second, is_allowed in _repeats(case):
        if not is_allowed:
            message = f"attempt {second.attempt} of {second.task_key} ran twice: {first.token} and {second.token}"
            yield broken(case, "attempt_repeated", message)


def attempts_have_no_gap(case: Case) -> Iterator[Break]:
    """Every attempt before the last is in the history, once, beside those whose claim a crash took back."""
    for task in case.run.tasks:
        numbers = [attempt.attempt for attempt in _counted(task)]
        if len(numbers) < len(task.history) and not case.crashes:
            yield broken(case, "claim_forgotten", "the database lost a claim, and has not crashed", task)
        before = list(range(1, task.attempt))
        # It may be cancelled after an attempt and before the next one.
        ends_between = case.cancels(task) or task.reason == TIMED_OUT
        allowed = (before, [*before, task.attempt]) if ends_between and task.attempt else (before,)
        if task.status in ENDED_TASK and numbers not in allowed:
            yield broken(case, "attempts_gap", f"attempt {task.attempt} after the attempts {numbers}", task)


def failures_are_counted(case: Case) -> Iterator[Break]:
    """A task that fails as planned is tried as often as its `retry` says, and what is lost is no failure of it."""
    for task, expected in tasks_of(case):
        fewest, most = expected.fewest_failures, expected.most_failures
        if case.cancels(task):
            # An attempt that is made to stop fails by that.
            fewest, most = 0, most + 1
        if task.status in ENDED_TASK and not fewest <= task.tries <= most:
            message = f"{task.tries} failures counted, expected {fewest} to {most}"
            yield broken(case, "wrong_failures", message, task)


def retries_wait(case: Case) -> Iterator[Break]:
    """What failed is in the history as planned, and the next attempt begins when its delay is over."""
    for task, expected in tasks_of(case):
        attempts = _counted(task)
        failed = [attempt for attempt in attempts if attempt.status == FAILED]
        ends = {0, 1} if case.cancels(task) else {int(task.status == FAILED and task.reason != TIMED_OUT)}
        if task.status in ENDED_TASK and task.tries - len(failed) not in ends:
            yield broken(case, "failures_gap", f"{task.tries} tries after the failures {len(failed)}", task)
        begun = [attempt.started_at for attempt in attempts[1:]]
        if not attempts or attempts[-1].attempt < task.attempt:
            begun.append(task.started_at)
        for attempt, started_at in zip(attempts, begun, strict=False):
            if attempt.status != FAILED or started_at is None:
                continue
            seconds = (started_at - attempt.finished_at).total_seconds()
            failures = sum(each.attempt <= attempt.attempt for each in failed)
            if seconds < case.graph[task.task_key].delay_seconds(failures):
                message = f"begun {seconds:g} s after attempt {attempt.attempt} had failed"
                yield broken(case, "retried_early", message, task)
            if attempt.error_code not in expected.codes:
                yield broken(case, "wrong_cause", f"{attempt.error_code}: {attempt.error_message}", task)


INVARIANTS: Sequence[Callable[[Case], Iterator[Break]]] = (
    run_has_ended,
    run_ended_as_expected,
    tasks_ended_as_expected,
    effects_are_there,
    effects_follow_their_needs,
    effects_are_of_attempts,
    attempts_have_no_gap,
    failures_are_counted,
    retries_wait,
    *interference.INVARIANTS,
    *limits.INVARIANTS,
    *beginnings.INVARIANTS,
)


def _repeats(case: Case) -> Iterator[tuple[Effect, Effect, bool]]:
    """Yield two executions of one attempt, and whether the database may have lost the claim of the first."""
    seen: dict[tuple[str, int], Effect] = {}
    for effect in case.effects:
        first = seen.setdefault((effect.task_key, effect.attempt), effect)
        if first is not effect:
            yield first, effect, case.may_forget(first, before=effect.begun_at)
        seen[effect.task_key, effect.attempt] = effect


def _counted(task: TaskRow) -> list[AttemptRow]:
    """Return the history without claims that the database forgot: other attempts have their numbers."""
    return [attempt for attempt in task.history if attempt.status != FENCED]


def _words(status: str, reason: str) -> str:
    return f"{status} ({reason})" if reason else status


def _is_as_expected(task: TaskRow, expected: ExpectedTask) -> bool:
    wanted = expected.output(task.attempt)
    if expected.kind is Kind.HTTP and isinstance(wanted, dict) and isinstance(task.output, dict):
        # Beside it, the headers.
        return bool(task.output | wanted == task.output)
    if expected.kind is Kind.APPROVAL and isinstance(wanted, dict) and isinstance(task.output, dict):
        # Beside it, who decided, and when.
        is_decided = (task.output.get("by") is not None) == expected.is_answered
        return is_decided and bool(task.output | wanted == task.output)
    return bool(task.output == wanted)
