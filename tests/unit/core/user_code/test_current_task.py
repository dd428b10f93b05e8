import threading
import uuid

import pytest

from maestro.core.user_code.current_task import CurrentTask, NoCurrentTask, current_task, running


def make_task(key="load", is_cancelled=lambda: False):
    return CurrentTask(
        run_id=uuid.uuid4(),
        workflow_name="test",
        task_key=key,
        attempt=1,
        idempotency_token="token",
        is_cancelled=is_cancelled,
    )


def in_thread(function):
    answers = []

    def call():
        try:
            answers.append(function())
        except NoCurrentTask as error:
            answers.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return answers[0]


def test_there_is_none_outside_a_task():
    with pytest.raises(NoCurrentTask, match=r"in a test under run_locally\(\)"):
        current_task()


def test_inner_task_is_current_until_it_ends():
    outer, inner = make_task("outer"), make_task("inner")

    with running(outer):
        with running(inner):
            assert current_task() is inner
        assert current_task() is outer

    with pytest.raises(NoCurrentTask):
        current_task()


def test_new_thread_sees_the_only_task_that_runs():
    task = make_task()

    with running(task):
        assert in_thread(current_task) is task


def test_new_thread_is_told_nothing_rather_than_another_threads_task():
    with running(make_task("one")), running(make_task("other")):
        assert isinstance(in_thread(current_task), NoCurrentTask)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_progress_is_a_fraction(fraction):
    with pytest.raises(ValueError, match="progress goes from 0 to 1"):
        make_task().progress(fraction)
