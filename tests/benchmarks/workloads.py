"""The workloads, each for Maestro and for raw Celery: submit, wait for the end, return the seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from accounts.actor import Actor
from maestro.core import sql
from tests.benchmarks import raw
from tests.builders import definition
from workflows.catalog import services as catalog
from workflows.definition.document import Document
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs

PATIENCE_SECONDS = 300
POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One thing to measure on both sides."""

    name: str
    """Short name."""
    title: str
    """What it is, for people."""
    tasks: int
    """Tasks in all."""
    runs: int
    """Runs in all."""
    maestro: Callable[[Actor], float]
    """Takes an actor, returns seconds."""
    raw: Callable[[], float]
    """Returns seconds."""


_IS_OPEN = """
SELECT EXISTS (SELECT FROM workflow_runs WHERE id = %s AND finished_at IS NULL)
    OR EXISTS (SELECT FROM workflow_runs WHERE workflow_id = %s AND status IN ('running', 'pending'))
"""


def _diamond():
    middle = [f"m{i}" for i in range(8)]
    return {"source": "", **dict.fromkeys(middle, "source"), "join": " ".join(middle)}


def _fan(width):
    middle = [f"m{i}" for i in range(width)]
    return {"source": "", **dict.fromkeys(middle, "source"), "join": " ".join(middle)}


def _row(length):
    return {f"t{i}": f"t{i - 1}" if i else "" for i in range(length)}


def _maestro(tasks, count):
    def measure(actor):
        document = Document.of(definition(tasks))
        workflow = catalog.apply_definition(actor=actor, document=document).workflow
        reference = str(workflow.id)
        started = time.perf_counter()
        ids = [runs.start_run(actor=actor, reference=reference, inputs={}).id for _ in range(count)]
        deadline = time.monotonic() + PATIENCE_SECONDS
        # Cheap, as the other side's: watching is not what is measured.
        while sql.engine_connection().execute(_IS_OPEN, (ids[-1], workflow.id)).fetchone()[0]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{count} runs did not end within {PATIENCE_SECONDS} s")
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - started
        if WorkflowRun.objects.filter(id__in=ids, status="succeeded").count() != count:
            raise RuntimeError("a run did not succeed")
        return seconds

    return measure


def _raw(build, count):
    def measure():
        raw.server.delete(raw.ENDED)
        started = time.perf_counter()
        for _ in range(count):
            build().apply_async()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while int(raw.server.get(raw.ENDED) or 0) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{count} graphs did not end within {PATIENCE_SECONDS} s")
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - started

    return measure


def _maestro_start(actor):
    document = Document.of(definition({"only": ""}))
    workflow = catalog.apply_definition(actor=actor, document=document).workflow
    asked = time.time()
    run = runs.start_run(actor=actor, reference=str(workflow.id), inputs={})
    while (row := TaskExecution.objects.get(run_id=run.id)).started_at is None:
        time.sleep(0.001)
    return row.started_at.timestamp() - asked


def _raw_start():
    raw.server.delete(raw.STARTED)
    asked = time.time()
    raw.stamp.si().apply_async()
    while (began := raw.server.get(raw.STARTED)) is None:
        time.sleep(0.001)
    return float(began) - asked


def workloads(scale: float) -> list[Workload]:
    """All workloads; `scale` shrinks them for a quick look."""
    diamonds, wide, wider, row, longer = (max(2, int(n * scale)) for n in (200, 1_000, 10_000, 100, 1_000))
    return [
        Workload(
            name="W1",
            title=f"{diamonds} diamonds 1 → 8 → 1 at once",
            tasks=diamonds * 10,
            runs=diamonds,
            maestro=_maestro(_diamond(), diamonds),
            raw=_raw(raw.diamond, diamonds),
        ),
        *(
            Workload(
                name=f"W2 {width}",
                title=f"1 → {width} → 1",
                tasks=width + 2,
                runs=1,
                maestro=_maestro(_fan(width), 1),
                raw=_raw(lambda width=width: raw.fan(width), 1),
            )
            for width in (wide, wider)
        ),
        *(
            Workload(
                name=f"W3 {length}",
                title=f"chain of {length}",
                tasks=length,
                runs=1,
                maestro=_maestro(_row(length), 1),
                raw=_raw(lambda length=length: raw.row(length), 1),
            )
            for length in (row, longer)
        ),
        Workload(
            name="W4", title="trigger to first task body", tasks=1, runs=1, maestro=_maestro_start, raw=_raw_start
        ),
    ]
