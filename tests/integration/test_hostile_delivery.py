"""Messages doubled, shuffled, late and lost; workers, children and connections killed: runs end as the reference says.

A real beat process recovers. Every test plants its faults while the runs go on, from a fixed seed.
"""

import contextlib
import json
import random
import signal
import time
import uuid

import psutil
import pytest
import redis
from celery import current_app
from kombu import Queue

from executors.pools.queues import key_of, keys_of
from maestro.core import sql
from tests.builders import start_run, statuses, wait_for_end
from tests.integration.conftest import WorkerProcess
from tests.integration.graphs import RECOVERY_SECONDS, check_all, start, start_all
from tests.patience import wait_until
from tests.processes import kill
from tests.reference import ExpectedTask
from workflows.compiler import canvas
from workflows.compiler.canvas import CanvasScope
from workflows.definition.priority import Priority
from workflows.dispatch.advance import version_of_run
from workflows.models import TaskExecution, WorkflowRun
from workflows.runs import services as runs

QUEUE = "maestro"


@pytest.fixture
def victim(database, tmp_path):
    """A second worker, for tests that kill one."""
    # Four kills may hit one task more often than it may be lost.
    budget = {"MAESTRO_MAX_LOST_ATTEMPTS": "10"}
    started = WorkerProcess(tmp_path / "victim.log", name=f"victim-{uuid.uuid4().hex[:6]}", environment=budget)
    started.start()
    yield started
    started.stop(signal.SIGKILL)


pytestmark = [pytest.mark.usefixtures("worker", "beat"), pytest.mark.alone]


def still_running(started):
    return WorkflowRun.objects.filter(id__in=list(started), finished_at=None).exists()


def again(message):
    """The same message as the broker would hold a second one: only its delivery tag differs."""
    decoded = json.loads(message)
    decoded["properties"]["delivery_tag"] = str(uuid.uuid4())
    return json.dumps(decoded).encode()


def tag_of(message):
    return json.loads(message)["properties"]["delivery_tag"]


def take_all(broker):
    keys = keys_of(QUEUE)
    with broker.pipeline() as pipe:
        for key in keys:
            pipe.lrange(key, 0, -1)
        pipe.delete(*keys)
        return [message for messages in pipe.execute()[:-1] for message in messages]


def deliver(broker, messages):
    for message in messages:
        broker.lpush(key_of(QUEUE, json.loads(message)["properties"]["priority"]), message)


def waiting(broker):
    return [message for key in keys_of(QUEUE) for message in broker.lrange(key, 0, -1)]


def test_messages_doubled_and_shuffled_change_no_result(actor, broker):
    chance = random.Random(1)
    started = start_all(actor, 1)

    doubled = set()
    while still_running(started):
        taken = take_all(broker)
        # Each once: copies of copies would grow without end.
        copies = [again(message) for message in taken if tag_of(message) not in doubled]
        delivered = taken + copies
        doubled.update(map(tag_of, delivered))
        chance.shuffle(delivered)
        deliver(broker, delivered)
        time.sleep(0.02)

    check_all(started)
    assert doubled
    assert set(TaskExecution.objects.filter(run_id__in=list(started)).values_list("attempt", flat=True)) <= {0, 1}


def test_messages_after_the_end_and_after_a_cancel_change_nothing(actor, broker):
    chance = random.Random(2)
    finished = start_run(actor, {"a": "", "b": "a", "c": "a", "d": "b c"})
    cancelled = start_run(actor, {"a": {"with": {"duration": "20s"}}, "b": "a"})
    kept = [again(message) for run in (finished, cancelled) for message in _messages_of(run)]
    wait_for_end(finished.id)
    runs.cancel_run(actor=actor, run_id=cancelled.id)
    wait_for_end(cancelled.id)
    before = [
        list(TaskExecution.objects.filter(run_id=run.id).order_by("id").values()) for run in (finished, cancelled)
    ]

    chance.shuffle(kept)
    deliver(broker, kept)
    ours = [str(run.id).encode() for run in (finished, cancelled)]
    # What a worker held that was killed in an earlier test is among the unacknowledged for ever.
    wait_until(
        lambda: not any(run_id in held for held in [*waiting(broker), *broker.hvals("unacked")] for run_id in ours)
    )

    after = [list(TaskExecution.objects.filter(run_id=run.id).order_by("id").values()) for run in (finished, cancelled)]
    assert after == before


def _messages_of(run):
    """Messages for every task of a run, as the engine makes them."""
    version = version_of_run(sql.engine_connection(), run.id)
    scope = CanvasScope(
        run_id=run.id,
        organization_id=run.organization_id,
        workflow_name="late",
        priority=Priority.NORMAL.step,
        generations={},
        queued_at={"": run.created_at},
    )
    with current_app.connection_for_write() as connection:
        name = f"kept-{uuid.uuid4().hex}"
        Queue(name, channel=connection.default_channel).declare()
        for position in range(len(version.plan.tasks)):
            canvas.compile_alone(version.plan, scope, position).apply_async(queue=name)
        with connection.default_channel.conn_or_acquire() as client:
            return client.lrange(key_of(name, Priority.NORMAL.step), 0, -1)


@pytest.mark.parametrize("seed", [3])
def test_killed_worker_costs_no_task(actor, victim, seed):
    started = start_all(actor, seed)
    time.sleep(random.Random(seed).uniform(0.2, 0.8))

    victim.stop(signal.SIGKILL)

    check_all(started)


@pytest.mark.parametrize("seed", [5])
def test_killed_children_cost_no_task(actor, victim, seed):
    chance = random.Random(seed)
    started = start_all(actor, seed)

    for _ in range(4):
        children = psutil.Process(victim.pid).children()
        if children:
            kill([chance.choice(children)])
        time.sleep(chance.uniform(0.1, 0.4))

    check_all(started)


@pytest.mark.parametrize("seed", [7])
def test_flushed_broker_costs_no_task(actor, broker, seed):
    chance = random.Random(seed)
    started = start_all(actor, seed)

    for _ in range(3):
        time.sleep(chance.uniform(0.05, 0.4))
        broker.flushall()

    check_all(started)


def start_forks(actor):
    """Start runs that are a chord, whose counter is in the broker for a while."""
    branches = {f"b{number}": ExpectedTask(needs=("a",)) for number in range(8)}
    fork = {"a": ExpectedTask(), **branches, "c": ExpectedTask(needs=tuple(branches))}
    return {start(actor, fork): fork for _ in range(3)}


@pytest.mark.parametrize("seed", [11])
def test_evicted_keys_and_a_full_broker_cost_no_task(actor, broker, full_for_a_moment, seed):
    chance = random.Random(seed)
    started = start_all(actor, seed) | start_forks(actor)

    # Messages, deliveries, their index, counters of chords.
    tasks = key_of(QUEUE, Priority.NORMAL.step).encode()
    wanted, evicted, rounds = {tasks, b"unacked", b"unacked_index", b"celery"}, set(), 0
    while rounds < 12 or (rounds < 300 and not wanted <= evicted):
        rounds += 1
        if rounds % 30 == 0:
            # The chords of those before may have been counted already.
            started |= start_forks(actor)
        time.sleep(chance.uniform(0.02, 0.1))
        for key in broker.scan_iter():
            # Not what only events and control commands use.
            if chance.random() < 0.5 and not key.startswith(b"_kombu"):
                evicted.add(key.split(b"-")[0])
                broker.delete(key)
    with full_for_a_moment():
        full = start_all(actor, seed + 1)
        time.sleep(2)

    check_all(started)
    check_all(full, 2 * RECOVERY_SECONDS)
    assert wanted <= evicted


@pytest.fixture
def full_for_a_moment(broker):
    """The broker refuses every write as long as the block lasts, as one without memory and with `noeviction` does."""

    @contextlib.contextmanager
    def fill():
        broker.config_set("maxmemory", 1)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            broker.set("full", "")
        try:
            yield
        finally:
            broker.config_set("maxmemory", 0)

    return fill


def test_flush_while_a_header_member_runs_loses_no_body(actor, broker):
    tasks = {
        "source": "",
        "slow": {"needs": ["source"], "with": {"duration": "2s"}},
        "quick": "source",
        "join": "slow quick",
    }
    run = start_run(actor, tasks)
    wait_until(lambda: statuses(run.id)["slow"] == "running")

    broker.flushall()

    assert wait_for_end(run.id, RECOVERY_SECONDS).status == "succeeded"
    assert TaskExecution.objects.get(run_id=run.id, task_key="join").attempt == 1


@pytest.mark.parametrize("seed", [9])
def test_cut_database_connections_cost_no_task(actor, seed):
    chance = random.Random(seed)
    started = start_all(actor, seed)

    for _ in range(6):
        time.sleep(chance.uniform(0.05, 0.3))
        sql.engine_connection().execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = 'maestro' AND backend_type = 'client backend' AND pid <> pg_backend_pid()
              AND query LIKE '%%task_executions%%'
            """
        )

    check_all(started)
