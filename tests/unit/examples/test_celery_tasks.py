"""The Celery tasks of `existing-celery-tasks.yaml`, called as the plain functions they are."""

import pytest

from examples import celery_tasks


def test_airports_are_those_flights_left_from():
    assert celery_tasks.list_airports() == ["EWR", "JFK", "LGA"]


def test_flights_of_an_airport_are_counted():
    assert celery_tasks.count_flights("LGA") == {
        "origin": "LGA",
        "scheduled": 1267,
        "cancelled": 259,
        "cancelled_percent": 20,
        "favourite_destination": "ATL",
    }


def test_flights_of_all_airports_are_all_flights():
    airports = celery_tasks.list_airports()

    assert sum(celery_tasks.count_flights(origin)["scheduled"] for origin in airports) == 4276
    by_day = [celery_tasks.count_flights("JFK", day=day)["scheduled"] for day in range(6, 11)]
    assert sum(by_day) == celery_tasks.count_flights("JFK")["scheduled"]


@pytest.mark.parametrize(
    ("origin", "day", "message"), [("XYZ", None, "no flights from XYZ"), ("JFK", 1, "no flights from JFK on day 1")]
)
def test_airport_without_flights_is_an_error(origin, day, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        celery_tasks.count_flights(origin, day=day)


def test_best_and_worst_airport_are_named():
    airports = [
        {"origin": "JFK", "scheduled": 30, "cancelled_percent": 9},
        {"origin": "EWR", "scheduled": 10, "cancelled_percent": 50},
        {"origin": "LGA", "scheduled": 20, "cancelled_percent": 5},
    ]

    assert celery_tasks.compare(airports) == "EWR cancelled 50 % of its 10 flights, LGA 5 % of 20."
