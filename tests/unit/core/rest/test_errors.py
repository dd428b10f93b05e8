"""Errors as problems."""

import logging

import psycopg
import psycopg_pool
import pytest
from django import db
from django.core.exceptions import DisallowedHost
from django.test import RequestFactory

from maestro.core.errors import Category, MaestroError
from maestro.core.rest import errors


class Loud(MaestroError):
    """Brings details named as members of every problem."""

    code = "loud"
    category = Category.CONFLICT

    def __init__(self):
        own = ("type", "title", "status", "detail", "instance", "code", "request_id")
        super().__init__("It is loud.", details={**dict.fromkeys(own, "x"), "volume": 11})


def answer(error):
    return errors.answer_problem(error, {"request": RequestFactory().get("/api/v1/kinds")})


def wrapped(error, cause):
    error.__cause__ = cause
    return error


def test_details_never_take_the_place_of_a_problems_own_members():
    assert answer(Loud()).data == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "It is loud.",
        "code": "loud",
        "request_id": "",
        "volume": 11,
    }


@pytest.mark.parametrize(
    "error",
    [
        db.OperationalError("connection refused"),
        db.InterfaceError("connection already closed"),
        wrapped(db.OperationalError(), psycopg_pool.PoolTimeout()),
        wrapped(db.InternalError(), psycopg.errors.ReadOnlySqlTransaction()),
        psycopg_pool.PoolTimeout("couldn't get a connection after 10.00 sec"),
        psycopg.OperationalError("the connection is closed"),
    ],
    ids=repr,
)
def test_database_that_is_away_is_503_and_worth_another_try(error, caplog):
    response = answer(error)

    assert (response.status_code, response.data["code"]) == (503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    "error", [db.IntegrityError(), db.ProgrammingError(), psycopg.ProgrammingError(), ValueError()]
)
def test_mistake_of_ours_is_left_to_django(error):
    assert answer(error) is None


def test_host_that_is_not_served_is_told_without_repeating_it():
    response = errors.answer_bad_request(RequestFactory().get("/"), DisallowedHost("Invalid HTTP_HOST: evil.example"))

    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert b"host_not_allowed" in response.content
    assert b"evil" not in response.content
