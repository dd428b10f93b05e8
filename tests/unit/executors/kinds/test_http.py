import gzip
import json
import socket
import threading
import time
import tracemalloc

import pytest

from executors.base import CANCELLED, MAX_OUTPUT_BYTES
from executors.kinds.http import HttpExecutor, HttpOptions
from executors.outgoing import connection
from tests.unit.executors.context import FakeContext, make_request
from tests.unit.executors.outgoing.server import CERTIFICATE, http_answer, serving

JSON = "Content-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def loopback_is_allowed(settings):
    settings.MAESTRO_HTTP_ALLOWED_HOSTS = ("127.0.0.0/8",)


def run(url, context=None, **options):
    request = make_request(HttpOptions.model_validate_json(json.dumps({"url": url, **options})))
    return HttpExecutor().execute(request, context or FakeContext())


def redirect_to(location, status="302 Found"):
    return http_answer(status=status, headers=f"Location: {location}\r\n")


def header_lines(request):
    return {line.lower() for line in request.partition("\r\n\r\n")[0].split("\r\n")}


def test_json_answer_is_a_value_and_header_names_are_lower_case():
    with serving(http_answer(b'{"rows": [1, 2.5]}', headers=JSON + "X-Page: 1\r\nX-Page: 2\r\n")) as server:
        output = run(server.url).output

    assert output["status"] == 200
    assert output["body"] == {"rows": [1, 2.5]}
    assert output["headers"]["x-page"] == "1, 2"
    assert output["headers"]["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "headers", "value"),
    [
        ("größer".encode(), "Content-Type: text/plain\r\n", "größer"),
        ("größer".encode("latin-1"), "Content-Type: text/plain; charset=ISO-8859-1\r\n", "größer"),
        (b'{"a": 1}', "", '{"a": 1}'),
        (b'{"a": 1}', "Content-Type: application/problem+json; charset=utf-8\r\n", {"a": 1}),
        (b"\xef\xbb\xbf[]", JSON, []),
        (b"", JSON, None),
        (gzip.compress(b"packed"), "Content-Encoding: gzip\r\n", "packed"),
    ],
)
def test_body_is_read_as_its_headers_say(body, headers, value):
    with serving(http_answer(body, headers=headers)) as server:
        assert run(server.url).output["body"] == value


def test_body_in_chunks_is_put_together():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    packed = gzip.compress(b"in pieces" * 20_000)
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (packed[:7], packed[7:90], packed[90:])]
    with serving(lambda _: [head, *chunks, b"0\r\n\r\n"]) as server:
        assert run(server.url).output["body"] == "in pieces" * 20_000


def test_body_without_a_length_ends_with_the_connection():
    with serving(b"HTTP/1.0 200 OK\r\n\r\nto the end") as server:
        assert run(server.url).output["body"] == "to the end"


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"\x89PNG\xff", "Content-Type: image/png\r\n", "body_not_text"),
        (b"x", "Content-Type: text/plain; charset=punycode\r\n", "body_not_text"),
        (b"x", "Content-Type: text/plain; charset=no-such\r\n", "body_not_text"),
        (b"{", JSON, "invalid_response"),
        (b"NaN", JSON, "invalid_response"),
        (b"not gzip", "Content-Encoding: gzip\r\n", "invalid_response"),
    ],
)
def test_body_that_is_not_what_it_says_fails(body, headers, code):
    with serving(http_answer(body, headers=headers)) as server:
        assert run(server.url).error.code == code


def test_query_headers_and_body_are_sent_as_given():
    with serving(http_answer()) as server:
        run(
            f"{server.url}/search?a=1",
            method="POST",
            query={"q": "x & y", "tag": ["a", "b"], "top": 3, "all": True},
            headers={"X-Number": 5, "Authorization": "Bearer hush"},
            body={"name": "Zoë"},
        )

    request = server.requests[0]
    assert request.startswith("POST /search?a=1&q=x+%26+y&tag=a&tag=b&top=3&all=true HTTP/1.1\r\n")
    assert request.endswith('\r\n\r\n{"name": "Zoë"}')
    assert header_lines(request) >= {
        f"host: 127.0.0.1:{server.port}",
        "x-number: 5",
        "authorization: bearer hush",
        "content-type: application/json",
        "idempotency-key: token",
        "content-length: 16",
    }


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, None),
        ({"method": "HEAD"}, None),
        ({"method": "DELETE"}, "idempotency-key: token"),
        ({"method": "PUT", "headers": {"idempotency-KEY": "mine"}}, "idempotency-key: mine"),
    ],
)
def test_method_that_changes_something_carries_the_idempotency_token(options, key):
    with serving(http_answer()) as server:
        run(server.url, **options)

    keys = [line for line in header_lines(server.requests[0]) if line.startswith("idempotency-key")]
    assert keys == ([key] if key else [])


@pytest.mark.parametrize(
    ("expect", "status", "is_success"),
    [
        ("2xx", "204 No Content", True),
        ("2xx", "404 Not Found", False),
        (404, "404 Not Found", True),
        ("404", "404 Not Found", True),
        (["2xx", 404], "404 Not Found", True),
        ("200-204", "205 Reset Content", False),
        ("3xx", "304 Not Modified", True),
    ],
)
def test_only_an_expected_status_is_a_success(expect, status, is_success):
    with serving(http_answer(status=status)) as server:
        result = run(server.url, expect=expect)

    assert (result.error is None) is is_success


def test_unexpected_status_is_told_without_secrets_and_the_answer_is_logged():
    context = FakeContext()
    with serving(http_answer(b"No such table.\n", status="404 Not Found")) as server:
        error = run(f"{server.url}/x?key=hush", context, headers={"Authorization": "Bearer hush"}).error

    assert error.code == "unexpected_status"
    assert error.message == f"GET {server.url}/x answered 404 Not Found; expected was 2xx."
    assert not error.is_retryable
    assert [line for stream, level, line in context.lines if level == "warning"] == ["No such table.\n"]
    assert "hush" not in str(context.lines)


@pytest.mark.parametrize(("status", "is_retryable"), [("429 Slow", True), ("503 Busy", True), ("400 Bad", False)])
def test_status_says_whether_another_try_may_help(status, is_retryable):
    with serving(http_answer(status=status)) as server:
        assert run(server.url).error.is_retryable is is_retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("Retry-After: 7\r\n", 7),
        ("Date: Fri, 31 Dec 1999 23:59:00 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 59),
        ("Date: Fri, 31 Dec 1999 23:59:00 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:00:00 GMT\r\n", 0),
        ("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", None),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: -1\r\n", None),
        ("", None),
    ],
)
def test_time_that_the_server_asks_for_is_handed_on(headers, seconds):
    with serving(http_answer(status="429 Slow", headers=headers)) as server:
        assert run(server.url).error.retry_after == seconds


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/x?hush", "http://[::1]:1/", "http://0.0.0.0:1/", "http://localhost:1/", "http://127.1:1/"],
)
def test_address_that_is_not_public_is_refused(settings, url):
    settings.MAESTRO_HTTP_ALLOWED_HOSTS = ()

    error = run(url).error

    assert (error.code, error.is_retryable) == ("address_refused", False)
    assert "not public" in error.message
    assert "MAESTRO_HTTP_ALLOWED_HOSTS" in error.message
    assert "hush" not in error.message


def test_one_private_address_among_public_ones_is_enough_to_refuse(settings, monkeypatch):
    settings.MAESTRO_HTTP_ALLOWED_HOSTS = ()
    answers = [(socket.AF_INET, 1, 6, "", ("93.184.216.34", 80)), (socket.AF_INET, 1, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)

    error = run("http://rebound.example/").error

    assert error.code == "address_refused"
    assert "10.0.0.1" not in error.message


def test_name_is_resolved_once_and_the_checked_address_is_dialled(monkeypatch):
    asked = []

    def rebinding(name, port, *_, **__):
        asked.append(name)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with serving(http_answer(b"reached")) as server:
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        output = run(f"http://rebound.example:{server.port}/").output
        monkeypatch.undo()

    assert output["body"] == "reached"
    assert asked == ["rebound.example"]
    assert f"host: rebound.example:{server.port}" in header_lines(server.requests[0])


def test_the_platform_may_be_reached_in_embedded_mode_and_nothing_beside_it(settings):
    settings.MAESTRO_HTTP_ALLOWED_HOSTS = ()
    settings.MAESTRO_IS_EMBEDDED = True
    with serving(http_answer(b"platform")) as platform, serving(http_answer(b"database")) as other:
        settings.MAESTRO_PUBLIC_URL = platform.url

        assert run(f"{platform.url}/health").output["body"] == "platform"
        assert run(other.url).error.code == "address_refused"
        assert run(f"http://localhost:{platform.port}/").error.code == "address_refused"
        settings.MAESTRO_IS_EMBEDDED = False
        assert run(platform.url).error.code == "address_refused"

    assert other.requests == []


def test_name_of_the_platform_that_leads_into_a_network_is_refused(settings, monkeypatch):
    settings.MAESTRO_HTTP_ALLOWED_HOSTS = ()
    settings.MAESTRO_IS_EMBEDDED = True
    settings.MAESTRO_PUBLIC_URL = "http://maestro.example:3000"
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("10.0.0.1", 3000))])

    assert run("http://maestro.example:3000/health").error.code == "address_refused"


def test_proxy_of_the_environment_is_ignored(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with serving(http_answer(b"direct")) as server:
        assert run(server.url).output["body"] == "direct"


def test_redirect_is_followed_and_every_hop_is_logged():
    context = FakeContext()
    with serving(lambda request: http_answer(b"there") if "GET /b" in request else redirect_to("/b?hush")) as server:
        output = run(f"{server.url}/a", context).output

    assert output["body"] == "there"
    assert [line.rpartition(" in ")[0] for _, _, line in context.lines] == [
        f"GET {server.url}/a: 302 Found, 0 bytes",
        f"GET {server.url}/b: 200 OK, 5 bytes",
    ]


def test_redirect_to_a_private_address_is_refused(settings):
    with serving(redirect_to("http://169.254.169.254/latest/")) as server:
        settings.MAESTRO_HTTP_ALLOWED_HOSTS = (f"127.0.0.1:{server.port}",)
        assert run(server.url).error.code == "address_refused"


def test_redirect_that_is_expected_is_not_followed():
    with serving(redirect_to("http://169.254.169.254/")) as server:
        assert run(server.url, expect="3xx").output["headers"]["location"] == "http://169.254.169.254/"


@pytest.mark.parametrize("location", ["ftp://example.org/", "http://user:hush@example.org/"])
def test_redirect_to_what_is_no_plain_url_is_refused(location):
    with serving(redirect_to(location)) as server:
        error = run(server.url).error

    assert (error.code, error.is_retryable) == ("redirect_refused", False)
    assert "hush" not in error.message


def test_redirects_without_end_are_given_up():
    with serving(redirect_to("/again")) as server:
        error = run(server.url).error

    assert (error.code, error.is_retryable) == ("too_many_redirects", False)
    assert len(server.requests) == 6


def test_credentials_stay_with_the_origin_they_were_given_for():
    secrets = {"Authorization": "Bearer hush", "Cookie": "hush", "X-Api-Key": "hush", "Accept": "text/csv"}
    with serving(http_answer()) as second, serving(redirect_to(f"{second.url}/", "307 Temporary Redirect")) as first:
        run(first.url, method="POST", body="text", headers=secrets)

    assert first.requests[0].count("hush") == 3
    assert "hush" not in second.requests[0]
    assert second.requests[0].startswith("POST / ")
    assert second.requests[0].endswith("\r\n\r\ntext")
    assert "accept: text/csv" in header_lines(second.requests[0])


@pytest.mark.parametrize(
    ("method", "status", "follows"),
    [
        ("POST", "302 Found", "GET"),
        ("PUT", "303 See Other", "GET"),
        ("PUT", "302 Found", "PUT"),
        ("POST", "308 P", "POST"),
    ],
)
def test_redirect_changes_the_method_as_browsers_do(method, status, follows):
    with serving(lambda request: http_answer() if " /b " in request else redirect_to("/b", status)) as server:
        run(f"{server.url}/a", method=method, body="text")

    assert server.requests[1].startswith(f"{follows} /b ")
    assert server.requests[1].endswith("\r\n\r\ntext") is (follows != "GET")


def test_server_that_drips_is_given_up_when_the_time_is_up():
    def drip(_request):
        yield b"HTTP/1.1 200 OK\r\n"
        while server.pause(0.05):
            yield b"X: y\r\n"

    with serving(drip) as server:
        error = run(server.url, timeout="300ms").error

    assert (error.code, error.message) == ("timed_out", "No complete answer within 0.3 seconds.")
    assert error.is_retryable
    assert not [thread for thread in threading.enumerate() if thread.name == "outgoing"]


def test_resolver_that_hangs_is_given_up_when_the_time_is_up(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(30) and [])

    error = run("http://slow.example/", timeout="100ms").error
    released.set()

    assert error.code == "timed_out"


def test_cancel_ends_a_request_that_waits():
    def silence(_request):
        server.pause(30)
        yield b""

    with serving(silence) as server:
        context = FakeContext(is_cancelled=lambda: bool(server.requests))
        started = time.monotonic()
        assert run(server.url, context).error == CANCELLED

    assert time.monotonic() - started < 20


def test_body_over_the_limit_is_refused_without_being_read_to_its_end():
    def pour(_request):
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while server.pause(0):
            yield b"x" * 65536

    with serving(pour) as server:
        error = run(server.url).error

    assert (error.code, error.is_retryable) == ("too_large", False)
    assert "1,048,576" in error.message


def test_body_that_swells_when_unpacked_never_fills_the_memory():
    bomb = gzip.compress(b"\0" * 200 * 1024 * 1024)
    with serving(http_answer(bomb, headers="Content-Encoding: gzip\r\n")) as server:
        tracemalloc.start()
        error = run(server.url).error
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert error.code == "too_large"
    assert peak < 10 * MAX_OUTPUT_BYTES


@pytest.mark.parametrize(
    "headers", ["X: " + "y" * 70_000 + "\r\n", "X: y\r\n" * 101, "".join(f"X{n}: {'y' * 900}\r\n" for n in range(90))]
)
def test_headers_over_the_limit_are_refused(headers):
    with serving(http_answer(headers=headers)) as server:
        error = run(server.url).error

    assert (error.code, error.is_retryable) == ("too_large", False)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n", "invalid_response"),
        (b"", "connection_failed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "connection_failed"),
    ],
)
def test_answer_that_is_broken_fails_and_may_be_tried_again(answer, code):
    with serving(answer) as server:
        error = run(server.url).error

    assert (error.code, error.is_retryable) == (code, True)


def test_port_nobody_listens_on_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    error = run(f"http://127.0.0.1:{port}/").error

    assert (error.code, error.message) == (
        "connection_failed",
        f"No connection to 127.0.0.1:{port}: Connection refused.",
    )


def test_name_nobody_knows_is_told(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert run("http://gone.example/").error.code == "name_not_resolved"


def test_certificate_that_nobody_vouches_for_is_refused(settings):
    settings.MAESTRO_HTTP_ALLOWED_HOSTS = ("localhost",)
    with serving(http_answer(), is_secure=True) as server:
        error = run(f"https://localhost:{server.port}/").error

    assert (error.code, error.is_retryable) == ("tls_failed", False)
    assert "self-signed certificate" in error.message
    assert server.requests == []


@pytest.fixture
def trusted_certificate(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    connection._tls_context.cache_clear()
    yield
    connection._tls_context.cache_clear()


def test_trusted_certificate_is_good_for_its_own_name_only(settings, trusted_certificate):
    settings.MAESTRO_HTTP_ALLOWED_HOSTS = ("localhost", "127.0.0.0/8")
    with serving(http_answer(b"secured"), is_secure=True) as server:
        assert run(f"https://localhost:{server.port}/").output["body"] == "secured"
        assert run(f"https://127.0.0.1:{server.port}/").error.code == "tls_failed"


def test_redirect_from_https_down_to_http_is_refused(settings, trusted_certificate):
    settings.MAESTRO_HTTP_ALLOWED_HOSTS = ("localhost",)
    with serving(redirect_to("http://localhost:1/"), is_secure=True) as server:
        error = run(f"https://localhost:{server.port}/").error

    assert (error.code, error.is_retryable) == ("redirect_refused", False)


def test_server_that_speaks_no_tls_is_told():
    def greet():
        accepted, _ = listener.accept()
        accepted.sendall(b"220 mail.example ready\r\n")
        accepted.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        greeter = threading.Thread(target=greet)
        greeter.start()
        error = run(f"https://127.0.0.1:{listener.getsockname()[1]}/").error
        greeter.join()

    assert error.code == "tls_failed"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"url": "ftp://example.org/"}, "must begin with http"),
        ({"method": "get"}, "Input should be 'GET'"),
        ({"headers": {"Host": "x"}}, "is set by the platform"),
        ({"headers": {"a b": "x"}}, "is no name of a header"),
        ({"headers": {"X": "1\n2"}}, "has a line break"),
        ({"headers": {"X": ["1"]}}, "valid string"),
        ({"query": {"filter": {"a": 1}}}, "should be text, a number, true or false, or a list of them"),
        ({"query": {"filter": [None]}}, "should be text, a number, true or false, or a list of them"),
        ({"expect": "9xx"}, "should be a status such as 200"),
        ({"expect": []}, "at least one status"),
        ({"timeout": "0s"}, "longer than 0"),
        ({"timeout": "2h"}, "at most 1h"),
        ({"follow": True}, "Extra inputs"),
    ],
)
def test_wrong_options_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        HttpOptions.model_validate_json(json.dumps({"url": "http://example.org/", **options}))
