"""A kind that is installed where definitions are applied, and not where tasks run."""

import pytest

from executors.kinds import registry
from tests.builders import start_run, wait_for_end
from tests.packages import install
from workflows.models import TaskExecution

pytestmark = pytest.mark.alone


@pytest.fixture
def reverse_kind(tmp_path, monkeypatch):
    """Install the kind for this process only: the worker runs without it."""
    monkeypatch.syspath_prepend(install("maestro-kind-reverse", tmp_path))
    registry.installed_kinds.cache_clear()
    yield
    registry.installed_kinds.cache_clear()


@pytest.mark.usefixtures("worker", "reverse_kind")
def test_task_fails_with_what_to_do_where_a_worker_lacks_its_kind(actor):
    run = start_run(actor, {"turn": {"uses": "reverse", "with": {"text": "abc"}}})

    ended = wait_for_end(run.id)

    task = TaskExecution.objects.get(run_id=run.id)
    assert (ended.status, task.status, task.error_code) == ("failed", "failed", "unknown_kind")
    assert task.error_message == (
        "This worker has no kind 'reverse': install the package that offers it where the workers run, and restart them."
    )
