"""Workers and a beat whose clocks are hours off: all goes on as if they were right."""

import re
import time
from pathlib import Path

import pytest

from executors.models import TaskLogLine, Worker
from tests.builders import start_run, wait_for_end
from tests.integration.conftest import WorkerProcess, beat_process
from tests.integration.graphs import check_all, start_all
from workflows.dispatch import leases
from workflows.models import TaskExecution
from workflows.runs.counters import read_counters

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
pytestmark = [pytest.mark.skipif(LIBRARY is None, reason="no libfaketime: `make tools` installs it"), pytest.mark.alone]

HOUR = 3600
# The library leaves the monotonic clock alone, as a wrong clock does, and cannot sleep until a moment of it, as Python
# does.
SLEEP = """
import select
import time

time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
# Messages of the engine, which are named for their task; a Celery task that retries itself keeps its id.
RECEIVED = re.compile(r"\[([0-9a-f-]{36}\.[^\]]+)\] received")


@pytest.fixture(scope="module")
def logs(resting_worker, tmp_path_factory):
    """Directory with the logs of a worker that is six hours ahead, one that is six behind, and beat, ahead."""
    directory = tmp_path_factory.mktemp("clocks")
    (directory / "sitecustomize.py").write_text(SLEEP)

    def environment(offset):
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME": offset,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(directory),
            "MAESTRO_CELERY_IMPORTS": "tests.integration.skewed_tasks",
        }

    workers = [
        WorkerProcess(directory / f"{name}.log", name=name, environment=environment(offset))
        for name, offset in (("ahead", "+6h"), ("behind", "-6h"))
    ]
    try:
        for running in workers:
            running.start()
        with beat_process(directory / "beat.log", environment("+6h")):
            yield directory
    finally:
        for running in workers:
            running.stop()


def test_wrong_clocks_change_nothing(actor, broker, connection, logs):
    left_by_others = set(broker.hkeys("unacked"))
    leases.take_back_lost(connection)  # what other tests have left
    before, began_at = read_counters(), now(connection)

    graphs = start_all(actor, 11)
    shell = {"uses": "shell", "with": {"command": "echo one; sleep 0.3; echo two"}}
    tasks = {
        "call": {"uses": "celery", "with": {"task": "skewed.wait", "args": [7]}},
        "again": {"uses": "celery", "with": {"task": "skewed.again"}},
        **{f"s{number}": shell for number in range(6)},
        "join": " ".join(["call", "again", *(f"s{number}" for number in range(6))]),
    }
    other = start_run(actor, tasks)
    check_all(graphs)
    assert wait_for_end(other.id).status == "succeeded"

    told_time = TaskExecution.objects.get(run_id=other.id, task_key="call").output
    assert abs(told_time - time.time()) > HOUR, "the clock of the worker is not wrong at all"
    rows = TaskExecution.objects.filter(run_id__in=[*graphs, other.id])
    assert {row.worker for row in rows} - {""} == {"ahead@localhost", "behind@localhost"}
    assert {(row.attempt, row.platform_failures) for row in rows} <= {(0, 0), (1, 0)}
    ended_at = now(connection)
    for row in rows.exclude(attempt=0):
        assert began_at < row.created_at < row.started_at < row.finished_at < ended_at
        assert row.queued_at is None or began_at < row.queued_at < row.started_at
        lines = TaskLogLine.objects.filter(run_id=row.run_id, task_key=row.task_key).order_by("id")
        moments = [row.started_at, *(line.created_at for line in lines), row.finished_at]
        assert moments == sorted(moments)
        assert len(lines) == (2 if row.kind == "shell" else 1 if row.kind == "celery" else 0)
    assert read_counters() == before
    assert not Worker.objects.filter(name__in=["ahead@localhost", "behind@localhost"], lost_at__isnull=False).exists()
    received = [found for name in ("ahead", "behind") for found in RECEIVED.findall((logs / f"{name}.log").read_text())]
    assert len(received) == len(set(received)) > len(rows) / 2
    assert set(broker.hkeys("unacked")) <= left_by_others
    told = (logs / "beat.log").read_text()
    assert "beat" in told
    # Beat also mends what earlier tests have left, and says so. That nothing of this was sent again, is seen above.
    ours = "|".join([*map(str, graphs), str(other.id), "ahead@localhost", "behind@localhost"])
    assert re.findall(rf"\d (?:ERROR|CRITICAL) .*|\d WARNING .*(?:{ours}).*", told) == []


def now(connection):
    return connection.execute("SELECT clock_timestamp()").fetchone()[0]
