import datetime

import pytest

from maestro.core import shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0421, "42 ms"),
        (3.25, "3.2 s"),
        (60, "1 min"),
        (245, "4 min 5 s"),
        (7800, "2 h 10 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_duration_is_written_in_the_units_that_matter(seconds, text):
    assert shown.duration(datetime.timedelta(seconds=seconds)) == text


def test_no_duration_is_a_dash():
    assert shown.duration(None) == "\N{EN DASH}"


@pytest.mark.parametrize("show", [shown.json_block, shown.yaml_block, shown.text_block])
def test_markup_in_a_value_is_escaped(show):
    page = show("<script>alert(1)</script>")

    assert "<script" not in page
    assert "&lt;script" in page


def test_text_of_several_lines_is_a_block_in_yaml():
    assert shown.yaml_text({"b": "one\ntwo\n", "a": 1}) == "b: |\n  one\n  two\na: 1\n"


def test_what_is_too_long_for_a_page_is_cut_and_says_so():
    page = shown.text_block("x" * 200_000)

    assert len(page) < 110_000
    assert "cut: the whole has 200,000 characters" in page


def test_difference_shows_only_what_changed():
    page = shown.difference_block({"a": 1, "b": [1, 2]}, {"a": 2, "b": [1, 2]})

    assert 'class="gd">-a: 1' in page
    assert 'class="gi">+a: 2' in page


def test_values_too_long_to_be_compared_say_so():
    long = {f"k{number}": number for number in range(shown.MOST_DIFFERED_LINES + 1)}

    assert "too long to be compared" in shown.difference_block(long, {})


def test_dash_stands_for_an_empty_text():
    assert shown.text_block("") == shown.NOTHING
