"""Which messages have no attempt; what then becomes of their processes: `test_planted_faults`."""

from types import SimpleNamespace

import pytest

from tests.builders import start_run
from tests.integration.schedules import take
from workflows.dispatch import stuck_process
from workflows.models import TaskExecution

pytestmark = pytest.mark.usefixtures("sent")


def without_attempt(connection, run, keys):
    tasks = [[key, None, 0] for key in keys]
    message = SimpleNamespace(id="mine", kwargs={"run_id": str(run.id), "tasks": tasks})
    return stuck_process._find_without_attempt(connection, [message]) == {"mine"}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"claim_message": "mine"}, False),
        ({"claim_message": "another"}, True),
        ({"claim_message": "mine", "status": "succeeded"}, True),
        ({"claim_message": "mine", "status": "waiting"}, True),
    ],
)
def test_message_has_an_attempt_while_a_task_runs_by_it(actor, connection, columns, expected):
    run = start_run(actor, {"a": "", "b": ""})
    assert take(connection, run, "a")
    TaskExecution.objects.filter(run_id=run.id, task_key="a").update(**columns)

    assert without_attempt(connection, run, ["a"]) is expected
    assert without_attempt(connection, run, ["b", "a"]) is expected
    assert without_attempt(connection, run, ["b"])
