"""What is answered outside the REST API while the database is away."""

import json

import pytest
from django import db
from django.http import HttpResponse
from django.test import RequestFactory

from maestro.core.database_away import DatabaseAwayMiddleware


def answer(error, accept):
    request = RequestFactory().get("/admin/", headers={"Accept": accept})
    return DatabaseAwayMiddleware(lambda _: HttpResponse()).process_exception(request, error)


@pytest.mark.parametrize("accept", ["text/html,*/*;q=0.8", "*/*"])
def test_database_that_is_away_is_a_page_for_browsers_and_a_problem_for_programs(accept):
    response = answer(db.OperationalError("connection refused"), accept)

    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    if "html" in accept:
        assert (response["Content-Type"], b"Load this page again" in response.content) == (
            "text/html; charset=utf-8",
            True,
        )
    else:
        assert (response["Content-Type"], json.loads(response.content)["code"]) == (
            "application/problem+json",
            "unavailable",
        )


def test_any_other_error_is_left_to_django():
    assert answer(db.IntegrityError(), "text/html") is None
