"""The id of a request in log lines."""

import logging

from django.http import HttpResponse
from django.test import RequestFactory

from maestro.core.rest.request_id import RequestIdFilter, RequestIdMiddleware


def current():
    record = logging.makeLogRecord({})
    assert RequestIdFilter().filter(record)
    return record.request_id


def test_lines_of_a_request_have_the_id_its_answer_names():
    seen = []

    def respond(request):
        seen.append(current())
        return HttpResponse()

    response = RequestIdMiddleware(respond)(RequestFactory().get("/"))

    assert seen == [response.headers["X-Request-Id"]]


def test_lines_outside_of_a_request_have_none():
    RequestIdMiddleware(lambda request: HttpResponse())(RequestFactory().get("/"))

    assert current() == "-"
