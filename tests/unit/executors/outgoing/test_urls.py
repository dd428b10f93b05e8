import pytest

from executors.outgoing.urls import InvalidUrl, Url


@pytest.mark.parametrize(
    ("text", "origin", "shown"),
    [
        ("HTTP://Example.ORG", ("http", "example.org", 80), "http://example.org/"),
        ("https://example.org:443/a b?token=x#part", ("https", "example.org", 443), "https://example.org/a%20b"),
        ("http://bücher.example:81/", ("http", "xn--bcher-kva.example", 81), "http://xn--bcher-kva.example:81/"),
        ("http://example.org/ü/%zz?ä=ö", ("http", "example.org", 80), "http://example.org/%C3%BC/%25zz"),
        ("http://[::FFFF:7f00:1]:8080/x", ("http", "[::ffff:7f00:1]", 8080), "http://[::ffff:7f00:1]:8080/x"),
    ],
)
def test_url_is_read_once_and_shown_without_its_query(text, origin, shown):
    url = Url.parse(text)

    assert (url.origin, str(url)) == (origin, shown)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ftp://example.org/", "must begin with http"),
        ("file:///etc/passwd", "must begin with http"),
        ("gopher://example.org/", "must begin with http"),
        ("example.org/path", "must begin with http"),
        ("", "must begin with http"),
        ("http://user:hush@example.org/", "user or password"),
        ("http:///path", "names no host"),
        ("http://exa\nmple.org/", "control character"),
        ("http://example.org/\r\nX: y", "control character"),
        ("http://example.org:99999/", "is not a URL"),
        ("http://[::1/", "is not a URL"),
        ("http://a\ud800b/", "is not a URL"),
    ],
)
def test_what_may_not_be_requested_is_refused_without_being_repeated(text, complaint):
    with pytest.raises(InvalidUrl, match=complaint) as caught:
        Url.parse(text)

    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/next?page=2", "http://a.example/next?page=2"),
        ("next", "http://a.example/one/next"),
        ("//b.example/", "http://b.example/"),
        ("https://b.example:8443/x", "https://b.example:8443/x"),
        ("?page=2", "http://a.example/one/two?page=2"),
    ],
)
def test_location_is_read_beside_the_url_it_came_from(location, target):
    url = Url.parse("http://a.example/one/two?page=1").join(location)

    assert f"{url}{url.query_part}" == target


@pytest.mark.parametrize("location", ["ftp://b.example/", "http://u:p@b.example/", "http://[::1"])
def test_location_that_may_not_be_requested_is_refused(location):
    with pytest.raises(InvalidUrl):
        Url.parse("http://a.example/").join(location)
