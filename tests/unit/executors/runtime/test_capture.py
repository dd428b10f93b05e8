import logging
import sys

import pytest

from executors.runtime.capture import captured_output
from tests.unit.executors.context import FakeContext


@pytest.fixture
def context():
    return FakeContext()


@pytest.fixture
def root_level():
    root = logging.getLogger()
    before = root.level
    yield root.setLevel
    root.setLevel(before)


def test_records_from_info_up_are_captured_even_where_the_operator_logs_less(context, root_level):
    root_level(logging.ERROR)

    with captured_output(context):
        logging.getLogger("acme").info("shown")
        logging.getLogger("acme").debug("not shown")

    assert context.messages("log") == ["shown"]
    assert logging.getLogger().level == logging.ERROR


def test_debug_records_are_captured_where_the_operator_logs_them(context, root_level):
    root_level(logging.DEBUG)

    with captured_output(context):
        logging.getLogger("acme").debug("shown")

    assert context.lines == [("log", "debug", "shown")]


@pytest.mark.parametrize("name", ["django.db.backends", "celery", "kombu.pool", "executors.runtime.attempt_log"])
def test_records_of_the_platform_are_left_to_its_own_log(context, name, caplog):
    with captured_output(context):
        logging.getLogger(name).warning("for the operator")

    assert context.lines == []
    assert [record.message for record in caplog.records] == ["for the operator"]


def test_record_with_an_exception_carries_its_traceback(context):
    with captured_output(context):
        try:
            raise ValueError("no such day")
        except ValueError:
            logging.getLogger("acme").exception("failed")

    message = context.messages("log")[0]
    assert message.startswith("failed\nTraceback (most recent call last):")
    assert message.endswith("ValueError: no such day")


def test_lone_surrogate_is_printed_as_an_escape(context):
    with captured_output(context):
        print("a\ud800b")

    assert context.messages("stdout") == ["a\\ud800b"]


def test_partial_lines_are_kept_when_the_code_raises(context):
    def break_off():
        sys.stdout.write("half a line")
        sys.stderr.write("and another")
        raise KeyError

    with pytest.raises(KeyError), captured_output(context):
        break_off()

    assert context.lines == [("stdout", "info", "half a line"), ("stderr", "info", "and another")]


def test_stream_kept_beyond_the_call_does_not_break_who_uses_it(context):
    with captured_output(context):
        kept = sys.stdout

    kept.write("late\n")
    kept.flush()

    assert kept.isatty() is False
