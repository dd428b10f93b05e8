"""`retry:`: which errors are tried again, and after how long."""

from random import Random

import pytest
from pydantic import ValidationError

from workflows.definition.retry import LONGEST_DELAY_SECONDS, RetrySpec


def spec(**given):
    return RetrySpec.model_validate(given)


def test_each_delay_is_longer_by_the_factor_up_to_the_cap():
    rule = spec(delay="2s", backoff=3, max_delay="1m", jitter=False)

    assert [rule.delay_seconds(tries, Random(0)) for tries in (1, 2, 3, 4, 5, 1000)] == [2, 6, 18, 54, 60, 60]


def test_jitter_draws_each_delay_between_zero_and_itself():
    rule, random = spec(delay="10s", backoff=1), Random(7)

    drawn = [rule.delay_seconds(1, random) for _ in range(1000)]

    assert min(drawn) < 0.5
    assert max(drawn) > 9.5
    assert all(0 <= seconds <= 10 for seconds in drawn)
    assert 4.5 < sum(drawn) / len(drawn) < 5.5


def test_time_that_the_other_side_asked_for_is_waited_in_any_case():
    rule, random = spec(delay="10s"), Random(7)

    assert all(30 <= rule.delay_seconds(1, random, at_least=30) <= 40 for _ in range(100))


def test_no_delay_is_longer_than_a_month():
    assert spec().delay_seconds(1, Random(0), at_least=1e12) == LONGEST_DELAY_SECONDS


@pytest.mark.parametrize(
    ("rule", "tried_again"),
    [
        ({}, {"a", "b", "c"}),
        ({"on": ["a", "b"]}, {"a", "b"}),
        ({"not_on": ["a"]}, {"b", "c"}),
        ({"on": ["a", "b"], "not_on": ["b"]}, {"a"}),
    ],
)
def test_error_codes_say_what_is_tried_again(rule, tried_again):
    assert {code for code in ("a", "b", "c") if spec(**rule).tries_again_on(code)} == tried_again


@pytest.mark.parametrize(
    "given",
    [
        {"max_attempts": 0},
        {"max_attempts": 1001},
        {"max_attempts": 2.5},
        {"max_attempts": True},
        {"delay": "-1s"},
        {"delay": "31d"},
        {"backoff": 0.5},
        {"backoff": float("nan")},
        {"within": 0},
        {"on": []},
        {"on": ["Not A Code"]},
        {"jitter": 1},
        {"attempts": 3},
    ],
)
def test_wrong_values_are_refused(given):
    with pytest.raises(ValidationError):
        spec(**given)
