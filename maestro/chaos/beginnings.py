"""What must be true of how runs begin. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from maestro.chaos.cases import Break, Case, broken
from maestro.chaos.openings import Asked
from maestro.chaos.rows import RunRow

# A delayed run begins so soon after its time, where nobody is away who begins it.
LATE_SECONDS = 8.0
# The clocks are those of one machine.
CLOCK_SECONDS = 0.05


def started_as_asked(
    runs: Sequence[RunRow], asked: Mapping[str, Asked], acknowledged: Mapping[str, str], rolled_back: Sequence[str]
) -> Iterator[Break]:
    """Of a workflow as many runs are started as there were keys at most; what was acknowledged is there, and what was
    rolled back is not.
    """
    known = {run.id for run in runs}
    for workflow, start in asked.items():
        started = sum(run.workflow == workflow and not run.parent_id for run in runs)
        if started > start.keys:
            message = f"{started} runs of {workflow} were started under {start.keys} keys"
            yield Break(rule="started_twice", message=message)
    for run_id, workflow in acknowledged.items():
        if run_id not in known:
            yield Break(rule="run_missing", run_id=run_id, message=f"started as {workflow}, and not in the database")
    for run_id in rolled_back:
        if run_id in known:
            yield Break(rule="started_unasked", run_id=run_id, message="what asked for it was rolled back")


def runs_begin_when_they_should(case: Case) -> Iterator[Break]:
    """A delayed run begins at its time: nothing of it before, and itself not much later. A deadline is as asked for."""
    if case.asked is None:
        return
    run, planned, first_at = case.run, case.asked.planned, case.asked.first_at - CLOCK_SECONDS
    begins_at = first_at + (planned.delay_seconds or 0.0)
    if planned.delay_seconds is not None:
        # A request that beat finds after its time begins at once.
        start_at = (run.start_at or run.created_at).timestamp()
        if start_at < begins_at or (run.start_at is None and not planned.by_sql):
            yield broken(case, "begins_early", f"it is to begin {begins_at - start_at:.3f} s before the time asked for")
        begins_at = start_at - CLOCK_SECONDS
    elif run.start_at is not None:
        yield broken(case, "begins_late", "it is to begin later, and nobody asked for that")
    for task in case.run.tasks:
        begun = [*(attempt.started_at for attempt in task.history), task.started_at]
        if any(at is not None and at.timestamp() < begins_at for at in begun):
            yield broken(case, "begun_early", "an attempt began before its run should", task)
    begun_at = run.started_at.timestamp() if run.start_at is not None and run.started_at is not None else begins_at
    if begun_at > begins_at + LATE_SECONDS and not case.is_disturbed(begins_at, begun_at):
        yield broken(case, "begun_late", f"the run began {begun_at - begins_at:.1f} s after its time")
    yield from _deadline_is_as_asked(case, first_at)


def _deadline_is_as_asked(case: Case, first_at: float) -> Iterator[Break]:
    assert case.asked is not None
    seconds, deadline_at = case.asked.planned.seconds_to_deadline, case.run.deadline_at
    if (seconds is None) != (deadline_at is None):
        yield broken(case, "wrong_deadline", f"its deadline is {deadline_at}, asked for was {seconds} s")
    elif seconds is not None and deadline_at is not None and deadline_at.timestamp() < first_at + seconds:
        yield broken(case, "wrong_deadline", "its deadline is before the one asked for")


INVARIANTS: Sequence[Callable[[Case], Iterator[Break]]] = (runs_begin_when_they_should,)
