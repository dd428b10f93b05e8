"""A run with all that is known of it, and what may be wrong with it: what the invariants judge and say."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from maestro.chaos.deeds import Deeds, Hold
from maestro.chaos.effects import Effect
from maestro.chaos.expected import TIMED_OUT, ExpectedRun, ExpectedTask, Seen, interpret
from maestro.chaos.graphs import Graph, Kind
from maestro.chaos.openings import Asked
from maestro.chaos.rows import Ask, RunRow, SignalRow, TaskRow
from workflows.definition.sections import Section

CANCELLED = "cancelled"
FENCED = "fenced"
"""The status of an attempt whose claim the database forgot."""
# For so long after something was killed or went on, what is due may be late…
SETTLE_SECONDS = 15.0
# …and for so long after a pause.
RESUME_SECONDS = 5.0
# For so long after a claim its commit may still be in no file.
COMMIT_SECONDS = 2.0
# For so long the code of a task may begin after its claim: its process may stand still in between.
DELAY_SECONDS = 30.0
ENDED_RUN = frozenset({"succeeded", "failed", CANCELLED})
ENDED_TASK = frozenset({"succeeded", "failed", "skipped", CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Something that is not as it must be."""

    rule: str
    """Which invariant: a stable snake_case name."""
    message: str
    """What is wrong."""
    run_id: str = ""
    """The run; empty when it is about the stack."""
    task_key: str = ""
    """The task; empty when it is about the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run, and all that is known of it."""

    run: RunRow
    """Its rows."""
    graph: Graph
    """What it is a run of."""
    expected: ExpectedRun
    """How it must end."""
    effects: tuple[Effect, ...]
    """What its tasks did."""
    asked: Asked | None = None
    """How it was asked for; None of one that a task has started."""
    crashes: tuple[float, ...]
    """When the database may have lost claims."""
    is_asked: bool = False
    """Whether somebody asked to cancel it."""
    left_alone_at: float | None = None
    """When the attempt that has started it, and waited for it, was ended by something else than its end."""
    cancelled_at: float | None = None
    """When the API said that nothing of it begins any more, or nothing of a run above that waits for it."""
    holds: tuple[Hold, ...] = ()
    """When it was paused."""
    signals: tuple[SignalRow, ...] = ()
    """What was sent to it."""
    asks: tuple[Ask, ...] = ()
    """What its tasks asked the outside."""
    children: tuple[RunRow, ...] = ()
    """The runs that its tasks have started."""
    disturbances: tuple[tuple[float, float], ...] = ()
    """When whoever ends what is overdue may have been away, from and until when."""

    @property
    def may_be_cancelled(self) -> bool:
        """Whether it may end as cancelled."""
        return self.is_asked or self.left_alone_at is not None

    @property
    def is_cut(self) -> bool:
        """Whether tasks of it may be cancelled."""
        return self.expected.is_stopped or (self.may_be_cancelled and self.run.status == CANCELLED)

    def cancels(self, task: TaskRow) -> bool:
        """Tell whether a task is cancelled, and may be: all may in a run that is cut, but the one that has cut it."""
        expected = self.expected.tasks.get(task.task_key)
        if expected is None or task.status != CANCELLED:
            return False
        if expected.section is not Section.TASKS:
            # What has stopped the tasks of a run does not stop its hooks, but a cancel of that run from then on does.
            return self.is_asked
        return self.is_cut and (expected.kind is not Kind.STOP or self.run.status == CANCELLED)

    def is_disturbed(self, begun_at: float, ended_at: float) -> bool:
        """Tell whether somebody may have been away or held between two moments who would have done what was due."""
        held = ((hold.begun_at, hold.ended_at + RESUME_SECONDS) for hold in self.holds)
        return any(begun_at < until and at < ended_at for at, until in (*self.disturbances, *held))

    def may_forget(self, effect: Effect, *, before: float = math.inf) -> bool:
        """Tell whether the database may have lost the claim of an execution, in a crash before a moment."""
        earliest, latest = effect.begun_at - DELAY_SECONDS, min(before, effect.begun_at + COMMIT_SECONDS)
        return any(earliest <= at <= latest for at in self.crashes)

    def has_all_of(self, keys: Set[str]) -> bool:
        """Tell whether these are the tasks that the run must have, among which are the hooks of its outcome."""
        own, following, always = (
            {key for key, task in self.expected.tasks.items() if task.section in sections}
            for sections in ((Section.TASKS,), (Section.ON_FAILURE, Section.ON_SUCCESS), (Section.FINALLY,))
        )
        if self.run.started_at is None and self.run.start_at is not None and self.may_be_cancelled:
            # It was cancelled before it began.
            return not keys
        if not self.may_be_cancelled:
            return keys == own | following | always
        if self.run.status == CANCELLED:
            return keys == own | always
        # A cancel that comes while hooks run: those that would follow never come.
        return keys in (own | following | always, own | following)


def tasks_of(case: Case) -> Iterator[tuple[TaskRow, ExpectedTask]]:
    """Yield the tasks of a run with how each must end."""
    for task in case.run.tasks:
        expected = case.expected.tasks.get(task.task_key)
        if expected is not None:
            yield task, expected


def broken(case: Case, rule: str, message: str, task: TaskRow | None = None) -> Break:
    """Say what is wrong with a run, or a task of it."""
    return Break(rule=rule, message=message, run_id=case.run.id, task_key=task.task_key if task else "")


def cases_of(
    runs: Sequence[RunRow],
    graphs: Mapping[str, Graph],
    asked: Mapping[str, Asked],
    effects: Sequence[Effect],
    crashes: Sequence[float],
    disturbances: Sequence[tuple[float, float]],
    deeds: Deeds,
    signals: Sequence[SignalRow],
    asks: Sequence[Ask],
) -> list[Case]:
    """Put together what belongs to each run."""
    effects_of: dict[str, list[Effect]] = {}
    for effect in effects:
        effects_of.setdefault(effect.run_id, []).append(effect)
    known = {run.id: run for run in runs}
    below: dict[str, list[RunRow]] = {}
    for run in sorted(runs, key=lambda run: run.parent_attempt):
        below.setdefault(run.parent_id, []).append(run)
    cases = []
    for run in runs:
        cases.append(
            Case(
                run=run,
                graph=graphs[run.workflow],
                expected=interpret(graphs[run.workflow], _seen(run, below, deeds)),
                asked=None if run.parent_id else asked.get(run.workflow),
                effects=tuple(effects_of.get(run.id, ())),
                crashes=tuple(crashes),
                is_asked=run.id in deeds.cancel_asked,
                left_alone_at=_left_alone_at(run, known),
                cancelled_at=_cancelled_at(run, known, graphs, deeds),
                holds=tuple(_holds(list(_lineage(run, known)), known, deeds)),
                signals=tuple(signal for signal in signals if signal.run_id == run.id),
                asks=tuple(ask for ask in asks if ask.run_id == run.id),
                children=tuple(below.get(run.id, ())),
                disturbances=tuple((at, until + SETTLE_SECONDS) for at, until in disturbances),
            )
        )
    return cases


def _seen(run: RunRow, below: Mapping[str, Sequence[RunRow]], deeds: Deeds) -> Seen:
    """Return what a run did where its graph leaves that open."""
    children: dict[str, tuple[Seen, ...]] = {}
    for child in below.get(run.id, ()):
        children[child.parent_task] = (*children.get(child.parent_task, ()), _seen(child, below, deeds))
    return Seen(
        is_cancelled=run.status == CANCELLED and run.id in deeds.cancel_asked,
        children=children,
        ended_unrun=frozenset(
            task.task_key for task in run.tasks if (task.status, task.reason) == ("failed", TIMED_OUT)
        ),
    )


def _left_alone_at(run: RunRow, known: Mapping[str, RunRow]) -> float | None:
    """Return when the attempt that has started a run, and waited for it, was ended by something else than its end."""
    above = known.get(run.parent_id)
    if above is None or not run.is_awaited:
        return None
    task = next(task for task in above.tasks if task.task_key == run.parent_task)
    ended: list[datetime.datetime | None]
    if task.attempt == run.parent_attempt:
        ended = [task.finished_at] if task.status == CANCELLED or task.error_code == TIMED_OUT else []
    else:
        ended = [
            attempt.finished_at
            for attempt in task.history
            if (attempt.attempt, attempt.error_code) == (run.parent_attempt, TIMED_OUT)
        ]
    return min((at.timestamp() for at in ended if at is not None), default=None)


def _cancelled_at(run: RunRow, known: Mapping[str, RunRow], graphs: Mapping[str, Graph], deeds: Deeds) -> float | None:
    """Return when the API said that a run is cancelled, or one above that waits for it among its own tasks."""
    times = []
    for each in _lineage(run, known):
        if each.id in deeds.cancelled_at:
            times.append(deeds.cancelled_at[each.id])
        above = known.get(each.parent_id)
        if above is not None and graphs[above.workflow][each.parent_task].section is not Section.TASKS:
            break
    return min(times, default=None)


def _lineage(run: RunRow, known: Mapping[str, RunRow]) -> Iterator[RunRow]:
    """Yield a run, the run above that waits for it, and so on."""
    above: RunRow | None = run
    while above is not None:
        yield above
        above = known.get(above.parent_id) if above.is_awaited else None


def _holds(lineage: Sequence[RunRow], known: Mapping[str, RunRow], deeds: Deeds) -> Iterator[Hold]:
    """Yield when the first of a run and those above it was paused: with these for as long as they wait for it."""
    left_alone_at = [_left_alone_at(run, known) for run in lineage]
    for hold in deeds.holds:
        if hold.scope not in {"run", "workflow"}:
            yield hold
            continue
        for position, run in enumerate(lineage):
            if hold.name in (run.id, run.workflow):
                ends = (at for at in left_alone_at[:position] if at is not None)
                yield replace(hold, ended_at=min((hold.ended_at, *ends)))
                break
