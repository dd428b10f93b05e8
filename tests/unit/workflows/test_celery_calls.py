"""What the record of a call says, and which call a task execution waits for."""

from dataclasses import replace
from uuid import UUID

import pytest

from executors.base import TaskError, TaskResult
from workflows.dispatch.celery_calls import FAILED_ELSEWHERE, result_of
from workflows.dispatch.messages import CallRef, TaskRef

TASK = TaskRef(run_id=UUID(int=1), organization_id=UUID(int=2), task_key="resize", map_index=None, generation=0)


def failed(message):
    return TaskResult(error=TaskError(code="celery_task_failed", message=message))


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ({"status": "SENT", "result": None}, None),
        ({"status": "STARTED", "result": {"pid": 1}}, None),
        ({"status": "RETRY", "result": {"exc_type": "OSError"}}, None),
        ({"status": "PROGRESS", "result": {"percent": 3}}, None),
        ({}, None),
        ({"status": "SUCCESS", "result": [1, "a"]}, TaskResult(output=[1, "a"])),
        ({"status": "SUCCESS", "result": None}, TaskResult()),
        ({"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": ["no such", 3]}},
         failed("ValueError: no such, 3")),
        ({"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": []}}, failed("ValueError")),
        ({"status": "FAILURE", "result": "odd"}, TaskResult(error=FAILED_ELSEWHERE)),
        ({"status": "FAILURE", "result": {"exc_type": "NotRegistered", "exc_message": ["team.resise"]}},
         failed("NotRegistered: the workers of this queue know no Celery task team.resise; with.task or with.queue "
                "names another one")),
    ],
)  # fmt: skip
def test_record_says_whether_and_how_the_call_ended(record, result):
    assert result_of(record) == result


def test_revoked_call_fails_its_task():
    assert result_of({"status": "REVOKED", "result": {}}).error.code == "celery_task_revoked"


def test_result_that_cannot_be_kept_fails_its_task():
    assert result_of({"status": "SUCCESS", "result": 2**64}).error.code == "output_not_json"


def test_attempts_of_one_try_make_the_same_call():
    assert CallRef(task=TASK, tries=0).celery_id == CallRef(task=replace(TASK), tries=0).celery_id


@pytest.mark.parametrize(
    ("change", "tries"),
    [({"run_id": UUID(int=3)}, 0), ({"task_key": "x"}, 0), ({"map_index": 0}, 0), ({"generation": 1}, 0), ({}, 1)],
)
def test_every_task_generation_and_try_makes_a_call_of_its_own(change, tries):
    assert CallRef(task=replace(TASK, **change), tries=tries).celery_id != CallRef(task=TASK, tries=0).celery_id
