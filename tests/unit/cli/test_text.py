"""Words for a terminal."""

from __future__ import annotations

import datetime

import pytest

from maestro.cli import text

NOW = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain ünïcode ✓", "plain ünïcode ✓"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31mred", r"\x9b31mred"),
        ("two\nlines\r", r"two\x0alines\x0d"),
        ("a\x7fb\x00", r"a\x7fb\x00"),
        ("user\u202etxt.exe", r"user\u202etxt.exe"),
        ("half \ud800", r"half \ud800"),
        ("line\u2028separator", r"line\u2028separator"),
    ],
)
def test_control_characters_are_shown_not_obeyed(given: str, shown: str):
    assert text.one_line(given) == shown


def test_block_keeps_line_breaks_and_tabs_only():
    assert text.block("a\tb\r\nc\x1b]0;title\x07") == "a\tb\nc\\x1b]0;title\\x07"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0s"),
        (-3, "0.0s"),
        (0.44, "0.4s"),
        (59.94, "59.9s"),
        (59.96, "1m 00s"),
        (125, "2m 05s"),
        (3599.6, "1h 00m"),
        (3720, "1h 02m"),
        (3 * 86400 + 4 * 3600, "3d 4h"),
    ],
)
def test_duration_is_said_as_a_person_says_it(seconds: float, said: str):
    assert text.duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "just now"), (1, "1 second ago"), (59, "59 seconds ago"), (60, "1 minute ago"), (90000, "1 day ago")],
)
def test_age_is_said_in_its_largest_unit(seconds: float, said: str):
    assert text.age(NOW - datetime.timedelta(seconds=seconds), NOW) == said


def test_elapsed_counts_to_now_until_the_end_is_known():
    start = NOW - datetime.timedelta(seconds=5)

    assert text.elapsed(start, None, NOW) == "5.0s"
    assert text.elapsed(start, start + datetime.timedelta(seconds=2), NOW) == "2.0s"
    assert text.elapsed(None, None, NOW) == ""


def test_timestamp_is_in_utc():
    in_delhi = datetime.timezone(datetime.timedelta(hours=5, minutes=30))

    assert text.timestamp(datetime.datetime(2026, 1, 2, 3, tzinfo=in_delhi)) == "2026-01-01 21:30:00Z"
