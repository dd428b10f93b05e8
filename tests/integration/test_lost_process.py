"""A process of a worker dies: its parent takes the attempt back itself. No beat runs here, so nothing else recovers."""

import pytest

from tests.builders import start_run, wait_for_end
from workflows.models import TaskExecution

pytestmark = pytest.mark.usefixtures("worker")

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
        f"Task poison failed: {KILLED} task, which was lost 3 times now and is not tried again."
    )
    assert (row(run, "poison").attempt, row(run, "poison").error_code) == (3, "process_lost")
