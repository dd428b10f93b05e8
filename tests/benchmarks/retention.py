"""What pruning a million runs takes, and what those who work meanwhile feel: `python -m tests.benchmarks.retention`."""

import argparse
import statistics
import threading
import time
from uuid import uuid4

# First: it chooses the servers' ports and sets Django up.
from tests.conftest import HOME, POSTGRES_PORT, VALKEY_PORT

from django.db import connection as django_connection  # isort: skip
from maestro.core import sql  # isort: skip
from tests.benchmarks.admin import make_many_runs  # isort: skip
from tests.builders import make_actor  # isort: skip
from tests.integration.schedules import SUCCEEDED, connect, task_of  # isort: skip
from tests.servers import Servers  # isort: skip
from workflows.dispatch import claim, finish, publish  # isort: skip
from workflows.dispatch import retention as duty  # isort: skip
from workflows.dispatch.messages import Holder  # isort: skip
from workflows.dispatch.retention import Pruning  # isort: skip
from workflows.models import WorkflowRun  # isort: skip
from workflows.runs import retention, services  # isort: skip

TABLES = ("workflow_runs", "task_executions", "task_log_lines")
_MAKE_LINES = """
INSERT INTO task_log_lines (organization_id, run_id, task_key, attempt, stream, level, message, created_at)
SELECT organization_id, id, 'a', 1, 'stdout', 'info', 'read 11,200 rows of flights of 2026-01-01', created_at
FROM workflow_runs WHERE organization_id = %s
"""
_ACTIVATE = """
UPDATE workflows w SET active_version_id = v.id FROM workflow_versions v
WHERE v.workflow_id = w.id AND w.organization_id = %s
"""
_LOCKED = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - a.state_change)), 0)
FROM pg_stat_activity a WHERE %s = ANY (pg_blocking_pids(a.pid))
"""
HOLDER = Holder(worker="benchmark", worker_id=None)


class Writer(threading.Thread):
    """Starts a run every now and then, claims and finishes its first task, and takes the time of each."""

    def __init__(self, actor, workflow_id):
        super().__init__(daemon=True)
        self._actor, self._workflow_id = actor, workflow_id
        self._stopped = threading.Event()
        self.seconds = {"start": [], "claim": [], "finish": []}

    def run(self):
        with connect() as connection:
            while not self._stopped.wait(0.02):
                run = self._timed("start", self._start)
                task = task_of(run, "a")
                claimed = self._timed("claim", lambda task=task: claim.claim(connection, task, HOLDER, uuid4()))
                self._timed("finish", lambda claimed=claimed: finish.finish(connection, claimed, SUCCEEDED))
        django_connection.close()

    def stop(self):
        self._stopped.set()
        self.join()

    def _start(self):
        return services.start_run(actor=self._actor, reference=str(self._workflow_id), inputs={})

    def _timed(self, name, work):
        started = time.perf_counter()
        result = work()
        self.seconds[name].append(time.perf_counter() - started)
        return result


class LockWatch(threading.Thread):
    """Looks, again and again, whether anybody waits for a lock that a connection holds, and since when."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid = pid
        self._stopped = threading.Event()
        self.looks, self.longest = 0, 0.0

    def run(self):
        with connect() as connection:
            while not self._stopped.wait(0.01):
                self.looks += 1
                self.longest = max(self.longest, float(connection.execute(_LOCKED, (self._pid,)).fetchone()[0]))

    def stop(self):
        self._stopped.set()
        self.join()


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.retention", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="how many (default %(default)s); nine of ten go")
    parser.add_argument("--quiet-seconds", type=float, default=30, help="how long to write without pruning")
    parser.add_argument("--seconds", type=float, default=3600, help="prune no longer than this (default %(default)s)")
    arguments = parser.parse_args()
    servers = Servers(HOME, postgres_port=POSTGRES_PORT, valkey_port=VALKEY_PORT)
    servers.start()
    try:
        publish.publish_start = lambda *_: None  # there are no workers, and no broker is measured
        _measure(arguments.runs, arguments.quiet_seconds, arguments.seconds)
    finally:
        servers.stop()


def _measure(count, quiet_seconds, most_seconds):
    actor = make_actor()
    connection = sql.engine_connection()
    started = time.perf_counter()
    make_many_runs(actor, count)
    connection.execute(_ACTIVATE, (actor.organization_id,))
    connection.execute(_MAKE_LINES, (actor.organization_id,))
    connection.execute("ANALYZE")
    print(f"made {count:,} runs in {time.perf_counter() - started:.0f} s", flush=True)
    workflow_id = WorkflowRun.objects.filter(organization_id=actor.organization_id).latest("created_at").workflow_id
    _print_look(connection, "nothing is old")
    _print_sizes(connection, "before")

    without = Writer(actor, workflow_id)
    without.start()
    time.sleep(quiet_seconds)
    without.stop()
    _print_latencies("without pruning", without)

    # The runs are spread over thirty days, of which three stay.
    connection.execute("UPDATE organizations SET run_retention_days = 3 WHERE id = %s", (actor.organization_id,))
    _print_look(connection, "much is old")
    beside, watch = Writer(actor, workflow_id), LockWatch(connection.info.backend_pid)
    beside.start()
    watch.start()
    _prune(connection, most_seconds)
    beside.stop()
    watch.stop()
    _print_latencies("while pruning", beside)
    print(f"longest wait for a lock of pruning, of {watch.looks} looks: {watch.longest * 1000:.0f} ms")
    _print_sizes(connection, "after")
    _print_look(connection, "it is over")
    connection.execute("VACUUM ANALYZE")
    _print_sizes(connection, "after a vacuum")


def _prune(connection, most_seconds):
    """Do the duty each second, as the tick does, until nothing is old or the time is over."""
    batches, ticks = [], []
    pruning = Pruning()
    take_turn = pruning._take_turn

    def timed(connection, turn):
        started = time.perf_counter()
        deleted = take_turn(connection, turn)
        batches.append(time.perf_counter() - started)
        return deleted

    pruning._take_turn = timed
    started = time.perf_counter()
    said_at = started
    deleted = 0
    while True:
        began = time.perf_counter()
        now = pruning.prune(connection)
        ticks.append(time.perf_counter() - began)
        deleted += now
        if time.perf_counter() - said_at > 60:
            said_at = time.perf_counter()
            print(f"  {said_at - started:.0f} s: {deleted:,} rows", flush=True)
        if not pruning._turns or time.perf_counter() - started > most_seconds:
            break
        time.sleep(max(0.0, 1 - (time.perf_counter() - began)))
    wall, work = time.perf_counter() - started, sum(ticks)
    print(
        f"pruned {deleted:,} rows in {wall:.0f} s, {work:.0f} s of them at work: {deleted / work:,.0f} rows/s at work,"
        f" {deleted / wall:,.0f} rows/s in all; longest tick {max(ticks) * 1000:.0f} ms"
    )
    _print_times(f"{len(batches):,} batches", batches)


def _print_look(connection, when):
    times = []
    for _ in range(20):
        started = time.perf_counter()
        retention.find_old_history(connection, after=duty._FIRST_ID, limit=duty.ORGANIZATIONS_PER_LOOK)
        times.append(time.perf_counter() - started)
    print(f"look when {when}: median {statistics.median(times) * 1000:.2f} ms, longest {max(times) * 1000:.2f} ms")


def _print_latencies(when, writer):
    for name, seconds in writer.seconds.items():
        _print_times(f"{name} {when}, {len(seconds):,} times", seconds)


def _print_times(what, seconds):
    ordered = sorted(seconds)
    print(
        f"{what}: p50 {ordered[len(ordered) // 2] * 1000:.2f} ms,"
        f" p99 {ordered[int(len(ordered) * 0.99)] * 1000:.2f} ms, longest {ordered[-1] * 1000:.1f} ms",
        flush=True,
    )


def _print_sizes(connection, when):
    for table in TABLES:
        row = connection.execute(
            "SELECT pg_table_size(%(t)s::regclass), pg_indexes_size(%(t)s::regclass), n_live_tup, n_dead_tup,"
            " autovacuum_count FROM pg_stat_user_tables WHERE relid = %(t)s::regclass",
            {"t": table},
        ).fetchone()
        print(
            f"{table} {when}: table {row[0] / 2**20:,.0f} MB, indexes {row[1] / 2**20:,.0f} MB, {row[2]:,} live and"
            f" {row[3]:,} dead rows, vacuumed by itself {row[4]} times",
            flush=True,
        )


if __name__ == "__main__":
    main()
