"""The example's figures against the raw files, calculated a second way: by SQL."""

import csv
import sqlite3

import pytest

from examples import flights

TABLES = ("flights", "weather", "airlines", "airports")
MEASURES = """
    count(*),
    sum(arr_delay <> 'NA'),
    round(100.0 * sum(dep_time = 'NA') / count(*), 1),
    round(100.0 * sum(arr_delay <> 'NA' and cast(arr_delay as int) >= 15) / sum(arr_delay <> 'NA'), 1),
    round(avg(case when arr_delay <> 'NA' then cast(arr_delay as int) end), 1)
"""


@pytest.fixture(scope="module")
def database():
    connection = sqlite3.connect(":memory:")
    for table in TABLES:
        with (flights.DATA_DIRECTORY / f"{table}.csv").open(newline="") as file:
            names, *rows = csv.reader(file)
        connection.execute(f"create table {table} ({', '.join(names)})")
        connection.executemany(f"insert into {table} values ({', '.join('?' * len(names))})", rows)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def cleaned():
    return flights.clean(flights.read_file("flights.csv"))


def values(rows):
    return [tuple(row.values()) for row in rows]


def test_slice_is_what_its_readme_says(database):
    counts = {table: database.execute(f"select count(*) from {table}").fetchone()[0] for table in TABLES}
    days = database.execute("select distinct year || '-' || month || '-' || day from flights").fetchall()

    assert counts == {"flights": 4276, "weather": 360, "airlines": 16, "airports": 91}
    assert sorted(days) == [("2013-2-10",), ("2013-2-6",), ("2013-2-7",), ("2013-2-8",), ("2013-2-9",)]


def test_files_stay_small():
    assert sum(path.stat().st_size for path in flights.DATA_DIRECTORY.iterdir()) < 500_000


def test_counts(database, cleaned):
    expected = database.execute(
        "select count(*), sum(arr_delay <> 'NA'), sum(dep_time = 'NA'), sum(dep_time <> 'NA' and arr_delay = 'NA')"
        " from flights"
    ).fetchone()

    assert (cleaned["scheduled"], cleaned["flown"], cleaned["cancelled"], cleaned["diverted"]) == expected
    assert expected == (4276, 3364, 903, 9)
    assert cleaned["dropped"] == 0


def test_days(database, cleaned):
    expected = database.execute(
        f"select printf('2013-02-%02d', day), {MEASURES} from flights group by 1 order by 1"
    ).fetchall()

    assert values(flights.by_day(cleaned["csv"], 15)) == expected


def test_carriers(database, cleaned):
    expected = database.execute(
        f"select name, {MEASURES} from flights join airlines using (carrier)"
        " group by 1 having sum(arr_delay <> 'NA') >= 20 order by 5, 1"
    ).fetchall()

    assert values(flights.by_carrier(cleaned["csv"], flights.read_file("airlines.csv"), 20, 15)) == expected
    assert len(expected) == 11


def test_distances(database, cleaned):
    expected = database.execute(
        f"""select case when cast(distance as int) < 500 then 1 when cast(distance as int) < 1000 then 2
            when cast(distance as int) < 1500 then 3 when cast(distance as int) < 2500 then 4 else 5 end, {MEASURES}
            from flights group by 1 order by 1"""
    ).fetchall()

    assert [row[1:] for row in values(flights.by_distance(cleaned["csv"], 15))] == [row[1:] for row in expected]


def test_hours(database, cleaned):
    expected = database.execute(
        f"""select case when cast(hour as int) < 8 then 0 when cast(hour as int) >= 20 then 20
            else (cast(hour as int) - 8) / 3 + 8 end, {MEASURES} from flights group by 1 order by 1"""
    ).fetchall()

    assert [row[1:] for row in values(flights.by_hour(cleaned["csv"], 15))] == [row[1:] for row in expected]


def test_visibility(database, cleaned):
    expected = database.execute(
        f"""select case when cast(visib as real) < 1 then 0 when cast(visib as real) < 3 then 1
            when cast(visib as real) < 10 then 3 else 10 end, {MEASURES.replace("count(*)", "count(arr_delay)")}
            from flights join weather using (origin, time_hour) group by 1 order by 1"""
    ).fetchall()

    rows = flights.by_visibility(cleaned["csv"], flights.read_file("weather.csv"), 15)

    # SQL has no average where nothing arrived; the example shows 0.
    assert [row[1:] for row in values(rows)] == [tuple(cell or 0.0 for cell in row[1:]) for row in expected]
    assert sum(row["scheduled"] for row in rows) == 4276


def test_destinations(database, cleaned):
    expected = database.execute(
        """select avg(cast(arr_delay as int)), count(*),
                  coalesce((select name || ' (' || faa || ')' from airports where faa = dest), dest)
           from flights where arr_delay <> 'NA' group by dest having count(*) >= 20"""
    ).fetchall()

    lines = flights.by_destination(cleaned["csv"], flights.read_file("airports.csv"), 20, 15).splitlines()

    assert sorted(lines) == sorted(f"{round(delay, 1)}|{count}|{name}" for delay, count, name in expected)
