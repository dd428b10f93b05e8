from examples.flights import Cleaned
from examples.flights_report import write_report

CLEANED: Cleaned = {"csv": "", "scheduled": 1500, "flown": 1000, "cancelled": 490, "diverted": 10, "dropped": 2}


def row(name, cancelled_percent=0.0, flown=10):
    return {
        "name": name,
        "scheduled": 1200,
        "flown": flown,
        "cancelled_percent": cancelled_percent,
        "late_percent": 12.6,
        "mean_delay": -3.25,
    }


def report(**changes):
    tables = {
        "days": [row("2013-02-08", 20.0), row("2013-02-09", 57.5)],
        "hours": [row("before 8 h")],
        "distances": [row("under 500 miles")],
        "visibility": [row("under 1 mile", 100.0, flown=0)],
        "carriers": [row("Virgin America")],
        "worst_destinations": "26.8|25|Richmond Intl (RIC)\n-4.0|1200|BUF",
        "highlights": ["All was well."],
    }
    return write_report(CLEANED, **{**tables, **changes})


def test_report_is_a_page_of_text():
    assert (
        report()["text"]
        == """\
FLIGHTS FROM NEW YORK, Fri 8 Feb to Sat 9 Feb 2013
1,500 scheduled: 1,000 arrived, 490 cancelled, 10 diverted. 2 rows could not be read.

* All was well.

Day                          flights   late  mean delay  cancelled
Fri 8 Feb                      1,200   13 %    -3.2 min    20.0 % ████
Sat 9 Feb                      1,200   13 %    -3.2 min    57.5 % ████████████

Scheduled departure          flights   late  mean delay  cancelled
before 8 h                     1,200   13 %    -3.2 min     0.0 %

Distance                     flights   late  mean delay  cancelled
under 500 miles                1,200   13 %    -3.2 min     0.0 %

Visibility at departure      flights   late  mean delay  cancelled
under 1 mile                   1,200      -           -   100.0 % ████████████████████

Airline                      flights   late  mean delay  cancelled
Virgin America                 1,200   13 %    -3.2 min     0.0 %

The 2 destinations with the longest delays on average
 +26.8 min    25 arrivals  Richmond Intl (RIC)
  -4.0 min  1200 arrivals  BUF"""
    )


def test_report_is_printed_line_by_line(capsys):
    text = report()["text"]

    assert capsys.readouterr().out == text + "\n"


def test_report_returns_its_figures():
    figures = report()

    del figures["text"]
    assert figures == {
        "scheduled": 1500,
        "cancelled_percent": 32.7,
        "worst_day": "2013-02-09",
        "most_punctual_carrier": "Virgin America",
    }


def test_no_line_is_wider_than_a_terminal():
    text = report(carriers=[row("An Airline With A Name That Is Far Too Long", 100.0)])["text"]

    assert max(len(line) for line in text.splitlines()) <= 100
