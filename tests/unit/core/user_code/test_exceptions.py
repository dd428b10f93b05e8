import pytest

from maestro.core.user_code.exceptions import TaskFailed, error_code, summarize


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError


def noted():
    error = ValueError("no such day")
    error.add_note("a note")
    return error


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (ValueError("no such day"), "ValueError: no such day"),
        (noted(), "ValueError: no such day"),
        (KeyError("day"), "KeyError: 'day'"),
        (RuntimeError(), "RuntimeError"),
        (TaskFailed("no such day"), "no such day"),
        (Unspeakable(), "Unspeakable: <exception str() failed>"),
    ],
)
def test_exception_is_summarized(error, summary):
    assert summarize(error) == summary


def test_code_of_a_failure_is_its_own_or_that_of_its_class():
    assert error_code(TaskFailed("x", code="no_such_day")) == "no_such_day"
    assert error_code(TaskFailed("x")) == "task_failed"
    assert error_code(ZeroDivisionError()) == "zero_division_error"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"code": "No Such Day"}, "code: 'No Such Day' is not a word in snake_case"),
        ({"retry_after": -1}, "retry_after: -1 is not a number of seconds"),
        ({"retry_after": float("nan")}, "retry_after: nan is not a number of seconds"),
    ],
)
def test_failure_that_says_nonsense_is_refused_where_it_is_raised(given, message):
    with pytest.raises(ValueError, match=message):
        TaskFailed("x", **given)
