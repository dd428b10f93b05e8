"""The functions of `flight-delays.yaml`: JSON values in, JSON values out; they know nothing of workflows."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypedDict

DATA_DIRECTORY = Path(__file__).parent / "data"

FLOWN, CANCELLED, DIVERTED = "flown", "cancelled", "diverted"
_MISSING = {"", "NA"}
_HOURS = (
    (0, "before 8 h"),
    (8, "8 to 11 h"),
    (11, "11 to 14 h"),
    (14, "14 to 17 h"),
    (17, "17 to 20 h"),
    (20, "from 20 h"),
)
_MILES = (
    (0, "under 500 miles"),
    (500, "500 to 1,000 miles"),
    (1000, "1,000 to 1,500 miles"),
    (1500, "1,500 to 2,500 miles"),
    (2500, "2,500 miles and more"),
)
_VISIBILITY = ((0, "under 1 mile"), (1, "1 to 3 miles"), (3, "3 to 10 miles"), (10, "10 miles"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """One scheduled flight."""

    day: str
    """Scheduled day of departure, ISO."""
    hour: int
    """Scheduled hour of departure, local time."""
    time_hour: str
    """The same in UTC; with `origin` the key of the weather."""
    carrier: str
    """Code of the airline."""
    origin: str
    """Airport of departure."""
    dest: str
    """Airport of arrival."""
    distance: int
    """Miles."""
    status: str
    """FLOWN, CANCELLED or DIVERTED."""
    delay: int
    """Minutes late at arrival, negative when early; 0 unless FLOWN."""


class Row(TypedDict):
    """One line of a table: some flights and how they fared."""

    name: str
    scheduled: int
    flown: int
    cancelled_percent: float
    late_percent: float
    mean_delay: float


class Cleaned(TypedDict):
    """The flights that can be used, as CSV text (a string passes from task to task more cheaply than 4,000 objects)."""

    csv: str
    scheduled: int
    flown: int
    cancelled: int
    diverted: int
    dropped: int


def read_file(name: str) -> str:
    """Return the text of a file in the data directory beside this module."""
    path = (DATA_DIRECTORY / name).resolve()
    if path.parent != DATA_DIRECTORY.resolve():
        raise ValueError(f"{name!r} is not the name of a file in examples/data.")
    text = path.read_text(encoding="utf-8")
    print(f"{name}: {text.count(chr(10)) - 1:,} rows")
    return text


def clean(raw_flights: str) -> Cleaned:
    """Keep the columns in use, tell flown, cancelled and diverted flights apart, drop rows nobody can read."""
    flights: list[Flight] = []
    dropped = 0
    for line, record in enumerate(csv.DictReader(io.StringIO(raw_flights)), start=2):
        try:
            flights.append(_parse(record))
        except (KeyError, ValueError) as error:
            dropped += 1
            print(f"line {line} dropped: {type(error).__name__}: {error}")
    counts = {status: sum(flight.status == status for flight in flights) for status in (FLOWN, CANCELLED, DIVERTED)}
    print(f"{len(flights):,} flights kept ({counts[CANCELLED]:,} of them cancelled), {dropped:,} rows dropped")
    return {
        "csv": _write(flights),
        "scheduled": len(flights),
        "flown": counts[FLOWN],
        "cancelled": counts[CANCELLED],
        "diverted": counts[DIVERTED],
        "dropped": dropped,
    }


def by_day(flights: str, late_after: int) -> list[Row]:
    """Return one row for each day."""
    return _summaries(_read(flights), lambda flight: flight.day, late_after)


def by_hour(flights: str, late_after: int) -> list[Row]:
    """Return one row for each part of the day."""
    return _banded(_read(flights), _HOURS, lambda flight: flight.hour, late_after)


def by_distance(flights: str, late_after: int) -> list[Row]:
    """Return one row for each band of distances."""
    return _banded(_read(flights), _MILES, lambda flight: flight.distance, late_after)


def by_visibility(flights: str, weather: str, late_after: int) -> list[Row]:
    """Return one row for each band of visibility at the airport in the hour of departure.

    Flights in hours for which there is no weather are left out.
    """
    visibility = {
        (record["origin"], record["time_hour"]): float(record["visib"])
        for record in csv.DictReader(io.StringIO(weather))
        if record["visib"] not in _MISSING
    }
    observed = [flight for flight in _read(flights) if (flight.origin, flight.time_hour) in visibility]
    return _banded(observed, _VISIBILITY, lambda flight: visibility[flight.origin, flight.time_hour], late_after)


def by_carrier(flights: str, airlines: str, minimum_flights: int, late_after: int) -> list[Row]:
    """Return one row for each airline with enough arrivals, the most punctual first."""
    names = {record["carrier"]: record["name"] for record in csv.DictReader(io.StringIO(airlines))}
    rows = _summaries(_read(flights), lambda flight: names.get(flight.carrier, flight.carrier), late_after)
    enough = [row for row in rows if row["flown"] >= minimum_flights]
    return sorted(enough, key=lambda row: (row["late_percent"], row["name"]))


def by_destination(flights: str, airports: str, minimum_flights: int, late_after: int) -> str:
    """Return a line `mean delay|arrivals|airport` for each destination with enough arrivals, for a tool to sort."""
    names = {record["faa"]: f"{record['name']} ({record['faa']})" for record in csv.DictReader(io.StringIO(airports))}
    rows = _summaries(_read(flights), lambda flight: names.get(flight.dest, flight.dest), late_after)
    enough = [row for row in rows if row["flown"] >= minimum_flights]
    return "\n".join(f"{row['mean_delay']}|{row['flown']}|{row['name']}" for row in enough)


def highlights(carriers: list[Row], visibility: list[Row]) -> list[str]:
    """Return the sentences a newspaper would print."""
    sentences = []
    if carriers:
        best, worst = carriers[0], carriers[-1]
        sentences.append(f"Most punctual: {best['name']}, {best['late_percent']:.0f} % of its arrivals late.")
        sentences.append(f"Least punctual: {worst['name']}, {worst['late_percent']:.0f} % late.")
    if len(visibility) > 1:
        low, high = visibility[0], visibility[-1]
        sentences.append(
            f"With a visibility of {low['name']} {low['cancelled_percent']:.0f} % of the flights were cancelled, "
            f"with {high['name']} {high['cancelled_percent']:.0f} %."
        )
    for sentence in sentences:
        print(sentence)
    return sentences


def _parse(record: Mapping[str, str | None]) -> Flight:
    cells = {name: value for name, value in record.items() if value is not None}
    day = datetime.date(int(cells["year"]), int(cells["month"]), int(cells["day"]))
    status = DIVERTED if cells["arr_delay"] in _MISSING else FLOWN
    if cells["dep_time"] in _MISSING:
        status = CANCELLED
    return Flight(
        day=day.isoformat(),
        hour=int(cells["hour"]),
        time_hour=cells["time_hour"],
        carrier=cells["carrier"],
        origin=cells["origin"],
        dest=cells["dest"],
        distance=int(cells["distance"]),
        status=status,
        delay=int(cells["arr_delay"]) if status == FLOWN else 0,
    )


def _write(flights: Iterable[Flight]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Flight)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(flight) for flight in flights)
    return text.getvalue()


def _read(text: str) -> list[Flight]:
    return [
        Flight(
            day=record["day"],
            hour=int(record["hour"]),
            time_hour=record["time_hour"],
            carrier=record["carrier"],
            origin=record["origin"],
            dest=record["dest"],
            distance=int(record["distance"]),
            status=record["status"],
            delay=int(record["delay"]),
        )
        for record in csv.DictReader(io.StringIO(text))
    ]


def _banded(
    flights: Iterable[Flight],
    bands: tuple[tuple[int, str], ...],
    measure: Callable[[Flight], float],
    late_after: int,
) -> list[Row]:
    """Summarise flights by the last band whose lower bound their measure reaches, in the order of the bands."""
    names = dict(bands)
    rows = _summaries(
        flights, lambda flight: names[max(lower for lower in names if lower <= measure(flight))], late_after
    )
    order = list(names.values())
    return sorted(rows, key=lambda row: order.index(row["name"]))


def _summaries(flights: Iterable[Flight], name_of: Callable[[Flight], str], late_after: int) -> list[Row]:
    """Summarise flights by name, in the order of the names."""
    groups: dict[str, list[Flight]] = {}
    for flight in flights:
        groups.setdefault(name_of(flight), []).append(flight)
    rows = [_summary(name, members, late_after) for name, members in sorted(groups.items())]
    print(f"{len(rows)} groups")
    return rows


def _summary(name: str, flights: list[Flight], late_after: int) -> Row:
    delays = [flight.delay for flight in flights if flight.status == FLOWN]
    cancelled = sum(flight.status == CANCELLED for flight in flights)
    return {
        "name": name,
        "scheduled": len(flights),
        "flown": len(delays),
        "cancelled_percent": round(100 * cancelled / len(flights), 1),
        "late_percent": round(100 * sum(delay >= late_after for delay in delays) / len(delays), 1) if delays else 0.0,
        "mean_delay": round(sum(delays) / len(delays), 1) if delays else 0.0,
    }
