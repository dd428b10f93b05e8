"""What a run costs as it grows: bytes in the broker, memory in the worker, work for the tick.

`pytest tests/integration/test_bounds.py --tasks 10000` runs larger graphs than the suite does.
"""

import json
import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psutil
import pytest
from psycopg.rows import tuple_row

from tests.builders import make_waiting_runs, start_run, wait_for_end
from tests.integration.conftest import WorkerProcess
from workflows import dispatch
from workflows.dispatch import (
    advance,
    call_watch,
    children,
    claim,
    finalise,
    lost_messages,
    pausing,
    recovery,
    retry,
    signals,
    time_limits,
    waits,
)
from workflows.dispatch.rounds import HIGHEST_ID, LOWEST_ID
from workflows.models import Pause, TaskExecution

pytestmark = pytest.mark.alone

MAX_MESSAGE_BYTES = 16 * 1024
# A look at a part reads a tenth of the rows or less, but not of the pages: earlier tests leave rows between. Without
# parts it reads all.
MOST_OF_A_PART = 0.5
# The longest names the language allows.
KEY = "t{:_>62}"
NAME = "n{:->99}"


def deep(size):
    return {KEY.format(i): KEY.format(i - 1) if i else "" for i in range(size)}


def wide(size):
    middle = [KEY.format(i) for i in range(1, size - 1)]
    return {KEY.format(0): "", **dict.fromkeys(middle, KEY.format(0)), KEY.format(size): " ".join(middle)}


def layered(size, width=10):
    """Every task of a layer needs two of the layer before: no chord describes it."""
    return {
        KEY.format(i): ""
        if i < width
        else f"{KEY.format(i - width)} {KEY.format(i - width + (1 if i % width < width - 1 else 1 - width))}"
        for i in range(size)
    }


def ladder(size):
    """Diamonds in a row."""
    tasks = {KEY.format(0): ""}
    for start in range(0, size - 1, 4):
        middle = [KEY.format(start + i) for i in (1, 2, 3)]
        tasks |= dict.fromkeys(middle, KEY.format(start)) | {KEY.format(start + 4): " ".join(middle)}
    return tasks


def nested(size):
    """Forks of chains with forks in them."""
    tasks = {KEY.format(0): ""}
    for start in range(0, size - 1, 8):
        a, b, c, d, e, f, g, h = (KEY.format(start + i) for i in range(1, 9))
        tasks |= {a: KEY.format(start), b: a, c: b, d: b, e: f"{c} {d}", f: KEY.format(start), g: f, h: f"{e} {g}"}
    return tasks


EVERYTHING = {"after": LOWEST_ID, "to": HIGHEST_ID}
LARGEST_GROWTH = 6_000_000
SHAPES = [deep, wide, layered, ladder, nested]


class Published:
    """Sizes of all messages that the broker takes while the block runs."""

    def __init__(self, broker):
        self._broker = broker
        self.sizes = []

    def __enter__(self):
        self._monitor = self._broker.monitor()
        self._monitor.__enter__()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._broker.set("bounds", "end")
        self._thread.join()
        self._monitor.__exit__(None, None, None)

    def _listen(self):
        for command in self._monitor.listen():
            words = command["command"]
            if words.startswith("SET bounds end"):
                return
            # The keys of a queue's lists begin with its name; after that come characters that the broker shows escaped.
            if words.startswith("LPUSH maestro"):
                message = words.split(" ", 2)[2]
                self.sizes.append(len(message) - message.count('\\"'))


@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_published_grow_with_the_tasks_and_no_message_is_large(actor, worker, broker, shape):
    published = {}
    for size in (41, 161):
        run = start_run(actor, {"first": ""}, name=NAME.format(size))
        wait_for_end(run.id)
        with Published(broker) as seen:
            run = start_run(actor, shape(size), name=NAME.format(f"{shape.__name__}{size}"))
            assert wait_for_end(run.id).status == "succeeded"
        assert max(seen.sizes) < MAX_MESSAGE_BYTES
        published[size] = sum(seen.sizes) / size

    assert published[161] < published[41] * 1.3


@pytest.fixture(scope="module")
def measured(database, tmp_path_factory):
    """A worker whose memory is measured."""
    running = WorkerProcess(tmp_path_factory.mktemp("bounds") / "worker.log", name="bounds")
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize("shape", [deep, wide, layered])
def test_large_runs_end_and_leave_the_workers_memory_as_it_was(actor, measured, pytestconfig, shape):
    size = pytestconfig.getoption("tasks")

    def run_again(times):
        for _ in range(times):
            run = start_run(actor, shape(size), name=shape.__name__)
            assert wait_for_end(run.id, 60 + size / 10).status == "succeeded"
            ends = TaskExecution.objects.filter(run_id=run.id).values_list("status", "attempt")
            assert set(ends) == {("succeeded", 1)}
        return memory_of(measured)

    # What a process loads once and keeps, the version itself above all, is not growth; nor is the peak of a child that
    # ends a wide fork, and then holds its whole header, for the first time.
    after = run_again(2)
    for _ in range(3):
        before, after = after, run_again(2)
        if after - before < LARGEST_GROWTH:
            break  # what leaks grows each time

    print(f"{shape.__name__}: {size} tasks, {before / 1e6:.1f} MB, and {after / 1e6:.1f} MB after two more runs")
    assert after - before < LARGEST_GROWTH


def memory_of(running):
    """Bytes that only the worker's processes use."""
    parent = psutil.Process(running.pid)
    return sum(process.memory_full_info().uss for process in [parent, *parent.children()])


@pytest.fixture
def waiting_runs(actor, connection):
    """Makes runs that wait, and removes them afterwards."""
    yield lambda count: make_waiting_runs(connection, actor, count)
    given = (actor.organization_id,)
    connection.execute("UPDATE workflow_runs SET parent_task_id = NULL WHERE organization_id = %s", given)
    connection.execute("UPDATE task_executions SET child_run_id = NULL WHERE organization_id = %s", given)
    for table in ("task_executions", "workflow_runs"):
        connection.execute(f"DELETE FROM {table} WHERE organization_id = %s", given)
        connection.execute(f"ANALYZE {table}")


def test_waiting_runs_cost_the_tick_nothing(connection, waiting_runs):
    heads = {"priorities": [3], "since": ["2020-01-01T00:00:00Z"], "until": ["2020-01-02T00:00:00Z"]}
    ended_lately = {"limit": 1000, **heads}
    lost = {"queue": "maestro", "priority": 3, "head": None, "slack": lost_messages.SLACK, "limit": 1000}
    # What earlier tests have queued and left would be sent again, as often as this one takes long.
    connection.execute("UPDATE task_executions SET status = 'cancelled' WHERE status = 'queued'")
    waiting_runs(300)
    few = [pages(connection, recovery._READY_OF_LATE, ended_lately), pages(connection, lost_messages._RESEND, lost)]

    waiting_runs(1500)

    many = [pages(connection, recovery._READY_OF_LATE, ended_lately), pages(connection, lost_messages._RESEND, lost)]
    assert all(after < before + 200 for before, after in zip(few, many, strict=True)), (few, many)


def test_runs_that_wait_are_looked_at_in_parts(connection, waiting_runs, share_of_look):
    waiting_runs(1000)
    sweep = recovery.ReadySweep()
    # Each run that was made at once is of the same moment, and those of a moment are never parted.
    connection.execute(
        "UPDATE workflow_runs SET created_at = clock_timestamp(), started_at = '2020-01-01' WHERE status = 'running'"
    )
    connection.execute("ANALYZE workflow_runs")
    heads = {"priorities": [3], "since": ["2020-01-01T00:00:00Z"], "until": ["2020-01-01T00:00:00Z"]}

    ready = share_of_look(sweep._round, sweep.recover, recovery._READY_IN_PART, **heads)
    ended = share_of_look(recovery._running_runs, recovery.recover_ended, recovery._ENDED_RUNS, grace=recovery.GRACE)

    assert max(ready, ended) < MOST_OF_A_PART, (ready, ended)


def test_child_runs_are_looked_at_in_parts(actor, connection, waiting_runs, share_of_look):
    waiting_runs(1000)
    # Every run becomes one that the task of another run waits for.
    connection.execute(
        """
        WITH pairs AS (
            SELECT t.id AS task_id, r.id AS child_run_id
            FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM workflow_runs WHERE organization_id = %(id)s) r
                 JOIN (
                     SELECT id, row_number() OVER (ORDER BY run_id DESC) AS n
                     FROM task_executions WHERE organization_id = %(id)s AND status = 'waiting'
                 ) t USING (n)
        ), children AS (
            UPDATE workflow_runs r SET parent_task_id = task_id, is_awaited = true FROM pairs WHERE r.id = child_run_id
        )
        UPDATE task_executions t SET reason = 'child_run', child_run_id = pairs.child_run_id
        FROM pairs WHERE t.id = task_id
        """,
        {"id": actor.organization_id},
    )
    connection.execute("ANALYZE workflow_runs")
    connection.execute("ANALYZE task_executions")

    shares = [
        share_of_look(children._untold, recovery.recover_parents, children._UNTOLD),
        share_of_look(children._left_alone, recovery.recover_children, children._LEFT_ALONE),
    ]
    for table in ("workflow_runs", "task_executions"):
        connection.execute(f"UPDATE {table} SET hold = 1 WHERE organization_id = %s", (actor.organization_id,))
    shares.append(share_of_look(pausing._held_alone, pausing.settle_children, pausing._HELD_ALONE))

    assert max(shares) < MOST_OF_A_PART, shares


def test_pause_costs_the_tick_nothing_beside_runs_that_began_before(actor, connection, waiting_runs):
    lately = {"since": datetime.now(UTC) - timedelta(seconds=10), "until": datetime.now(UTC), "limit": 1000}
    waiting_runs(2000)
    connection.execute(
        "UPDATE workflow_runs SET created_at = created_at - interval '1 minute' WHERE organization_id = %s",
        (actor.organization_id,),
    )
    connection.execute("VACUUM ANALYZE workflow_runs")
    Pause.objects.create(organization_id=actor.organization_id, scope="workflow")

    read = pages(connection, pausing._UNHELD_STARTS, lately)

    Pause.objects.filter(organization_id=actor.organization_id).delete()
    assert read < 100


def test_what_is_due_and_paused_costs_the_tick_nothing(actor, connection, waiting_runs):
    waiting_runs(1500)
    given = (actor.organization_id,)
    connection.execute(
        "UPDATE task_executions SET reason = 'sleep', hold = 1, wake_at = '2020-01-01', expires_at = '2020-01-01'"
        " WHERE organization_id = %s AND status = 'waiting'",
        given,
    )
    connection.execute(
        "UPDATE workflow_runs SET status = 'pending', reason = 'delayed', hold = 1, start_at = '2020-01-01'"
        " WHERE organization_id = %s",
        given,
    )
    connection.execute("VACUUM ANALYZE task_executions")
    connection.execute("VACUUM ANALYZE workflow_runs")
    looking = {"limit": 200}
    calls = looking | {"first": call_watch.FIRST_LOOK, "longest": call_watch.LONGEST_LOOK}

    read = {
        "ends of waits": pages(connection, waits._DUE, looking | {"reasons": list(waits._WHEN_DUE)}),
        "next attempts": pages(connection, retry._WAKE, looking),
        "calls": pages(connection, call_watch._DUE, calls),
        "overdue waits": pages(connection, time_limits._OVERDUE_WAITS, looking),
        "starts": pages(connection, dispatch.start._FIND_DUE, looking),
        "overdue starts": pages(connection, time_limits._OVERDUE_STARTS, looking),
    }

    assert max(read.values()) < 50, read


def test_tasks_with_limits_of_their_own_are_looked_at_in_parts(actor, connection, waiting_runs, share_of_look):
    waiting_runs(1000)
    connection.execute(
        "UPDATE task_executions SET total_limit = '1 year', queue_limit = '1 year', first_started_at ="
        " CASE status WHEN 'waiting' THEN clock_timestamp() END WHERE organization_id = %s",
        (actor.organization_id,),
    )
    connection.execute("VACUUM ANALYZE task_executions")

    shares = [
        share_of_look(time_limits._with_total_limit, time_limits.end_overdue, time_limits._END_WAITING),
        share_of_look(time_limits._with_queue_limit, time_limits.end_overdue, time_limits._END_QUEUED),
    ]

    assert max(shares) < MOST_OF_A_PART, shares


def test_queues_are_found_however_many_tasks_are_queued(actor, connection, waiting_runs):
    connection.execute("UPDATE task_executions SET status = 'cancelled' WHERE status = 'queued'")
    waiting_runs(1500)
    connection.execute(
        "UPDATE task_executions SET status = 'queued', queued_at = clock_timestamp(), hold = 1,"
        " queue = CASE position WHEN 0 THEN 'one' WHEN 1 THEN 'two' ELSE 'three' END,"
        " priority = CASE position WHEN 2 THEN 0 ELSE 3 END WHERE organization_id = %s",
        (actor.organization_id,),
    )
    connection.execute("VACUUM ANALYZE task_executions")

    found = connection.execute(lost_messages._QUEUES).fetchall()

    assert found == [("one", 3), ("three", 0), ("three", 3), ("two", 3)]
    assert pages(connection, lost_messages._QUEUES, None) < 50


def test_look_at_calls_reads_those_that_are_due(connection, waiting_runs):
    looking = {"limit": call_watch.MAX_PER_LOOK, "first": call_watch.FIRST_LOOK, "longest": call_watch.LONGEST_LOOK}
    waiting_runs(1500)
    connection.execute(
        "UPDATE task_executions SET reason = 'celery', wake_at = clock_timestamp() + interval '1 hour'"
        " WHERE status = 'waiting'"
    )
    connection.execute("VACUUM ANALYZE task_executions")

    assert pages(connection, call_watch._DUE, looking) < 20


def test_signals_find_the_task_that_waits_among_many(actor, connection, waiting_runs):
    waiting_runs(1000)
    run = start_run(actor, {"a": {"uses": "signal"}}, name="signalled")
    waits_for = {"status": "waiting", "reason": "signal", "waits_for": {"name": "a"}}
    TaskExecution.objects.filter(run_id=run.id).update(**waits_for)
    connection.execute(
        "INSERT INTO run_signals (organization_id, run_id, name, key, received_at)"
        " SELECT organization_id, id, 'a', '', '2020-01-01' FROM workflow_runs, generate_series(1, 5) WHERE id = %s",
        (run.id,),
    )

    read = [
        pages(connection, signals._MATCH, {"run_id": run.id}),
        pages(connection, signals._FORGOTTEN, {"grace": signals.GRACE, "limit": 100, **EVERYTHING}),
    ]

    connection.execute("DELETE FROM run_signals WHERE run_id = %s", (run.id,))
    assert max(read) < 100, read


@pytest.fixture
def share_of_look(connection, monkeypatch):
    """Lets a duty that goes in rounds look at a hundred rows; returns which share that is of all pages it looks at."""

    def look(rounds, duty, statement, **given):
        monkeypatch.setattr(rounds, "_rows_per_look", 100)
        monkeypatch.setattr(rounds, "_after", rounds._lowest)
        duty(connection)
        assert not rounds.is_new, "it has looked at everything"
        everything = {"after": rounds._lowest, "to": rounds._highest, "limit": 1000, **given}
        part = everything | {"to": rounds._after}
        return pages(connection, statement, part) / pages(connection, statement, everything)

    return look


def test_signals_that_runs_have_left_are_looked_at_in_parts(actor, connection, waiting_runs, share_of_look):
    waiting_runs(1500)
    connection.execute(
        "INSERT INTO run_signals (organization_id, run_id, name, key, received_at)"
        " SELECT organization_id, id, 'other', '', '2020-01-01' FROM workflow_runs WHERE organization_id = %s",
        (actor.organization_id,),
    )
    connection.execute("ANALYZE run_signals")

    share = share_of_look(signals._untaken, signals.take_forgotten, signals._FORGOTTEN, grace=signals.GRACE)

    connection.execute("DELETE FROM run_signals WHERE organization_id = %s", (actor.organization_id,))
    assert share < MOST_OF_A_PART


def test_claim_and_advance_find_their_rows_among_many_runs_and_tasks(actor, connection, waiting_runs):
    waiting_runs(1000)
    run = start_run(actor, {"s": "", **{f"t{i}": "s" for i in range(500)}}, name="many-tasks")
    task = {"run_id": run.id, "organization_id": run.organization_id, "task_key": "s", "map_index": None}
    holder = {"generation": 0, "token": uuid4(), "worker": "", "worker_id": None, "message_id": ""}
    advancing = {"run_id": run.id, "task_keys": ["t1", "t2"]}

    read = [
        pages(connection, claim._CLAIM_TASK, task | holder),
        pages(connection, finalise._HAS_OPEN_TASKS, task),
        pages(connection, advance._DECIDE, advancing),
    ]

    assert max(read) < 60, read


def pages(connection, statement, parameters):
    """Pages that a statement looks at: the least of three, because one may read catalogs that have just changed."""
    return min(_pages_once(connection, statement, parameters) for _ in range(3))


def _pages_once(connection, statement, parameters):
    connection.execute("BEGIN")
    cursor = connection.cursor(row_factory=tuple_row)
    explained = cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters).fetchone()[0]
    connection.execute("ROLLBACK")
    plan = (explained if isinstance(explained, list) else json.loads(explained))[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
