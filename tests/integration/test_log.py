"""The log of a run: read while several attempts write it, and kept when its worker is killed."""

import concurrent.futures
import datetime
import itertools
import os
import signal
import subprocess
import sys
import threading

import pytest
from django.db import connection as django_connection

from executors import selectors as executor_selectors
from executors import services
from executors.base import LogLine
from executors.choices import LogLevel
from executors.models import TaskLogLine
from tests.builders import start_run
from tests.integration.conftest import ROOT
from tests.integration.schedules import connect
from tests.patience import PATIENCE_SECONDS, wait_until
from workflows.filters import LogFilter
from workflows.runs import selectors

EXECUTE = """
import sys, uuid
import django
django.setup()
from workflows.dispatch import execution, messages
run, organization = map(uuid.UUID, sys.argv[1:])
task = messages.TaskRef(run_id=run, organization_id=organization, task_key="a", map_index=None, generation=0)
execution.execute_task(task, messages.Holder(worker="killed", worker_id=None), canvas_ends=True)
"""


@pytest.fixture
def run(actor, sent):
    return start_run(actor, {"a": "", "b": ""})


def lines_of(*messages, level="info"):
    now = datetime.datetime.now(datetime.UTC)
    return [
        LogLine(stream="stdout", level=level, message=each, created_at=now + datetime.timedelta(microseconds=number))
        for number, each in enumerate(messages)
    ]


def write(connection, run, *messages, task_key="a", attempt=1, level="info", lines=None, is_repeat=False):
    services.store_log_lines(
        connection,
        organization_id=run.organization_id,
        run_id=run.id,
        task_key=task_key,
        map_index=None,
        attempt=attempt,
        lines=lines or lines_of(*messages, level=level),
        is_repeat=is_repeat,
    )


def read(actor, run, **wanted):
    """Return the messages and how far they reach, on this thread's own connection."""
    try:
        log = selectors.read_log(actor=actor, run=run, wanted=LogFilter(**wanted))
        return [line.message for line in log.lines.order_by("id")], log.last_id
    finally:
        if threading.current_thread() is not threading.main_thread():
            django_connection.close()


def test_reader_waits_for_a_line_whose_id_was_given_before_one_that_is_there(actor, run, connection, other):
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with connection.transaction():
            write(connection, run, "early id")
            write(other, run, "later id")
            reading = threads.submit(read, actor, run)
            with pytest.raises(concurrent.futures.TimeoutError):
                reading.result(0.3)

        messages, last_id = reading.result(PATIENCE_SECONDS)

    assert messages == ["early id", "later id"]
    assert read(actor, run, after=last_id) == ([], last_id)


def test_reader_of_another_run_does_not_wait(actor, run, connection, sent):
    another = start_run(actor, {"a": ""}, name="another")
    with connection.transaction():
        write(connection, run, "not yet there")

        assert read(actor, another) == ([], 0)


def test_line_has_no_id_before_its_writer_has_the_lock(actor, run, connection, other):
    write(other, run, "first")
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (executor_selectors.log_lock(run.id),))
            writing = threads.submit(write, other, run, "second")
            with pytest.raises(concurrent.futures.TimeoutError):
                writing.result(0.3)
            last_id = TaskLogLine.objects.latest("id").id
            given = connection.execute("SELECT last_value FROM task_log_lines_id_seq").fetchone()
        writing.result(PATIENCE_SECONDS)

    assert given == (last_id,)


def test_follower_of_two_writers_sees_every_line_once(actor, run):
    batches = 150

    def write_batches(name):
        with connect() as connection:
            for number in range(batches):
                write(connection, run, f"{name}{number}", task_key=name)

    seen, after = [], 0
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        writing = [threads.submit(write_batches, name) for name in "ab"]
        while True:
            is_over = all(each.done() for each in writing)
            messages, after = read(actor, run, after=after)
            seen += messages
            if is_over:
                break

    for name in "ab":
        assert [each for each in seen if each[0] == name] == [f"{name}{number}" for number in range(batches)]


def test_lines_of_a_try_that_was_stored_after_all_are_not_doubled(actor, run, connection, other):
    lines = lines_of("one", "two", "three")
    write(connection, run, "another task's", task_key="b")
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with connection.transaction():
            write(connection, run, lines=lines[:2])
            repeating = threads.submit(write, other, run, lines=lines, is_repeat=True)
            with pytest.raises(concurrent.futures.TimeoutError):
                repeating.result(0.3)
        repeating.result(PATIENCE_SECONDS)

    write(other, run, lines=lines, is_repeat=True)

    assert read(actor, run, task_key="a")[0] == ["one", "two", "three"]


def test_lines_of_a_try_that_was_lost_are_stored(actor, run, connection):
    write(connection, run, "one", "two", is_repeat=True)

    assert read(actor, run)[0] == ["one", "two"]


def test_lines_are_narrowed_by_task_attempt_and_level(actor, run, connection):
    for attempt, task_key, level in itertools.product((1, 2), "ab", LogLevel):
        write(connection, run, f"{task_key}{attempt} {level}", task_key=task_key, attempt=attempt, level=level)

    messages, last_id = read(actor, run, task_key="b", attempt=2, level=LogLevel.WARNING)

    assert messages == ["b2 warning", "b2 error"]
    assert last_id == TaskLogLine.objects.filter(run_id=run.id).latest("id").id


def test_lines_are_kept_when_the_process_that_runs_the_attempt_is_killed(actor, sent, tmp_path):
    shell_pid = tmp_path / "shell.pid"
    command = f"echo $$ > part; mv part '{shell_pid}'; echo out; echo err >&2; sleep 600"
    killed = start_run(actor, {"a": {"uses": "shell", "with": {"command": command}}}, name="killed")
    process = subprocess.Popen([sys.executable, "-c", EXECUTE, str(killed.id), str(killed.organization_id)], cwd=ROOT)

    wait_until(lambda: len(read(actor, killed)[0]) == 2)
    process.kill()
    process.wait()
    os.killpg(int(shell_pid.read_text()), signal.SIGKILL)

    assert sorted(read(actor, killed)[0]) == ["err", "out"]
