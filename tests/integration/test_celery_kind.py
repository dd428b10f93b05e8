"""Whole runs that call Celery tasks: of Maestro's workers, and of a worker that knows nothing of Maestro."""

import pytest

from tests.builders import start_run, statuses, wait_for_end
from tests.integration.conftest import WorkerProcess
from workflows.models import TaskExecution

pytestmark = [pytest.mark.usefixtures("worker", "beat"), pytest.mark.alone]


@pytest.fixture(scope="module", autouse=True)
def foreign_worker(database, tmp_path_factory):
    """A worker of somebody else's on the same broker."""
    running = WorkerProcess(
        tmp_path_factory.mktemp("foreign") / "worker.log", name="foreign", application="tests.integration.foreign_app"
    )
    running.start()
    yield running
    running.stop()


def call(task, *args, **more):
    return {"uses": "celery", "with": {"task": f"foreign.{task}", "args": list(args), "queue": "foreign"} | more}


def run_to_end(actor, tasks):
    run = wait_for_end(start_run(actor, tasks).id)
    return run, {row.task_key: row for row in TaskExecution.objects.filter(run_id=run.id)}


def test_output_of_a_call_is_what_the_celery_task_returned(actor):
    run, rows = run_to_end(
        actor,
        {
            "double": call("double", 4, kwargs={"plus": 1}),
            "again": call("double", "${{ tasks.double.output }}") | {"needs": ["double"]},
            "airports": {"uses": "celery", "with": {"task": "examples.celery_tasks.list_airports"}},
        },
    )

    assert run.status == "succeeded"
    assert {key: row.output for key, row in rows.items()} == {
        "double": 9,
        "again": 18,
        "airports": ["EWR", "JFK", "LGA"],
    }
    assert {row.attempt for row in rows.values()} == {1}


def test_every_way_in_which_a_call_fails_is_told(actor):
    run, rows = run_to_end(
        actor,
        {
            "raised": call("fail", "no such image"),
            "here": {"uses": "celery", "with": {"task": "examples.celery_tasks.count_flights", "args": ["XYZ"]}},
            "arguments": call("double"),
            "date": call("today"),
            "object": call("unwritable"),
            "large": call("large"),
            "exited": call("exit"),
            "unknown": call("resise"),
        },
    )

    assert run.status == "failed"
    told = {key: (row.status, row.error_code, row.error_message) for key, row in rows.items()}
    assert {key: found[:2] for key, found in told.items()} == {
        "raised": ("failed", "celery_task_failed"),
        "here": ("failed", "celery_task_failed"),
        "arguments": ("failed", "celery_task_failed"),
        "date": ("failed", "output_not_json"),
        "object": ("failed", "celery_task_failed"),
        "large": ("failed", "output_too_large"),
        "exited": ("failed", "celery_task_failed"),
        "unknown": ("failed", "celery_task_failed"),
    }
    assert told["raised"][2] == "ValueError: no such image"
    assert told["here"][2] == "ValueError: no flights from XYZ"
    assert "missing 1 required positional argument" in told["arguments"][2]
    assert "not JSON serializable" in told["object"][2]
    assert told["exited"][2].startswith("WorkerLostError: ")
    assert "know no Celery task foreign.resise" in told["unknown"][2]


def test_celery_task_that_retries_itself_is_waited_for(actor):
    run, rows = run_to_end(actor, {"flaky": call("flaky", "a.png")})

    assert (run.status, rows["flaky"].output) == ("succeeded", "a.png")


def test_calls_and_other_tasks_join_as_any_tasks_do(actor):
    tasks = {"source": ""} | {f"m{i}": call("double", i) | {"needs": ["source"]} for i in range(8)}
    run, _ = run_to_end(actor, tasks | {"side": "source", "join": " ".join(["side", *(f"m{i}" for i in range(8))])})

    assert run.status == "succeeded"
    assert set(statuses(run.id).values()) == {"succeeded"}
