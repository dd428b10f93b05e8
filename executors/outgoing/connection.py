"""Connections to checked addresses: a name is resolved once, every address judged, and one of the judged ones dialled.

Whatever answers differently the second time it is asked (DNS rebinding) is never asked a second time.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from executors.outgoing.addresses import Address, AllowedHosts, is_public
from executors.outgoing.errors import OutgoingFailed
from executors.outgoing.link import Link
from executors.outgoing.urls import Url

CONNECT_SECONDS = 10.0
"""How long one of several addresses may take to answer before the next is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which servers may be reached."""

    allowed: AllowedHosts
    """What the operator allows beside public addresses."""
    platform_origin: tuple[str, str, int] | None = None
    """The one private origin that is always allowed; None where the platform's own address needs no exception."""

    def permits(self, url: Url, address: Address) -> bool:
        """Tell whether a URL may be requested at an address."""
        if is_public(address) or self.allowed.has_address(address) or self.allowed.has_host(url.host, url.port):
            return True
        return url.origin == self.platform_origin and address.is_loopback


def connect(url: Url, policy: Policy, link: Link) -> socket.socket:
    """Return a connected socket, over TLS for `https`. Raises OutgoingFailed."""
    endpoints = _resolve(url)
    for _, endpoint in endpoints:
        if not policy.permits(url, ipaddress.ip_address(endpoint[0])):
            raise OutgoingFailed("address_refused", _refusal(url), is_retryable=False)
    connected = _dial(url, endpoints, link)
    return connected if url.scheme == "http" else _secure(url, connected, link)


def _resolve(url: Url) -> list[tuple[int, Any]]:
    """Return family and socket address of everything the name stands for."""
    try:
        found = socket.getaddrinfo(url.name, url.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        message = f"The name {url.name} cannot be resolved."
        raise OutgoingFailed("name_not_resolved", message) from error
    return [(family, endpoint) for family, _, _, _, endpoint in found]


def _refusal(url: Url) -> str:
    """Say why, without the addresses a name stands for: they may be somebody's inner network."""
    reason = f"{url.name} is" if _is_address(url.name) else f"{url.name} stands for an address that is"
    return (
        f"{url} may not be requested: {reason} not public. "
        "The operator can allow it in MAESTRO_HTTP_ALLOWED_HOSTS (host, host:port or network)."
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _dial(url: Url, endpoints: list[tuple[int, Any]], link: Link) -> socket.socket:
    last: OSError | None = None
    for position, (family, endpoint) in enumerate(endpoints, start=1):
        try:
            dialled = link.hold(socket.socket(family, socket.SOCK_STREAM))
        except OSError as error:  # no IPv6 here, or given up
            last = error
            continue
        left = link.seconds_left()
        dialled.settimeout(left if position == len(endpoints) else min(left, CONNECT_SECONDS))
        try:
            dialled.connect(endpoint)
        except OSError as error:
            dialled.close()
            last = error
            continue
        dialled.settimeout(link.seconds_left())
        return dialled
    reason = "it did not answer" if isinstance(last, TimeoutError) else (last and last.strerror) or "no address"
    raise OutgoingFailed("connection_failed", f"No connection to {url.authority}: {reason}.") from last


def _secure(url: Url, connected: socket.socket, link: Link) -> socket.socket:
    try:
        secured = _tls_context().wrap_socket(connected, server_hostname=url.name, do_handshake_on_connect=False)
    except (OSError, ValueError) as error:
        connected.close()
        raise OutgoingFailed("tls_failed", f"No TLS connection to {url.authority}: {error}.") from error
    link.hold(secured)
    try:
        secured.do_handshake()
    except ssl.SSLCertVerificationError as error:
        secured.close()
        message = f"The certificate of {url.authority} is not trusted: {error.verify_message}."
        raise OutgoingFailed("tls_failed", message, is_retryable=False) from error
    except OSError as error:
        secured.close()
        reason = getattr(error, "reason", None) or error.strerror or "the server hung up"
        raise OutgoingFailed("tls_failed", f"No TLS connection to {url.authority}: {reason}.") from error
    return secured


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Trust what the system trusts; OpenSSL's own SSL_CERT_FILE and SSL_CERT_DIR say where that is."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
