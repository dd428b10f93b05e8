import pytest

from executors.base import CeleryCall, TaskResult
from executors.kinds.celery import CeleryExecutor, CeleryOptions
from executors.runtime.options import InvalidOptions, parse_options
from tests.unit.executors.context import FakeContext, make_request


def test_call_is_what_the_attempt_waits_for():
    options = parse_options(
        CeleryOptions, {"task": "team.media.resize", "args": ["a.png"], "kwargs": {"width": 80}, "queue": "media"}
    )

    result = CeleryExecutor().execute(make_request(options), FakeContext())

    assert result == TaskResult(
        waits_for=CeleryCall(task="team.media.resize", args=("a.png",), kwargs={"width": 80}, queue="media")
    )


@pytest.mark.parametrize(
    "task", ["workflows.dispatch.call_succeeded", "celery.backend_cleanup", "maestro", "executors.x", "accounts.x"]
)
def test_tasks_of_the_platform_are_refused(task):
    with pytest.raises(InvalidOptions, match=r"with\.task: tasks of \w+ itself cannot be called; name one of your own"):
        parse_options(CeleryOptions, {"task": task})


@pytest.mark.parametrize("name", ["", " resize", "re\nsize", "re\x00size"])
@pytest.mark.parametrize("option", ["task", "queue"])
def test_name_nobody_can_have_is_refused(option, name):
    with pytest.raises(InvalidOptions, match=rf"with\.{option}: "):
        parse_options(CeleryOptions, {"task": "team.resize"} | {option: name})


@pytest.mark.parametrize(
    "queue",
    ["unacked", "unacked_mutex", "_kombu.binding.maestro", "celery-task-meta-x", "celery-taskset-meta-x", "a.pidbox"],
)
def test_what_the_broker_keeps_for_itself_is_no_queue(queue):
    with pytest.raises(InvalidOptions, match=r"with\.queue: is a name the broker keeps for itself"):
        parse_options(CeleryOptions, {"task": "team.resize", "queue": queue})
