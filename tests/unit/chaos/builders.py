"""Evidence of one small campaign in which everything holds; a test changes what it is about."""

import datetime
from dataclasses import replace

from maestro.chaos.deeds import Deeds
from maestro.chaos.effects import Effect
from maestro.chaos.findings import Findings, Plan
from maestro.chaos.graphs import Condition, Kind, Task
from maestro.chaos.invariants import judge
from maestro.chaos.openings import Asked, PlannedStart
from maestro.chaos.rows import AttemptRow, Leftovers, LogLine, RunRow, TaskRow
from maestro.chaos.schedule import FaultKind, Injected

START = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
RUN_ID = "01920000-0000-7000-8000-000000000001"
GRAPH = {
    "a": Task(kind=Kind.PYTHON, number=2),
    "b": Task(kind=Kind.PYTHON, number=3, needs=("a",)),
    "never": Task(kind=Kind.PYTHON, number=4, condition=Condition.NEVER),
}
FAILING = {"a": replace(GRAPH["a"], fails=True)}
NOBODY = Deeds()
NOTHING_LEFT = Leftovers(waiting_messages={}, holding_workers=(), unacknowledged=0)


def at(seconds):
    return START + datetime.timedelta(seconds=seconds)


def a_loss(attempt, **changes):
    row = AttemptRow(
        attempt=attempt,
        status="lost",
        error_code="worker_lost",
        error_message="The worker was lost while it ran this attempt.",
        worker="executor@host",
        started_at=at(attempt),
        finished_at=at(attempt + 1),
    )
    return replace(row, **changes)


def a_failure(attempt, **changes):
    planned = {"status": "failed", "error_code": "planned_failure", "error_message": "as planned"}
    return a_loss(attempt, **planned | {"finished_at": at(attempt + 0.5)} | changes)


def a_task(key, **changes):
    row = TaskRow(
        task_key=key,
        status="succeeded",
        reason="",
        attempt=1,
        tries=0,
        output=None,
        error_code="",
        error_message="",
        worker="executor@host",
        created_at=at(0),
        queued_at=at(0),
        started_at=at(1),
        finished_at=at(2),
    )
    return replace(row, **changes)


def an_effect(key, attempt=1, token="one", begun=1.0, ended=1.5):
    return Effect(
        run_id=RUN_ID,
        task_key=key,
        attempt=attempt,
        token=token,
        begun_at=START.timestamp() + begun,
        ended_at=None if ended is None else START.timestamp() + ended,
    )


def a_run(**changes):
    tasks = (
        a_task("a", output={"value": 2, "attempt": 2}, attempt=2, history=(a_loss(1),)),
        a_task("b", output={"value": 5, "attempt": 1}),
        a_task("never", status="skipped", reason="condition"),
    )
    row = RunRow(
        id=RUN_ID,
        workflow="chaos-0",
        status="succeeded",
        reason="",
        outputs={"b": 5, "never": -1},
        error_message="",
        created_at=at(0),
        start_at=None,
        started_at=at(0),
        deadline_at=None,
        finished_at=at(3),
        tasks=tasks,
    )
    return replace(row, **changes)


def with_task(key, **changes):
    """The run with one of its tasks changed."""
    run = a_run()
    return replace(run, tasks=tuple(replace(row, **changes) if row.task_key == key else row for row in run.tasks))


EFFECTS = (an_effect("a", 1, ended=None), an_effect("a", 2, "two"), an_effect("b", begun=1.6, ended=1.9))


def a_verdict(
    run=None,
    *,
    graph=GRAPH,
    effects=EFFECTS,
    leftovers=NOTHING_LEFT,
    lines=(),
    crashes=(),
    disturbances=(),
    wanted=1,
    runs=None,
    deeds=NOBODY,
    signals=(),
    children=None,
    asked=None,
    rolled_back=(),
    asks=(),
):
    """Judge a campaign of one run."""
    return judge(
        runs=[run or a_run()] if runs is None else runs,
        wanted=wanted,
        asked={"chaos-0": asked or Asked(planned=PlannedStart(), first_at=START.timestamp(), keys=1)},
        graphs={"chaos-0": graph, **(children or {})},
        acknowledged={RUN_ID: "chaos-0"},
        rolled_back=rolled_back,
        effects=effects,
        repeated_lines=lines,
        crashes=[START.timestamp() + seconds for seconds in crashes],
        disturbances=[(START.timestamp() + begun, START.timestamp() + ended) for begun, ended in disturbances],
        leftovers=leftovers,
        deeds=deeds,
        signals=signals,
        asks=asks,
    )


def a_fault(seconds, kind=FaultKind.KILL_WORKER, **more):
    begun = START.timestamp() + seconds
    return Injected(kind=kind, detail="worker, pid 7", at=begun, until=begun, **more)


def made_findings(run=None, kinds=tuple(FaultKind), faults=()):
    run = run or a_run()
    line = LogLine(task_key="b", attempt=1, stream="log", message="hello", created_at=at(1.2))
    return Findings(
        plan=Plan(runs=1, seed=7, kinds=kinds),
        runs=(run,),
        graphs={"chaos-0": GRAPH},
        effects=EFFECTS,
        faults=tuple(faults),
        deeds=NOBODY,
        leftovers=NOTHING_LEFT,
        asked={},
        asks=(),
        verdict=a_verdict(run),
        lines={RUN_ID: (line,)},
        log={RUN_ID: ("beat | Recovered 1 tasks",)},
        began_at=START.timestamp(),
        quiet_at=START.timestamp() + 2,
        seconds=3,
    )
