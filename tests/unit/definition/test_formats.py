"""The formats that inputs may be declared with."""

import pytest

from workflows.definition.formats import is_date_time, is_email, is_hostname, is_uri


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (is_date_time, "2026-02-28T23:59:59Z"),
        (is_date_time, "2026-02-28t23:59:59.123456789+05:30"),
        (is_email, "ada@example.org"),
        (is_hostname, "a.example-1.org"),
        (is_uri, "https://example.org/a?b=c#d"),
        (is_uri, "urn:isbn:0451450523"),
        (is_uri, "http://[::1]:80/%20"),
        (is_uri, 7),
        (is_date_time, None),
    ],
)
def test_text_of_the_format_passes(check, good):
    assert check(good)


@pytest.mark.parametrize(
    ("check", "bad"),
    [
        (is_date_time, "2026-02-30T00:00:00Z"),
        (is_date_time, "2026-02-28T23:59:59"),
        (is_date_time, "2026-02-28 23:59:59Z"),
        (is_date_time, "20260228T235959Z"),
        (is_email, "ada"),
        (is_email, "a@b@c"),
        (is_hostname, "-a.org"),
        (is_hostname, "a" * 64),
        (is_hostname, ""),
        (is_uri, "example.org"),
        (is_uri, "http://a b"),
        (is_uri, "http://[::1"),
        (is_uri, "http://a/%zz"),
    ],
)
def test_other_text_is_refused(check, bad):
    assert not check(bad)
