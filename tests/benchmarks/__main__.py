"""`make bench`: Maestro beside raw Celery, in one run on one machine; prints a table and writes JSON."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import redis

# First: it chooses the servers' ports and sets Django up.
from tests.conftest import HOME, POSTGRES_PORT, VALKEY_PORT

from tests.benchmarks.tick import measure_tick  # isort: skip
from tests.benchmarks.workloads import workloads  # isort: skip
from tests.builders import make_actor  # isort: skip
from tests.servers import Servers  # isort: skip

ROOT = Path(__file__).parents[2]
REPEATS = {"W4": 20}
WAITING_RUNS = 10_000


def main():
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="measurements of each workload (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the workloads; 0.1 for a quick look")
    parser.add_argument("--only", default="", help="names of what to measure, such as W1,W4,tick")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "build" / "bench.json", help="where to write the result (%(default)s)"
    )
    arguments = parser.parse_args()
    servers = Servers(HOME, postgres_port=POSTGRES_PORT, valkey_port=VALKEY_PORT)
    servers.start()
    with tempfile.TemporaryDirectory() as logs:
        workers = [_worker("maestro", "maestro", logs), _worker("tests.benchmarks.raw", "raw", logs)]
        try:
            result = _measure_all(arguments, workers)
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(30)
            servers.stop()
    print(_table(result))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\nWritten to {arguments.json}")


def _worker(application, name, logs):
    """Start a worker of two processes and wait until it takes messages."""
    log = Path(logs, name)
    command = [sys.executable, "-m", "celery", "-A", application, "worker", "--concurrency", "2", "-l", "WARNING"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "-n", f"{name}@%h", "-E"], stdout=output, stderr=output, cwd=ROOT)
    broker = redis.Redis.from_url(os.environ["BROKER_URL"])
    deadline = time.monotonic() + 25
    while not any(f"{name}@".encode() in member for member in broker.smembers("_kombu.binding.celery.pidbox")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The {name} worker did not start:\n{log.read_text()}")
        time.sleep(0.1)
    return process


def _measure_all(arguments, workers):
    """Run every workload on both sides, turn and turn about, so that a drift of the machine meets both."""
    actor = make_actor()
    only = {name for name in arguments.only.split(",") if name}
    rows = []
    for workload in workloads(arguments.scale):
        if only and workload.name.partition(" ")[0] not in only:
            continue
        sides = {"maestro": lambda one=workload: one.maestro(actor), "raw": workload.raw}
        measured = {side: [] for side in sides}
        for measure in sides.values():
            measure()  # not counted: warms caches and connections
        for _ in range(REPEATS.get(workload.name, arguments.repeat)):
            for (side, measure), worker in zip(sides.items(), workers, strict=True):
                measured[side].append(_measure(measure, worker))
        rows.append(
            {"name": workload.name, "title": workload.title, "tasks": workload.tasks, "runs": workload.runs}
            | {
                side: {what: statistics.median(one[what] for one in found) for what in found[0]}
                for side, found in measured.items()
            }
        )
        print(f"{workload.name} done", file=sys.stderr)
    waiting = int(WAITING_RUNS * arguments.scale)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "rows": rows,
        "waiting_runs": waiting,
        "tick": measure_tick(actor, waiting) if not only or "tick" in only else [],
    }


def _measure(measure, worker):
    """Measure once: seconds, processor seconds of the worker and its children, bytes the broker received."""
    broker = redis.Redis.from_url(os.environ["BROKER_URL"])
    processes = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
    before = _cpu(processes), broker.info("stats")["total_net_input_bytes"]
    seconds = measure()
    return {
        "seconds": seconds,
        "worker_cpu_seconds": _cpu(processes) - before[0],
        "broker_bytes": broker.info("stats")["total_net_input_bytes"] - before[1],
    }


def _cpu(processes):
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def _table(result):
    """Write the medians as text; ratio above 1 means faster than raw Celery."""
    head = f"{'workload':<34}{'maestro':>20}{'raw Celery':>20}{'ratio':>8}{'CPU ms/task':>16}{'KB/run':>16}"
    lines = [result["machine"], "", head]
    for row in result["rows"]:
        ours, theirs = row["maestro"], row["raw"]
        if row["name"] == "W4":
            shown = [f"{side['seconds'] * 1000:.1f} ms" for side in (ours, theirs)]
        else:
            shown = [f"{side['seconds']:.2f} s {row['tasks'] / side['seconds']:>6.0f}/s" for side in (ours, theirs)]
        cpu = "/".join(f"{side['worker_cpu_seconds'] * 1000 / row['tasks']:.1f}" for side in (ours, theirs))
        size = "/".join(f"{side['broker_bytes'] / 1000 / row['runs']:.0f}" for side in (ours, theirs))
        ratio = theirs["seconds"] / ours["seconds"]
        title = f"{row['name'].partition(' ')[0]} {row['title']}"
        lines.append(f"{title:<34}{shown[0]:>20}{shown[1]:>20}{ratio:>8.2f}{cpu:>16}{size:>16}")
    if result["tick"]:
        lines += [
            "",
            f"{'duty of the tick':<34}{'alone':>20}   beside {result['waiting_runs']:,} waiting runs of 10 tasks",
        ]
    for duty in result["tick"]:
        lines.append(f"{duty['name']:<34}{duty['without'] * 1000:>17.1f} ms{duty['with'] * 1000:>17.1f} ms")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
