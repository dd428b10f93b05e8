"""A worker is told to stop: what is short ends in it, what is long goes to another. No beat runs here, so nothing else
recovers.
"""

import contextlib
import os
import signal
import time

import psutil
import pytest
from django.db import OperationalError, connection

from executors.models import Worker
from executors.pools.queues import keys_of
from tests.builders import make_actor, start_run, statuses, wait_for_end
from tests.integration.conftest import WorkerProcess
from tests.patience import wait_until
from tests.processes import command_of, is_alive, kill, named, suspended
from workflows.models import TaskExecution
from workflows.runs import services as runs

pytestmark = [pytest.mark.usefixtures("resting_worker"), pytest.mark.alone]

MODULE = "tests.integration.long_tasks"
# Of each test, whatever it asks for: 10 s beyond the drain, and a busy machine.
EXIT_SECONDS = 60
# Longer than any test, so that only what is to be shown ends what runs.
LONG_SECONDS = 600


@pytest.fixture
def start_worker(tmp_path, monkeypatch, settings):
    """Start workers that are ended with the test, and may run the module of long tasks."""
    settings.MAESTRO_TASK_MODULES = (MODULE,)
    monkeypatch.setenv("MAESTRO_TASK_MODULES", MODULE)
    monkeypatch.setenv("MAESTRO_CELERY_IMPORTS", MODULE)
    started = []

    def start(name, *, drain_seconds, application="maestro"):
        monkeypatch.setenv("MAESTRO_DRAIN_SECONDS", str(drain_seconds))
        log = tmp_path / f"{name}.log"
        started.append(WorkerProcess(log, name=name, concurrency=4, application=application))
        started[-1].start()
        return started[-1]

    yield start
    for running in started:
        running.stop(signal.SIGQUIT)


def shell(command, *needs):
    return {"uses": "shell", "needs": list(needs), "with": {"command": command}}


def python(function, *needs):
    return {"uses": "python", "needs": list(needs), "with": {"function": f"{MODULE}.{function}"}}


def row(run, key):
    return TaskExecution.objects.get(run_id=run.id, task_key=key)


def wait_for_start(run, *keys, attempt=1):
    wait_until(lambda: all((row(run, key).status, row(run, key).attempt) == ("running", attempt) for key in keys))


def sleepers_of(worker):
    children = psutil.Process(worker.pid).children(recursive=True)
    return [each for each in children if f"{LONG_SECONDS}.5" in command_of(each)]


def test_what_is_short_ends_here_and_what_is_long_ends_elsewhere(actor, start_worker, tmp_path):
    note, go_on = tmp_path / "note", tmp_path / "go-on"
    call = {"uses": "celery", "with": {"task": "long_tasks.sleep_when_new", "args": [str(note)]}}
    sleeps_at_first = f'[ "$MAESTRO_ATTEMPT" -gt 1 ] || {{ sleep {LONG_SECONDS}.5 & sleep {LONG_SECONDS}.5; }}'
    first = start_worker("first", drain_seconds=5)
    run = start_run(
        actor,
        {
            "fork": "",
            "quick": "fork",
            "short": shell(f"until [ -e '{go_on}' ]; do sleep 0.1; done", "fork"),
            "command": shell(sleeps_at_first, "fork"),
            "pause": python("sleep_at_first", "fork"),
            "join": "quick short command pause",
            "call": call,
            "called": "call",
        },
    )
    wait_for_start(run, "short", "command", "pause")
    wait_until(note.exists)
    wait_until(lambda: len(sleepers_of(first)) >= 2)
    sleepers = sleepers_of(first)

    os.kill(first.pid, signal.SIGTERM)
    go_on.touch()
    second = start_worker("second", drain_seconds=5)
    code = first.wait(EXIT_SECONDS)
    ended = wait_for_end(run.id)

    rows = {each.task_key: each for each in TaskExecution.objects.filter(run_id=run.id)}
    assert (code, ended.status) == (0, "succeeded")
    assert {key: each.attempt for key, each in rows.items()} == dict.fromkeys(rows, 1) | {"command": 2, "pause": 2}
    assert {rows[key].worker for key in ("quick", "short")} == {first.name}
    assert {rows[key].worker for key in ("command", "pause", "join", "called")} == {second.name}
    assert {each.platform_failures for each in rows.values()} == {0}
    assert [each.error_code for each in rows["command"].attempts.all()] == ["worker_stopped"]
    assert rows["call"].output == 2
    assert not any(map(is_alive, sleepers))
    assert Worker.objects.get(name=first.name, pid=first.pid).has_stopped


def test_second_signal_hurries_also_a_worker_that_ends_itself_and_what_ignores_signals_is_killed(
    actor, start_worker, broker
):
    ending = start_worker("ending", drain_seconds=LONG_SECONDS, application="tests.integration.deaf")
    # Short, but longer than a worker may take to end that has nothing to wait for.
    run = start_run(actor, {"short": shell("sleep 8"), "deaf": python("ignore_signals"), "after": "short deaf"})
    wait_for_start(run, "short", "deaf")

    os.kill(ending.pid, signal.SIGRTMIN + 2)
    os.kill(ending.pid, signal.SIGTERM)
    wait_until(lambda: row(run, "short").status != "running")
    assert ending.is_running()
    os.kill(ending.pid, signal.SIGINT)
    code = ending.wait(EXIT_SECONDS)

    messages = [message for key in keys_of("maestro") for message in broker.lrange(key, 0, -1)]
    waiting = [message for message in messages if str(run.id).encode() in message]
    found = statuses(run.id)
    runs.cancel_run(actor=actor, run_id=run.id)
    assert code == os.EX_SOFTWARE
    # A second one does nothing: a worker whose connection is gone already cannot know that the broker has the first.
    assert 1 <= len(waiting) <= 2
    assert found == {"short": "succeeded", "deaf": "queued (worker_stopped)", "after": "pending"}
    assert row(run, "deaf").attempts.get().error_code == "worker_stopped"


def is_available(run):
    try:
        return bool(statuses(run.id))
    except OperationalError:
        connection.close()
        return False


@contextlib.contextmanager
def hanging(servers, name):
    """Stop a server of the suite, with all its processes, for a while."""
    found = named(servers.processes(), name)
    assert found
    with suspended(found):
        yield


@contextlib.contextmanager
def absent(servers, name):
    """Kill a server of the suite, and keep its supervisor from starting it again for a while."""
    with suspended([servers.supervisor()]):
        kill(named(servers.processes(), name))
        yield


@pytest.mark.parametrize("fault", [hanging, absent])
@pytest.mark.parametrize(("server", "status"), [("valkey", "queued (worker_stopped)"), ("postgres", "running")])
def test_drain_ends_in_time_without_a_server(actor, start_worker, servers, server, status, fault, pytestconfig):
    if not pytestconfig.getoption("all_faults"):
        pytest.skip("takes half a minute: --all-faults")
    stopped = start_worker("stopped", drain_seconds=1)
    run = start_run(actor, {"a": shell(f"sleep {LONG_SECONDS}.5")})
    wait_for_start(run, "a")
    processes = psutil.Process(stopped.pid).children(recursive=True)
    # The claim commits asynchronously; this commit puts it on disk too, where a crash of the server leaves it.
    make_actor()

    with fault(servers, server):
        time.sleep(2)
        os.kill(stopped.pid, signal.SIGTERM)
        stopped.wait(EXIT_SECONDS)
    wait_until(lambda: is_available(run))
    found = statuses(run.id)
    runs.cancel_run(actor=actor, run_id=run.id)

    assert found == {"a": status}
    assert not any(map(is_alive, processes))
