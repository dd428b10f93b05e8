"""The last task of `flight-delays.yaml`: turns its tables into a page of text."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TypedDict

from examples.flights import Cleaned, Row

_NAME_WIDTH = 28
_PERCENT_PER_BLOCK = 5


class Report(TypedDict):
    """The page and the figures somebody may want to use further."""

    text: str
    scheduled: int
    cancelled_percent: float
    worst_day: str
    most_punctual_carrier: str


def write_report(
    cleaned: Cleaned,
    days: list[Row],
    hours: list[Row],
    distances: list[Row],
    visibility: list[Row],
    carriers: list[Row],
    worst_destinations: str,
    highlights: list[str],
) -> Report:
    """Print the report line by line and return it."""
    worst_day = max(days, key=lambda row: row["cancelled_percent"])["name"]
    lines = [
        f"FLIGHTS FROM NEW YORK, {_day(days[0]['name'])} to {_day(days[-1]['name'])} {days[0]['name'][:4]}",
        (
            f"{cleaned['scheduled']:,} scheduled: {cleaned['flown']:,} arrived, {cleaned['cancelled']:,} cancelled, "
            f"{cleaned['diverted']:,} diverted. {cleaned['dropped']:,} rows could not be read."
        ),
        "",
        *(f"* {sentence}" for sentence in highlights),
        *_table("Day", [{**row, "name": _day(row["name"])} for row in days]),
        *_table("Scheduled departure", hours),
        *_table("Distance", distances),
        *_table("Visibility at departure", visibility),
        *_table("Airline", carriers),
        *_destinations(worst_destinations),
    ]
    for line in lines:
        print(line)
    return {
        "text": "\n".join(lines),
        "scheduled": cleaned["scheduled"],
        "cancelled_percent": round(100 * cleaned["cancelled"] / cleaned["scheduled"], 1),
        "worst_day": worst_day,
        "most_punctual_carrier": carriers[0]["name"] if carriers else "",
    }


def _day(text: str) -> str:
    day = datetime.date.fromisoformat(text)
    return f"{day:%a} {day.day} {day:%b}"


def _table(title: str, rows: Sequence[Row]) -> list[str]:
    lines = ["", f"{title:<{_NAME_WIDTH}} flights   late  mean delay  cancelled"]
    for row in rows:
        bar = "█" * round(row["cancelled_percent"] / _PERCENT_PER_BLOCK)
        name = f"{row['name']:<{_NAME_WIDTH}.{_NAME_WIDTH}}"
        delay = (
            f"{row['late_percent']:4.0f} %  {row['mean_delay']:+6.1f} min" if row["flown"] else f"{'-':>6}  {'-':>10}"
        )
        lines.append(f"{name} {row['scheduled']:>7,} {delay} {row['cancelled_percent']:>7.1f} % {bar}".rstrip())
    return lines


def _destinations(table: str) -> list[str]:
    rows = [line.split("|", 2) for line in table.splitlines()]
    listed = [f"{float(delay):+6.1f} min  {int(flown):>4} arrivals  {name}" for delay, flown, name in rows]
    return ["", f"The {len(listed)} destinations with the longest delays on average", *listed]
