# What did one day's weather do to the flights of New York's three airports? A workflow written in Python:
#
#     maestro run examples/flow.py --follow
#     maestro run examples/flow.py --follow --input day=2013-02-06
#
# What to learn here: `@workflow` draws the same graph as a YAML file. Its function runs when the file is applied: to
# call a task there adds it to the graph and returns a reference, and a task needs what its arguments refer to. The
# tasks run later, on workers: dates and dataclasses arrive as such, though only JSON travels. The parameters of the
# workflow are its inputs.
"""One day's weather and cancelled flights at New York's airports."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from maestro.sdk import current_task, shell, task, workflow

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, kw_only=True)
class Departures:
    """How the flights of one airport fared."""

    airport: str
    scheduled: int
    cancelled: int


@dataclass(frozen=True, kw_only=True)
class Weather:
    """The worst hour of one airport."""

    airport: str
    wind_mph: float
    visibility_miles: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both beside each other."""

    table: str
    scheduled: int
    cancelled: int
    cancelled_percent: float


@task
def count_departures(day: datetime.date) -> list[Departures]:
    """Count the day's flights by airport."""
    flights: dict[str, list[bool]] = {}
    for row in _rows("flights.csv", day):
        flights.setdefault(row["origin"], []).append(row["dep_time"] == "NA")
    current_task().progress(1, f"{sum(map(len, flights.values())):,} flights on {day:%A %d %B}")
    return [Departures(airport=name, scheduled=len(all_), cancelled=sum(all_)) for name, all_ in flights.items()]


@task
def worst_weather(day: datetime.date) -> list[Weather]:
    """Find the strongest wind and the lowest visibility at each airport."""
    hours: dict[str, list[tuple[float, float]]] = {}
    for row in _rows("weather.csv", day):
        if "NA" not in (row["wind_speed"], row["visib"]):
            hours.setdefault(row["origin"], []).append((float(row["wind_speed"]), float(row["visib"])))
    return [
        Weather(airport=name, wind_mph=max(wind for wind, _ in seen), visibility_miles=min(miles for _, miles in seen))
        for name, seen in hours.items()
    ]


@task
def compare(departures: list[Departures], weather: list[Weather]) -> Comparison:
    """Join both by airport."""
    worst = {each.airport: each for each in weather}
    lines = [
        f"{100 * each.cancelled / each.scheduled:.0f} % cancelled at {each.airport}: wind up to "
        f"{worst[each.airport].wind_mph:.0f} mph, visibility down to {worst[each.airport].visibility_miles:g} miles"
        for each in departures
        if each.airport in worst
    ]
    scheduled, cancelled = sum(each.scheduled for each in departures), sum(each.cancelled for each in departures)
    if not scheduled:
        raise ValueError("There are no flights on this day: the data has 6 to 10 February 2013.")
    percent = round(100 * cancelled / scheduled, 1)
    return Comparison(table="\n".join(lines), scheduled=scheduled, cancelled=cancelled, cancelled_percent=percent)


@task
def write_headline(day: datetime.date, comparison: Comparison) -> str:
    """Say it in one sentence."""
    return f"{day:%A}: {comparison.cancelled:,} of {comparison.scheduled:,} flights cancelled"


@workflow(name="storm-day")
def storm_day(
    day: datetime.date = datetime.date(2013, 2, 8),
    cancelled_above: Annotated[float, Field(ge=0, le=100, description="Percent that make a headline.")] = 20,
) -> dict[str, object]:
    """What one day's weather did to the flights that leave New York City."""
    departures = count_departures(day)  # these two run side by side
    weather = worst_weather(day)
    comparison = compare(departures, weather)
    ranking = shell("printf '%s\n' \"$TABLE\" | sort -rn", env={"TABLE": comparison.table}, key="rank")
    headline = write_headline.set(if_=comparison.cancelled_percent > cancelled_above)(day, comparison)
    return {"airports": ranking.stdout, "cancelled_percent": comparison.cancelled_percent, "headline": headline}


def _rows(name: str, day: datetime.date) -> Iterator[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (int(row["year"]), int(row["month"]), int(row["day"])) == (day.year, day.month, day.day):
                yield row
