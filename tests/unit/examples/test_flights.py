import pytest

from examples import flights

HEADER = "year,month,day,dep_time,sched_dep_time,arr_delay,carrier,origin,dest,distance,hour,time_hour\n"
ROWS = [
    "2013,2,8,559,600,-5,UA,EWR,ORD,719,6,2013-02-08T11:00:00Z\n",
    "2013,2,8,630,600,45,UA,EWR,ORD,719,6,2013-02-08T11:00:00Z\n",
    "2013,2,8,NA,1500,NA,B6,JFK,SFO,2586,15,2013-02-08T20:00:00Z\n",
    "2013,2,9,2130,2000,NA,B6,JFK,SFO,2586,20,2013-02-10T01:00:00Z\n",
    "2013,2,9,2010,2000,15,B6,JFK,BUF,301,20,2013-02-10T01:00:00Z\n",
]
AIRLINES = "carrier,name\nUA,United\nB6,JetBlue\n"
AIRPORTS = "faa,name\nORD,Chicago Ohare Intl\nSFO,San Francisco Intl\n"
WEATHER = (
    "origin,visib,time_hour\nEWR,10,2013-02-08T11:00:00Z\nJFK,0.5,2013-02-08T20:00:00Z\nJFK,NA,2013-02-10T01:00:00Z\n"
)


@pytest.fixture
def cleaned():
    return flights.clean(HEADER + "".join(ROWS))["csv"]


def row(name, scheduled, flown, cancelled_percent, late_percent, mean_delay):
    return {
        "name": name,
        "scheduled": scheduled,
        "flown": flown,
        "cancelled_percent": cancelled_percent,
        "late_percent": late_percent,
        "mean_delay": mean_delay,
    }


def test_cleaning_tells_flown_cancelled_and_diverted_apart():
    cleaned = flights.clean(HEADER + "".join(ROWS))

    assert (cleaned["scheduled"], cleaned["flown"], cleaned["cancelled"]) == (5, 3, 1)
    assert (cleaned["diverted"], cleaned["dropped"]) == (1, 0)
    assert cleaned["csv"].splitlines()[1:3] == [
        "2013-02-08,6,2013-02-08T11:00:00Z,UA,EWR,ORD,719,flown,-5",
        "2013-02-08,6,2013-02-08T11:00:00Z,UA,EWR,ORD,719,flown,45",
    ]


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("2013,2,30,600,600,1,UA,EWR,ORD,719,6,x\n", "line 3 dropped: ValueError: day is out of range for month"),
        ("2013,2,8,600,600,1,UA,EWR,ORD,far,6,x\n", "line 3 dropped: ValueError: invalid literal for int()"),
        ("2013,2,8,600\n", "line 3 dropped: KeyError: 'arr_delay'"),
    ],
)
def test_row_nobody_can_read_is_dropped_and_reported(bad, complaint, capsys):
    cleaned = flights.clean(HEADER + ROWS[0] + bad + ROWS[1])

    assert (cleaned["scheduled"], cleaned["dropped"]) == (2, 1)
    assert capsys.readouterr().out.startswith(complaint)


def test_days_are_summarised(cleaned):
    assert flights.by_day(cleaned, 15) == [
        row("2013-02-08", 3, 2, 33.3, 50.0, 20.0),
        row("2013-02-09", 2, 1, 0.0, 100.0, 15.0),
    ]


def test_arrival_counts_as_late_from_the_given_minute_on(cleaned):
    assert [day["late_percent"] for day in flights.by_day(cleaned, 16)] == [50.0, 0.0]


def test_hours_are_in_the_order_of_the_day(cleaned):
    assert [(hour["name"], hour["scheduled"]) for hour in flights.by_hour(cleaned, 15)] == [
        ("before 8 h", 2),
        ("14 to 17 h", 1),
        ("from 20 h", 2),
    ]


def test_distances_are_in_the_order_of_their_length(cleaned):
    assert [(band["name"], band["scheduled"]) for band in flights.by_distance(cleaned, 15)] == [
        ("under 500 miles", 1),
        ("500 to 1,000 miles", 2),
        ("2,500 miles and more", 2),
    ]


def test_visibility_is_joined_by_airport_and_hour_and_flights_without_it_are_left_out(cleaned):
    assert flights.by_visibility(cleaned, WEATHER, 15) == [
        row("under 1 mile", 1, 0, 100.0, 0.0, 0.0),
        row("10 miles", 2, 2, 0.0, 50.0, 20.0),
    ]


def test_carriers_are_ranked_by_punctuality_and_named(cleaned):
    carriers = flights.by_carrier(cleaned, AIRLINES, 1, 15)

    assert [(carrier["name"], carrier["late_percent"]) for carrier in carriers] == [
        ("United", 50.0),
        ("JetBlue", 100.0),
    ]


def test_carriers_with_few_arrivals_are_left_out(cleaned):
    assert [carrier["name"] for carrier in flights.by_carrier(cleaned, AIRLINES, 2, 15)] == ["United"]


def test_destinations_are_lines_and_keep_their_code_where_no_name_is_known(cleaned):
    assert flights.by_destination(cleaned, AIRPORTS, 1, 15) == "15.0|1|BUF\n20.0|2|Chicago Ohare Intl (ORD)"


def test_highlights_compare_the_extremes():
    carriers = [row("United", 9, 9, 0.0, 10.4, 1.0), row("JetBlue", 9, 9, 0.0, 33.3, 9.0)]
    visibility = [row("under 1 mile", 9, 0, 87.5, 0.0, 0.0), row("10 miles", 9, 9, 5.1, 9.0, 1.0)]

    assert flights.highlights(carriers, visibility) == [
        "Most punctual: United, 10 % of its arrivals late.",
        "Least punctual: JetBlue, 33 % late.",
        "With a visibility of under 1 mile 88 % of the flights were cancelled, with 10 miles 5 %.",
    ]


def test_no_carriers_and_one_band_make_no_highlight():
    assert flights.highlights([], [row("10 miles", 9, 9, 5.1, 9.0, 1.0)]) == []


def test_file_outside_the_data_directory_is_refused():
    with pytest.raises(ValueError, match=r"'\.\./flights\.py' is not the name of a file in examples/data"):
        flights.read_file("../flights.py")
