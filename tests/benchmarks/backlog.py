"""What the search for lost messages costs beside a long queue: `python -m tests.benchmarks.backlog --tasks 100000`.

Real servers, no worker. Prints, for each case, how long one look takes here, how long the broker was busy with it and
how many bytes it sent; then how long it takes until everything is sent again after all was lost.
"""

import argparse
import os
import time

import redis

# First: it chooses the servers' ports and sets Django up.
from tests.conftest import HOME, POSTGRES_PORT, VALKEY_PORT

from executors.pools.queues import key_of  # isort: skip
from maestro.core import sql  # isort: skip
from tests import backlog  # isort: skip
from tests.builders import make_actor  # isort: skip
from tests.servers import Servers  # isort: skip
from workflows.dispatch import lost_messages, recovery  # isort: skip

QUEUE = "maestro"
LOST = 1000
REPEATS = 5


def main():
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000, help="length of the queue (default 100,000)")
    parser.add_argument("--slices", type=int, default=1000, help="stop after so many slices (default 1,000)")
    arguments = parser.parse_args()
    servers = Servers(HOME, postgres_port=POSTGRES_PORT, valkey_port=VALKEY_PORT)
    servers.start()
    try:
        _measure_all(arguments.tasks, arguments.slices)
    finally:
        servers.stop()


def _measure_all(count, most_slices):
    broker = redis.Redis.from_url(os.environ["BROKER_URL"])
    connection = sql.engine_connection()
    backlog.make_rows(connection, make_actor(), QUEUE, count)
    key = key_of(QUEUE, backlog.PRIORITY)
    broker.delete(key)  # the message of the run that was copied: it is younger than all others
    backlog.make_messages(connection, broker, QUEUE)
    print(f"{broker.llen(key):,} messages of {len(broker.lindex(key, -1)):,} bytes")
    for _ in range(REPEATS):
        _look("nothing lost", connection, broker, lost_messages.resend_lost)
    for _ in range(REPEATS):
        _look("nothing lost, ready tasks", connection, broker, recovery.ReadySweep().recover)
    backlog.lose(broker, QUEUE, count // 2, LOST)
    _look(f"{LOST:,} lost in the middle, not passed yet", connection, broker, lost_messages.resend_lost)
    backlog.take(connection, broker, QUEUE, count // 2)
    backlog.take(connection, broker, QUEUE, lost_messages.SLACK // backlog.APART + 1)
    _look(f"{LOST:,} lost, passed", connection, broker, lost_messages.resend_lost)
    _look("after that", connection, broker, lost_messages.resend_lost)
    broker.flushall()
    left = connection.execute("SELECT count(*) FROM task_executions WHERE status = 'queued'").fetchone()[0]
    started, slices = time.perf_counter(), []
    while len(slices) < most_slices and (
        found := _look("everything lost, a slice", connection, broker, lost_messages.resend_lost, quiet=bool(slices))
    ):
        slices.append(found)
    seconds = time.perf_counter() - started
    print(f"{sum(slices):,} of {left:,} sent again in {len(slices)} slices, {seconds:.1f} s of work")
    print(f"with a look every 5 s: {max(seconds, len(slices) * 5):.0f} s")


def _look(title, connection, broker, duty, *, quiet=False):
    broker.config_resetstat()
    started = time.perf_counter()
    found = duty(connection)
    seconds = time.perf_counter() - started
    commands = {name: one for name, one in broker.info("commandstats").items() if name not in ("cmdstat_info",)}
    busy = sum(one["usec"] for one in commands.values()) / 1e6
    sent = broker.info("stats")["total_net_output_bytes"]
    if not quiet:
        print(f"{title}: {found} sent, {seconds * 1000:.1f} ms, broker busy {busy * 1000:.2f} ms, {sent / 1000:.1f} KB")
    return found


if __name__ == "__main__":
    main()
