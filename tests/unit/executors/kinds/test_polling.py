import json

import pytest
from pydantic import ValidationError

from executors.base import Wait
from executors.kinds.http import HttpExecutor, HttpOptions
from executors.kinds.polling import Condition, Poll
from tests.unit.executors.context import FakeContext, make_request
from tests.unit.executors.outgoing.server import http_answer, serving

JSON = "Content-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def loopback_is_allowed(settings):
    settings.MAESTRO_HTTP_ALLOWED_HOSTS = ("127.0.0.0/8",)


def condition(**given):
    return Condition.model_validate_json(json.dumps(given))


def ask(url, poll, *, resumed=None, context=None, **options):
    document = {"url": url, "poll": {"every": "5s"} | poll, **options}
    request = make_request(HttpOptions.model_validate_json(json.dumps(document)), resumed=resumed)
    return HttpExecutor().execute(request, context or FakeContext())


def answering(body, **more):
    return serving(http_answer(json.dumps(body).encode(), headers=JSON + more.pop("headers", ""), **more))


@pytest.mark.parametrize(
    ("given", "status", "body", "is_met"),
    [
        ({"status": 200}, 200, None, True),
        ({"status": 200}, 202, None, False),
        ({"status": ["2xx", 404]}, 404, None, True),
        ({"body": {"state": "done"}}, 202, {"state": "done"}, True),
        ({"body": {"state": ["done", "dropped"]}}, 200, {"state": "dropped"}, True),
        ({"body": {"state": "done"}}, 200, {"state": "running"}, False),
        ({"body": {"state": "done"}}, 200, {}, False),
        ({"body": {"state": "done"}}, 200, "done", False),
        ({"body": {"state": None}}, 200, {}, False),
        ({"body": {"state": None}}, 200, {"state": None}, True),
        ({"body": {"job.steps.1.state": "done"}}, 200, {"job": {"steps": [{}, {"state": "done"}]}}, True),
        ({"body": {"steps.2": "done"}}, 200, {"steps": ["done"]}, False),
        ({"body": {"steps.-1": "done"}}, 200, {"steps": ["done"]}, False),
        ({"body": {"left": 0}}, 200, {"left": 0.0}, True),
        ({"body": {"left": 1}}, 200, {"left": True}, False),
        ({"body": {"is_done": True}}, 200, {"is_done": 1}, False),
        ({"body": {"state": "done", "left": 0}}, 200, {"state": "done", "left": 3}, False),
        ({"status": 200, "body": {"state": "done"}}, 202, {"state": "done"}, False),
    ],
)
def test_condition_is_met_when_the_answer_says_all_of_it(given, status, body, is_met):
    assert condition(**given).is_met(status, body) is is_met


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"every": "500ms", "until": {"status": 200}}, "at least 1s and at most 1d"),
        ({"every": "2d", "until": {"status": 200}}, "at least 1s and at most 1d"),
        ({"every": "5s"}, "until"),
        ({"every": "5s", "until": {}}, "needs `status` or `body`"),
        ({"every": "5s", "until": {"body": {}}}, "needs `status` or `body`"),
        ({"every": "5s", "until": {"status": "ok"}}, "should be a status"),
        ({"every": "5s", "until": {"body": {"a..b": 1}}}, "joined by dots"),
        ({"every": "5s", "until": {"header": 1}}, "header"),
    ],
)
def test_poll_that_makes_no_sense_is_refused(given, problem):
    with pytest.raises(ValidationError, match=problem):
        Poll.model_validate_json(json.dumps(given))


def test_answer_that_says_what_it_should_is_the_output():
    with answering({"state": "done"}) as server:
        result = ask(server.url, {"until": {"body": {"state": "done"}}})

    assert (result.output["body"], result.waits_for) == ({"state": "done"}, None)


def test_answer_that_does_not_is_asked_for_again():
    with answering({"state": "running"}) as server:
        result = ask(server.url, {"until": {"body": {"state": "done"}}})

    assert isinstance(result.waits_for, Wait)
    assert (result.waits_for.reason, result.waits_for.seconds) == ("poll", 5)


def test_answer_may_ask_for_more_time():
    with answering({}, headers="Retry-After: 60\r\n") as server:
        result = ask(server.url, {"until": {"body": {"state": "done"}}})

    assert result.waits_for.seconds == 60


def test_answer_on_which_waiting_makes_no_sense_fails_the_task_for_good():
    poll = {"until": {"body": {"state": "done"}}, "fail_if": {"body": {"state": ["failed", "dropped"]}}}

    with answering({"state": "failed"}) as server:
        error = ask(server.url, poll).error

    assert (error.code, error.is_retryable) == ("poll_failed", False)
    assert error.message.endswith('answered what `poll.fail_if` names: 200, state: "failed".')


def test_statuses_that_conditions_name_are_expected():
    poll = {"until": {"status": 200}, "fail_if": {"status": 410}}

    with answering({}, status="410 Gone") as server:
        assert ask(server.url, poll).error.code == "poll_failed"
    with answering({}, status="404 Not Found") as server:
        assert ask(server.url, poll).error.code == "unexpected_status"
        assert ask(server.url, poll, expect=["2xx", 404]).waits_for is not None


def test_log_is_told_of_answers_that_say_something_new():
    context = FakeContext()
    until = {"until": {"body": {"state": "done"}}}

    with answering({"state": "running", "seconds": 1}) as server:
        first = ask(server.url, until, context=context)
    with answering({"state": "running", "seconds": 2}) as server:
        second = ask(server.url, until, context=context, resumed=first.waits_for.details)
    with answering({"state": "ending"}) as server:
        third = ask(server.url, until, context=context, resumed=second.waits_for.details)
    with answering({"state": "done"}) as server:
        ask(server.url, until, context=context, resumed=third.waits_for.details)

    said = [line.partition(" answered ")[2] for line in context.messages("log") if "answered" in line]
    assert said == ['200, state: "running".', '200, state: "ending".', '200, state: "done".']
    assert len(context.messages("log")) == len(said) + 1


def test_what_is_kept_of_an_answer_does_not_show_it():
    with answering({"state": "secret"}) as server:
        kept = ask(server.url, {"until": {"body": {"state": "done"}}}).waits_for.details

    assert "secret" not in json.dumps(dict(kept))
