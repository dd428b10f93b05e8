"""URLs that requests go to: read once, strictly, so that what is checked is what is connected to. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

_DEFAULT_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class InvalidUrl(ValueError):
    """The text is no URL that may be requested; the message says why and does not repeat it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """Where a request goes."""

    scheme: str
    """`http` or `https`."""
    host: str
    """Name or address in lower case, internationalised names in their ASCII form, IPv6 in brackets."""
    port: int
    """Port, that of the scheme where the URL has none."""
    path: str
    """Path, percent-encoded; at least `/`."""
    query: str | None
    """Query, percent-encoded, without its question mark."""

    @classmethod
    def parse(cls, text: str) -> Url:
        """Read a URL. Raises InvalidUrl."""
        if _CONTROL.search(text):
            raise InvalidUrl("has a control character, which no URL may have")
        try:
            text.encode()
            parsed = parse_url(text)
        except (LocationParseError, UnicodeError) as error:
            raise InvalidUrl("is not a URL such as https://example.org/path") from error
        if parsed.scheme not in _DEFAULT_PORTS:
            raise InvalidUrl("must begin with http:// or https://")
        if parsed.auth is not None:
            raise InvalidUrl("must not hold a user or password; send them as an Authorization header")
        if not parsed.host:
            raise InvalidUrl("names no host")
        port = parsed.port if parsed.port is not None else _DEFAULT_PORTS[parsed.scheme]
        path = parsed.path or "/"
        return cls(scheme=parsed.scheme, host=parsed.host.lower(), port=port, path=path, query=parsed.query)

    def join(self, location: str) -> Url:
        """Return where a redirect leads. Raises InvalidUrl."""
        try:
            return Url.parse(urljoin(f"{self}{self.query_part}", location))
        except InvalidUrl:
            raise
        except ValueError as error:  # urljoin, of an unfinished IPv6 address
            raise InvalidUrl("is not a URL") from error

    def with_query(self, query: str) -> Url:
        """Return this URL with another query, which is percent-encoded already."""
        return replace(self, query=query)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials are meant for."""
        return (self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port: the value of the Host header."""
        return self.host if self.port == _DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def name(self) -> str:
        """The host as the resolver and TLS take it: IPv6 without brackets."""
        return self.host.strip("[]")

    @property
    def query_part(self) -> str:
        """The query with its question mark, if there is one."""
        return "" if self.query is None else f"?{self.query}"

    def __str__(self) -> str:
        """Write the URL without its query, which may hold secrets."""
        return f"{self.scheme}://{self.authority}{self.path}"
