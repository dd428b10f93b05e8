"""One request and its answer, over as many redirects as are allowed; each is checked like the first URL."""

from __future__ import annotations

import contextlib
import dataclasses
import http
import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from urllib3.connection import HTTPConnection
from urllib3.exceptions import DecodeError, HTTPError
from urllib3.response import BaseHTTPResponse

from executors.outgoing.connection import Policy, connect
from executors.outgoing.errors import OutgoingFailed
from executors.outgoing.link import Link
from executors.outgoing.urls import InvalidUrl, Url

MAX_REDIRECTS = 5
MAX_HEADER_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# All that goes on to another origin: any other header may be a credential meant for the first.
_PORTABLE = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
_OF_BODIES = frozenset({"content-type", "idempotency-key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """What to send."""

    method: str
    """Method in upper case."""
    url: Url
    """Where to."""
    headers: Mapping[str, str]
    """Headers by lower-case name; Host, Content-Length and the like are added."""
    body: bytes | None = None
    """What follows the headers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    url: Url
    """Where it came from, after redirects."""
    method: str
    """The method it answers, which a redirect may have changed."""
    status: int
    """Status code."""
    headers: Mapping[str, str]
    """Headers by lower-case name; those sent several times are joined by commas."""
    body: bytes
    """The decoded body, or its beginning."""
    is_cut: bool
    """True when the body is longer than what may be read."""


def fetch(
    request: OutgoingRequest,
    *,
    policy: Policy,
    link: Link,
    is_expected: Callable[[int], bool],
    max_bytes: int,
    note: Callable[[str], None],
) -> Answer:
    """Send a request and return the answer; a redirect that is itself expected is not followed.

    `note` is told each exchange in a line. Raises OutgoingFailed.
    """
    for _ in range(MAX_REDIRECTS + 1):
        answer = _exchange(request, policy, link, max_bytes, note)
        location = answer.headers.get("location")
        if is_expected(answer.status) or answer.status not in _REDIRECTS or location is None:
            return answer
        request = _redirected(request, answer.status, location)
    message = f"More than {MAX_REDIRECTS} redirects; the last led to {request.url}."
    raise OutgoingFailed("too_many_redirects", message, is_retryable=False)


def _redirected(request: OutgoingRequest, status: int, location: str) -> OutgoingRequest:
    """Return what a redirect asks for. Raises OutgoingFailed."""
    try:
        url = request.url.join(location)
    except InvalidUrl as error:
        message = f"{request.url} redirects to an address that {error}."
        raise OutgoingFailed("redirect_refused", message, is_retryable=False) from error
    if request.url.scheme == "https" and url.scheme == "http":
        message = f"{request.url} redirects to {url}, from https down to http."
        raise OutgoingFailed("redirect_refused", message, is_retryable=False)
    changed = dataclasses.replace(request, url=url)
    if url.origin != request.url.origin:
        portable = {name: value for name, value in request.headers.items() if name in _PORTABLE}
        changed = dataclasses.replace(changed, headers=portable)
    becomes_get = (status == http.HTTPStatus.SEE_OTHER and request.method != "HEAD") or (
        status in (http.HTTPStatus.MOVED_PERMANENTLY, http.HTTPStatus.FOUND) and request.method == "POST"
    )
    if not becomes_get:
        return changed
    headers = {name: value for name, value in changed.headers.items() if name not in _OF_BODIES}
    return dataclasses.replace(changed, method="GET", headers=headers, body=None)


def _exchange(
    request: OutgoingRequest, policy: Policy, link: Link, max_bytes: int, note: Callable[[str], None]
) -> Answer:
    started = time.monotonic()
    # Only speaks HTTP over the socket it is given: left to itself it would resolve the name once more.
    connection = HTTPConnection(request.url.name, request.url.port, timeout=link.seconds_left())
    connection.auto_open = 0
    connection.sock = connect(request.url, policy, link)
    try:
        response = _send(connection, request)
        body, is_cut = _read(response, max_bytes)
    except (OSError, http.client.HTTPException, HTTPError) as error:
        raise _broken(error, request) from error
    finally:
        connection.close()
    took = f"{(time.monotonic() - started) * 1000:,.0f} ms"
    size = f"more than {max_bytes:,} bytes" if is_cut else f"{len(body):,} bytes"
    note(f"{request.method} {request.url}: {describe_status(response.status)}, {size} in {took}")
    headers = {name.lower(): response.headers[name] for name in response.headers}
    return Answer(
        url=request.url,
        method=request.method,
        status=response.status,
        headers=headers,
        body=body,
        is_cut=is_cut,
    )


def describe_status(status: int) -> str:
    """Return a status with its name, where it has one."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _send(connection: HTTPConnection, request: OutgoingRequest) -> BaseHTTPResponse:
    """Send the request and read the head of the answer."""
    target = f"{request.url.path}{request.url.query_part}"
    headers = {"accept-encoding": "gzip, deflate", **request.headers, "host": request.url.authority}
    with contextlib.suppress(BrokenPipeError):  # the server may have refused a body before it had all of it
        connection.request(request.method, target, body=request.body, headers=headers, preload_content=False)
    response = connection.getresponse()
    if sum(len(name) + len(value) + 4 for name, value in response.headers.iteritems()) > MAX_HEADER_BYTES:
        raise http.client.LineTooLong("headers")
    return response


def _read(response: BaseHTTPResponse, max_bytes: int) -> tuple[bytes, bool]:
    """Return the decoded body, or its beginning and True. What a few bytes swell to is never held as a whole."""
    body = bytearray()
    while len(body) <= max_bytes and (chunk := response.read(min(_CHUNK_BYTES, max_bytes + 1 - len(body)))):
        body += chunk
    return bytes(body[:max_bytes]), len(body) > max_bytes


def _broken(error: Exception, request: OutgoingRequest) -> OutgoingFailed:
    """Say what broke an exchange, in words that hold nothing of what was sent."""
    where = f"{request.method} {request.url}"
    if isinstance(error, http.client.LineTooLong) or "more than 100 headers" in str(error):
        message = f"{where}: the headers of the answer are larger than {MAX_HEADER_BYTES:,} bytes."
        return OutgoingFailed("too_large", message, is_retryable=False)
    if isinstance(error, DecodeError):
        return OutgoingFailed("invalid_response", f"{where}: the body of the answer cannot be decompressed.")
    if isinstance(error, (OSError, HTTPError)):
        return OutgoingFailed("connection_failed", f"{where}: the connection broke before the answer was complete.")
    return OutgoingFailed("invalid_response", f"{where}: the answer is not HTTP.")
