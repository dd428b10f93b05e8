import datetime

import pytest
from pydantic import ValidationError

from executors.base import Wait
from tests.unit.executors.context import FakeContext, make_request
from workflows.parking.sleep import SleepExecutor, SleepOptions


def wait_of(options):
    request = make_request(SleepOptions.model_validate_json(options))
    return SleepExecutor().execute(request, FakeContext()).waits_for


def test_sleep_waits_for_its_duration():
    assert wait_of('{"duration": "2h"}') == Wait(reason="sleep", seconds=7200)


def test_sleep_waits_until_its_time_in_utc():
    expected = Wait(reason="sleep", until=datetime.datetime(2030, 1, 31, 7, tzinfo=datetime.UTC))

    assert wait_of('{"until": "2030-01-31T08:00:00+01:00"}') == expected


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("{}", "needs either `duration` or `until`"),
        ('{"duration": "1s", "until": "2030-01-01T00:00:00Z"}', "needs either `duration` or `until`"),
        ('{"until": "2030-01-01T00:00:00"}', "must be a date and time with its zone, such as 2030-01-31T08:00:00Z"),
        ('{"until": "tomorrow"}', "must be a date and time with its zone"),
        ('{"until": "2030-01-01"}', "must be a date and time with its zone"),
        ('{"until": "1893456000"}', "must be a date and time with its zone"),
        ('{"until": 1893456000}', "must be a date and time with its zone"),
        ('{"until": "0001-01-01T00:00:00+14:00"}', "must be a date and time with its zone"),
        ('{"duration": "400d"}', "less than or equal to 31622400"),
        ('{"duration": "soon"}', "200ms"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, problem):
    with pytest.raises(ValidationError, match=problem):
        SleepOptions.model_validate_json(options)
