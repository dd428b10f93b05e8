import datetime

import pytest
from pydantic import ValidationError

from executors.base import TaskError, TaskResult, Wait
from tests.unit.executors.context import FakeContext, make_request
from workflows.parking.signal import SignalExecutor, SignalOptions, when_due

NOW = datetime.datetime(2030, 1, 31, tzinfo=datetime.UTC)


def wait_of(options):
    return SignalExecutor().execute(make_request(SignalOptions.model_validate_json(options)), FakeContext()).waits_for


def test_signal_without_a_name_has_that_of_its_task():
    details = {"name": "clean", "timeout_seconds": None}

    assert wait_of("{}") == Wait(reason="signal", details=details)


def test_signal_waits_for_its_time():
    details = {"name": "payment", "timeout_seconds": 7200}

    assert wait_of('{"name": "payment", "timeout": "2h"}') == Wait(reason="signal", seconds=7200, details=details)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ('{"default": 1}', "`default` is for when the time is over; give a `timeout` too"),
        ('{"timeout": 0}', "greater than 0"),
        ('{"timeout": "400d"}', "less than or equal to 31622400"),
        ('{"name": "a b"}', "must be 1 to 100 letters, digits"),
        ('{"name": ""}', "must be 1 to 100 letters, digits"),
        ('{"schema": 3}', "should be an object"),
        ('{"payload_schema": {}}', "Extra inputs are not permitted"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, problem):
    with pytest.raises(ValidationError, match=problem):
        SignalOptions.model_validate_json(options)


def test_default_is_completed_by_the_schema():
    schema = {"properties": {"unit": {"default": "EUR"}}}

    assert when_due({}, {"default": {}, "schema": schema}, NOW) == TaskResult(output={"unit": "EUR"})


def test_wait_without_a_default_times_out():
    message = "No signal 'x' came within the 90 s that the task waits."

    assert when_due({"name": "x", "timeout_seconds": 90.0}, {}, NOW) == TaskResult(
        error=TaskError(code="signal_timeout", message=message)
    )
