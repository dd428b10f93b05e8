"""Which addresses requests of tenants may reach: public ones, and what the operator allows. Pure; resolves nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# What Python's `is_global` lets through, in this or that version: shared address space of providers, relays of 6to4,
# protocol assignments.
_SPECIAL_V4 = tuple(map(ipaddress.IPv4Network, ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4")))
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
# 6to4, Teredo with the other protocol assignments, documentation: each may carry or become something else.
_SPECIAL_V6 = tuple(map(ipaddress.IPv6Network, ("2002::/16", "2001::/23", "2001:db8::/32", "3fff::/20")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/\[\]\s]+)(?::(?P<port>\d{1,5}))?")


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet; an address inside an address is judged itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return (
            address.is_global
            and not address.is_multicast
            and not address.is_reserved
            and not any(address in network for network in _SPECIAL_V4)
        )
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _UNICAST_V6 and address.is_global and not any(address in network for network in _SPECIAL_V6)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedHosts:
    """What an operator lets tenants reach although it is not public."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    """Host names or addresses as URLs write them, each with its port; None stands for every port."""
    networks: tuple[Network, ...] = ()
    """Networks whose addresses may be reached under whatever name."""

    @classmethod
    def parse(cls, entries: Iterable[str]) -> AllowedHosts:
        """Read entries written as `host`, `host:port` or a network such as `10.1.0.0/16`. Raises ValueError."""
        hosts: set[tuple[str, int | None]] = set()
        networks: list[Network] = []
        for entry in entries:
            if "/" in entry:
                networks.append(_network(entry))
                continue
            found = _HOST_PORT.fullmatch(entry)
            if found is None or int(found["port"] or 1) not in range(1, 65536):
                raise ValueError(f"{entry!r} is not a host, host:port ([::1]:8080 for IPv6) or a network (10.1.0.0/16)")
            hosts.add((found["host"].lower(), int(found["port"]) if found["port"] else None))
        return cls(hosts=frozenset(hosts), networks=tuple(networks))

    def has_host(self, host: str, port: int) -> bool:
        """Tell whether this host may be reached at this port, whatever its addresses are."""
        return (host, None) in self.hosts or (host, port) in self.hosts

    def has_address(self, address: Address) -> bool:
        """Tell whether an address lies in an allowed network."""
        return any(address in network for network in self.networks)


def _network(entry: str) -> Network:
    try:
        return ipaddress.ip_network(entry)
    except ValueError as error:
        raise ValueError(f"{entry!r} is not a network: {error}") from error
