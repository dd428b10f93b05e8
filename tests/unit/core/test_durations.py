import pytest

from maestro.core.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("3s", 3), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1.5s", 1.5), (2, 2), (0.25, 0.25), (0, 0)],
)
def test_duration_is_parsed(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "3", "s", "-3s", "3 s", "3w", "1h30m", "9" * 400 + "d", True, None, -1, float("inf"), float("nan"), []]
)
def test_wrong_duration_is_refused(text):
    with pytest.raises(ValueError, match="should be a duration such as 200ms, 3s, 5m, 2h or 1d"):
        parse_duration(text)
