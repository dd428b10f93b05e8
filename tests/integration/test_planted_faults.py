"""A fault between any two steps of the engine: runs end as the reference says, within half a minute.

The faults are planted in the worker by `tests.integration.faulty`, so that each happens exactly there. Those that take
long to recover from are planted at a few steps only, and in one task of the graph, unless `pytest --all-faults` asks
for each.
"""

import threading

import pytest

from executors.models import Worker
from tests.builders import start_run, wait_for_end
from tests.integration.conftest import WorkerProcess, beat_process
from tests.patience import wait_until
from workflows.models import TaskExecution

pytestmark = pytest.mark.alone

# From the last fault, and a worker that is ready, to the end of every run: the lease of a silent worker, a sweep, and
# the work itself.
RECOVERY_SECONDS = 30
# Among the notes: when the worker was last ready.
READY = "ready"

# Steps of one message, in order: before the claim, after it, after the user's work, after the finish; then, where the
# canvas ends, before and after looking at the successors and before they are sent; then what Celery does in a chord.
OF_EVERY_TASK = ("claim", "run", "finish", "finished")
OF_THE_LAST_OF_A_CANVAS = ("advance", "publish", "ack")
OF_A_HEADER_MEMBER = ("count", "counted")
ALL_STEPS = (*OF_EVERY_TASK, *OF_THE_LAST_OF_A_CANVAS, *OF_A_HEADER_MEMBER, "claimed")
ROUNDS = 4
# Where a commit may go unanswered.
COMMITS = ("claimed", "finished", "ack")
STEPS = {
    "flush": ("run", "publish", "count"),
    "cut": ALL_STEPS,
    "killchild": ALL_STEPS,
    "killworker": ("run", "finished"),
    "unanswered": COMMITS,
    # After the attempt has ended: before that, it is for its time limit.
    "hang": ("finished", "publish"),
}
# Only these cost no process and no wait.
QUICK = ("cut", "unanswered")


@pytest.fixture(scope="module")
def faulty_worker(worker, tmp_path_factory):
    """The only worker, with faults in it; started again whenever it is killed."""
    notes = tmp_path_factory.mktemp("faults")
    worker.stop()
    # The faults of all runs together may hit one task more often than it may be lost.
    environment = {"MAESTRO_MAX_LOST_ATTEMPTS": "10", "MAESTRO_FAULTS": str(notes)}
    running = WorkerProcess(
        notes / "worker.log",
        name="faulty",
        concurrency=4,
        application="tests.integration.faulty",
        environment=environment,
    )
    ended = threading.Event()

    def start():
        running.start()
        (notes / READY).touch()

    def supervise():
        while not ended.wait(0.2):
            if not running.is_running():
                start()

    start()

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    with beat_process(notes / "beat.log", environment, application="tests.integration.impatient"):
        yield notes
    ended.set()
    supervisor.join()
    running.stop()
    worker.start()


def graph(place, planted):
    """A fork that meets again, then one that is no chord; the fault meets one task of it."""
    keys = {name: planted if name == place else name for name in ("source", "member", "join", "branch")}
    return {
        keys["source"]: "",
        keys["member"]: keys["source"],
        "other": keys["source"],
        keys["join"]: f"{keys['member']} other",
        keys["branch"]: keys["join"],
        "side": keys["join"],
        "end": f"{keys['branch']} side",
        "far_end": "side",
    }


def places(step):
    if step in OF_A_HEADER_MEMBER:
        return ["member"]
    return ["join", "branch"] if step in OF_THE_LAST_OF_A_CANVAS else ["member", "join"]


@pytest.mark.parametrize("fault", STEPS)
def test_fault_between_any_two_steps_changes_no_result(actor, faulty_worker, fault, pytestconfig):
    is_whole = pytestconfig.getoption("all_faults") and fault not in ("unanswered", "hang")
    missing = set(ALL_STEPS if is_whole else STEPS[fault])
    most_places = None if is_whole or fault in QUICK else 1

    # A fault of one run may keep another from coming to its own: that one is tried again.
    for _ in range(ROUNDS):
        started = {
            start_run(actor, graph(place, f"x_{step}_{fault}"), name=f"{step}-{place}").id: step
            for step in missing
            for place in places(step)[:most_places]
        }
        ended = [wait_for_end(run_id, 300) for run_id in started]
        happened = {note.name.partition(".")[0]: note.stat().st_mtime for note in faulty_worker.glob(f"*_{fault}")}
        last_fault = max(happened[str(run_id)] for run_id in started if str(run_id) in happened)
        since = max(last_fault, (faulty_worker / READY).stat().st_mtime)
        for run in ended:
            tasks = TaskExecution.objects.filter(run_id=run.id)
            assert (run.status, {task.status for task in tasks}) == ("succeeded", {"succeeded"})
            assert run.finished_at.timestamp() < since + RECOVERY_SECONDS
        missing -= {step for run_id, step in started.items() if str(run_id) in happened}
        if not missing:
            break

    assert not missing


def calling(key, call):
    """A task that calls and one that follows."""
    return {key: {"uses": "celery", "with": call}, "end": key}


def test_fault_around_a_call_changes_no_result(actor, faulty_worker, pytestconfig):
    airports = {"task": "examples.celery_tasks.list_airports"}
    steps = ("call", "called") if pytestconfig.getoption("all_faults") else ("called",)
    keys = [f"x_{step}_{fault}" for step in steps for fault in ("cut", "flush", "killchild", "killworker")]
    started = [start_run(actor, calling(key, airports), name=key.replace("_", "-")).id for key in keys]
    notes = [f"died-{is_listed}.{started[0]}" for is_listed in (False, True)]
    for note, is_listed in zip(notes, (False, True), strict=True):
        dying = {"task": "faulty.die_once", "args": [note, is_listed]}
        started.append(start_run(actor, calling("dies", dying), name="dies").id)

    ended = [wait_for_end(run_id, 300) for run_id in started]

    assert {run.status for run in ended} == {"succeeded"}
    assert all((faulty_worker / f"{run_id}.{key}").exists() for run_id, key in zip(started, keys, strict=False))
    called = TaskExecution.objects.filter(run_id__in=started[:-2], kind="celery")
    assert [row.output for row in called] == [["EWR", "JFK", "LGA"]] * len(keys)
    assert all((faulty_worker / note).exists() for note in notes)


def test_process_that_does_not_come_back_is_replaced(actor, faulty_worker):
    started = [start_run(actor, graph("member", "x_finished_hang"), name=f"hang-{number}").id for number in range(4)]
    for run_id in started:
        wait_for_end(run_id, 300)

    wait_until(lambda: not Worker.objects.filter(lost_at=None).exclude(held=[]).exists(), "a message is held for ever")

    log = (faulty_worker / "worker.log").read_text()
    assert log.count("does not end with message") >= len(started)
    assert 'faulty.py", line' in log
