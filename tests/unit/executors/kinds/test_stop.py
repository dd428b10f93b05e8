import pytest
from pydantic import ValidationError

from executors.base import RunStop, TaskResult
from executors.kinds.stop import StopExecutor, StopOptions
from executors.runtime.attempt import check_result
from tests.unit.executors.context import make_request


@pytest.mark.parametrize(
    ("options", "stop"),
    [
        ({}, RunStop(succeeds=True)),
        ({"message": "Enough.", "outputs": {"a": [1]}}, RunStop(succeeds=True, message="Enough.", outputs={"a": [1]})),
        ({"status": "failed", "message": "No."}, RunStop(succeeds=False, message="No.")),
    ],
)
def test_result_says_how_the_run_is_to_end(options, stop):
    request = make_request(StopOptions(**options))

    assert StopExecutor().execute(request, None) == TaskResult(stops=stop)


def test_failed_run_has_no_outputs():
    with pytest.raises(ValidationError, match="has no `outputs` when `status` is failed"):
        StopOptions(status="failed", outputs={"a": 1})


def test_long_message_is_cut_and_outputs_become_plain_json():
    stop = RunStop(succeeds=True, message="x" * 5_000, outputs={"a": (1, 2)})

    checked = check_result(TaskResult(stops=stop)).stops

    assert len(checked.message) == 4_000
    assert checked.outputs == {"a": [1, 2]}
