"""Celery tasks as a team has them already: plain functions, declared with Celery's own decorator. Nothing here knows
Maestro; `existing-celery-tasks.yaml` calls them by name.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from celery import shared_task

DATA_DIRECTORY = Path(__file__).parent / "data"


@shared_task
def list_airports() -> list[str]:
    """Return the codes of the airports that flights left from."""
    return sorted({flight["origin"] for flight in _read_flights()})


@shared_task
def count_flights(origin: str, *, day: int | None = None) -> dict[str, int | str]:
    """Count the flights that left an airport, or should have, on all days or one day of the month."""
    flights = [flight for flight in _read_flights() if flight["origin"] == origin and day in (None, int(flight["day"]))]
    if not flights:
        raise ValueError(f"no flights from {origin}" + ("" if day is None else f" on day {day}"))
    cancelled = sum(flight["dep_time"] == "NA" for flight in flights)
    destinations = Counter(flight["dest"] for flight in flights)
    return {
        "origin": origin,
        "scheduled": len(flights),
        "cancelled": cancelled,
        "cancelled_percent": round(100 * cancelled / len(flights)),
        "favourite_destination": destinations.most_common(1)[0][0],
    }


@shared_task
def compare(airports: list[dict[str, int | str]]) -> str:
    """Write a sentence about the airports that cancelled the largest and the smallest share of their flights."""
    ranked = sorted(airports, key=lambda airport: airport["cancelled_percent"])
    best, worst = ranked[0], ranked[-1]
    return (
        f"{worst['origin']} cancelled {worst['cancelled_percent']} % of its {worst['scheduled']} flights, "
        f"{best['origin']} {best['cancelled_percent']} % of {best['scheduled']}."
    )


def _read_flights() -> Iterator[dict[str, str]]:
    with (DATA_DIRECTORY / "flights.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
