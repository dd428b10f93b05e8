"""A process of a worker dies: its parent takes the attempt back itself. No beat runs here, so nothing else recovers."""

import pytest

from tests.builders import start_run, wait_for_end
from workflows.models import TaskExecution

pytestmark = [pytest.mark.usefixtures("worker"), pytest.mark.alone]

# Of the shell's parent, which is the process of the pool.
ALWAYS = "kill -9 $PPID; sleep 60"
AT_FIRST = f'[ "$MAESTRO_ATTEMPT" -gt 1 ] || {{ {ALWAYS}; }}'
KILLED = "Its process was killed by SIGKILL (as happens when memory runs out) while it ran this"


def shell(command, *needs):
    return {"uses": "shell", "needs": list(needs), "with": {"command": command}}


def row(run, key):
    return TaskExecution.objects.get(run_id=run.id, task_key=key)


def test_attempt_of_a_killed_process_is_repeated_and_its_fork_still_meets(actor):
    run = start_run(actor, {"source": "", "a": shell(AT_FIRST, "source"), "b": "source", "join": "a b"})

    ended = wait_for_end(run.id)

    lost = row(run, "a").attempts.get()
    assert ended.status == "succeeded"
    assert (lost.attempt, lost.status, lost.error_code) == (1, "lost", "process_lost")
    assert lost.error_message == f"{KILLED} attempt."
    assert (row(run, "a").attempt, row(run, "join").attempt) == (2, 1)


def test_task_that_kills_its_process_each_time_fails_and_says_why(actor):
    run = start_run(actor, {"poison": shell(ALWAYS), "after": "poison"})

    ended = wait_for_end(run.id)

    assert ended.status == "failed"
    assert ended.error_message == (
        f"Task poison failed: {KILLED} task, which has lost 3 attempts now and is quarantined: it is not tried again. "
        "Find out what ends it, its use of memory for example, before you run it again; the count starts anew then."
    )
    poison = row(run, "poison")
    assert (poison.attempt, poison.reason, poison.error_code) == (3, "quarantined", "process_lost")


def test_task_that_must_not_run_twice_fails_when_its_process_dies(actor):
    once = shell(ALWAYS) | {"on_worker_lost": "fail"}
    run = start_run(actor, {"once": once, "after": "once"})

    ended = wait_for_end(run.id)

    assert ended.error_message == (
        f'Task once failed: {KILLED} task, which is not run again: its on_worker_lost is "fail".'
    )
    task = row(run, "once")
    assert (task.status, task.attempt, task.reason, task.error_code) == ("failed", 1, "process_lost", "process_lost")
