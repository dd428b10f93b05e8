"""HTTP under the client: one session, authentication, retries, errors as values. Knows no route."""

from __future__ import annotations

import http
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import pydantic
import requests
import requests.auth

from maestro.client.errors import RETRYABLE_STATUSES, ApiError, InvalidConnection, ServerUnreachable, UnexpectedAnswer
from maestro.client.representations import JsonValue, Page, RepresentationT

API_ROOT = "/api/v1"
IDEMPOTENCY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
RETRY_DELAYS_SECONDS = (0.1, 0.4)
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
BROKEN_CONNECTION = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer."""

    status: int
    """HTTP status, 2xx."""
    url: str
    """What was asked, for error messages."""
    body: JsonValue
    """The parsed JSON document."""
    is_replayed: bool = False
    """True when the call had been done before, under the same idempotency key."""

    def parse(self, representation: type[RepresentationT]) -> RepresentationT:
        """Return the document as a value. Raises UnexpectedAnswer when it lacks what the value must have."""
        return _parse(representation, self.body, self.url)


@dataclass(frozen=True, slots=True)
class BearerAuthentication(requests.auth.AuthBase):
    """Puts the API key on each request; as `auth` it also keeps requests from taking credentials out of ~/.netrc."""

    api_key: str = field(repr=False)
    """The key as the user was given it."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self.api_key}"
        return request


class Transport:
    """Sends requests to one server with one key."""

    def __init__(
        self, base_url: str, api_key: str, *, timeout: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.base_url = _checked_base_url(base_url)
        self._timeout = timeout
        self._sleep = sleep
        self._session = requests.Session()
        self._session.auth = BearerAuthentication(_checked_key(api_key))
        self._session.headers["User-Agent"] = "maestro-client"
        self._session.headers["Accept"] = "application/json, application/problem+json"
        # A proxy named in the environment cannot reach this machine's own loopback address.
        self._session.trust_env = urlsplit(self.base_url).hostname not in LOOPBACK_HOSTS

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, path: str, query: Query | None = None) -> Answer:
        """Read a resource, trying again for a moment when the server is not there. Raises ClientError."""
        return self._try_again(lambda: self._send("GET", path, query=query))

    def post(self, path: str, document: JsonValue = None, *, idempotency_key: str | None = None) -> Answer:
        """Send a JSON document, or nothing: once, or under an idempotency key again for a moment when no answer comes.

        Raises ClientError.
        """
        body = json.dumps(document, allow_nan=False).encode() if document is not None else None
        if idempotency_key is None:
            return self._send("POST", path, body=body)
        headers = {IDEMPOTENCY_HEADER: idempotency_key}
        return self._try_again(lambda: self._send("POST", path, body=body, headers=headers))

    def post_yaml(self, path: str, text: str) -> Answer:
        """Send YAML text, once. Raises ClientError."""
        return self._send("POST", path, body=text.encode(), content_type="application/yaml")

    def get_page(
        self, path: str, representation: type[RepresentationT], query: Query | None = None
    ) -> Page[RepresentationT]:
        """Read one page of a list. Raises ClientError."""
        answer = self.get(path, query)
        results = answer.body.get("results") if isinstance(answer.body, dict) else None
        if not isinstance(results, list):
            raise UnexpectedAnswer(answer.url, "a list was expected")
        return Page(
            results=tuple(_parse(representation, each, answer.url) for each in results),
            next_query=_query_of(answer.body.get("next")),
        )

    def get_all(
        self, path: str, representation: type[RepresentationT], query: Query | None = None
    ) -> Iterator[RepresentationT]:
        """Yield the whole list, asking for each page when it is needed. Raises ClientError."""
        following: Query | None = query or {}
        while following is not None:
            page = self.get_page(path, representation, following)
            yield from page.results
            following = page.next_query

    def _try_again(self, send: Callable[[], Answer]) -> Answer:
        for delay in RETRY_DELAYS_SECONDS:
            try:
                return send()
            except ServerUnreachable:
                self._sleep(delay)
            except ApiError as error:
                if not error.is_temporary:
                    raise
                self._sleep(delay)
        return send()

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        url = f"{self.base_url}{API_ROOT}{path}"
        try:
            response = self._session.request(
                method,
                url,
                params=dict(query or {}),
                data=body,
                headers={**(headers or {}), **({"Content-Type": content_type} if body is not None else {})},
                timeout=self._timeout,
                # A redirect could carry the key elsewhere, and turns a POST into a GET.
                allow_redirects=False,
            )
        except requests.Timeout as error:
            raise ServerUnreachable(self.base_url, f"it took longer than {self._timeout:g} s") from error
        except BROKEN_CONNECTION as error:
            raise ServerUnreachable(self.base_url, _reason(error)) from error
        except requests.RequestException as error:
            raise UnexpectedAnswer(self.base_url, type(error).__name__) from error
        return self._read(response, url)

    def _read(self, response: requests.Response, url: str) -> Answer:
        if response.is_redirect:
            raise UnexpectedAnswer(url, f"it redirects to {response.headers.get('Location')}")
        is_json = "json" in response.headers.get("Content-Type", "")
        if response.status_code >= http.HTTPStatus.BAD_REQUEST:
            if not is_json and response.status_code not in RETRYABLE_STATUSES:
                raise UnexpectedAnswer(url, f"HTTP {response.status_code} {response.reason}, not a problem document")
            raise ApiError.from_answer(response.status_code, response.reason, response.content)
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            raise UnexpectedAnswer(url, f"HTTP {response.status_code} without a JSON document") from error
        return Answer(status=response.status_code, url=url, body=body, is_replayed=REPLAYED_HEADER in response.headers)


def _parse(representation: type[RepresentationT], value: JsonValue, url: str) -> RepresentationT:
    try:
        return representation.model_validate(value)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise UnexpectedAnswer(url, f"{representation.__name__} {where}: {first['msg']}") from error


def _query_of(url: object) -> Query | None:
    """Keep only the query of a `next` link: behind a proxy its host may be wrong, and the key goes to one host only."""
    return dict(parse_qsl(urlsplit(url).query)) if isinstance(url, str) and url else None


def _reason(error: requests.RequestException) -> str:
    text = str(error)
    for phrase in ("Connection refused", "Name or service not known", "No route to host", "Network is unreachable"):
        if phrase in text:
            return phrase.lower()
    if isinstance(error, requests.exceptions.SSLError):
        return "the TLS connection failed (is the certificate trusted, is it https at all?)"
    return "the connection broke"


def _checked_base_url(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise InvalidConnection("The server's URL must look like http://127.0.0.1:3000.")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidConnection("The server's URL must hold neither a user name nor a query: http://127.0.0.1:3000.")
    return base_url.rstrip("/").removesuffix(API_ROOT)


def _checked_key(api_key: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", api_key):
        raise InvalidConnection("The API key is empty or has characters no key has; it looks like mk_ and letters.")
    return api_key
