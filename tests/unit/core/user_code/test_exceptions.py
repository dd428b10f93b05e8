import pytest

from maestro.core.user_code.exceptions import summarize


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
        (Unspeakable(), "Unspeakable: <exception str() failed>"),
    ],
)
def test_exception_is_summarized(error, summary):
    assert summarize(error) == summary
