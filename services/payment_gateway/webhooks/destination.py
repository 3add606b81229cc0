"""The addresses to which the operator allows webhooks. The address of the connection counts, whatever a name, a spelling or
a redirect said before. Pure.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from yarl import URL

from payment_gateway.webhooks.target import (
    LOOPBACK_ADDRESSES,
    Target,
    TargetError,
    is_localhost,
    literal_address,
    parse_target,
)

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_LINK_LOCAL = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))
# Addresses, besides 169.254.169.254, that tell a machine in a cloud its secrets.
_METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # RFC 4291 §2.4, and IANA has assigned nothing beyond it
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052 §2.1

_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?\Z")
_LOOKS_NUMERIC = re.compile(r"[0-9.]+\Z")


class DestinationError(ValueError):
    """Not a host name, an IP address or a network."""


class Destinations:
    """`public_only` forbids all addresses but the Internet's unicast ones. Link-local addresses and those of cloud metadata
    are always forbidden. `names` may lead to any other address. `networks` are allowed addresses, but a forbidden address
    must be listed alone.
    """

    def __init__(self, *, public_only: bool, names: Collection[str] = (), networks: Sequence[Network] = ()) -> None:
        self._public_only = public_only
        self._names = frozenset(names)
        self._networks = tuple(networks)

    def allows_name(self, host: str) -> bool:
        """Whether the operator listed `host`. Both may be in Unicode or in the form `xn--…`."""
        try:
            return _ascii_name(host) in self._names
        except ValueError:
            return False

    def forbids(self, address: str, *, by_name: bool = False) -> str | None:
        """Why nothing is sent to `address`, or None. With `by_name`, the address comes from a name in `names`."""
        try:
            given = ipaddress.ip_address(address)
        except ValueError:
            return f"{address} is not an IP address"
        meant = unwrapped(given)
        listed = [network for network in self._networks if given in network or meant in network]
        if any(meant in network for network in _LINK_LOCAL):
            why = "link-local"
        elif meant in _METADATA:
            why = "of cloud metadata"
        elif self._public_only and not (by_name or listed or _is_public(meant)):
            return f"{address} is not public"
        else:
            return None
        return None if any(network.num_addresses == 1 for network in listed) else f"{address} is {why}"

    def target_of(self, url: str) -> Target:
        """Parses `url`. Raises TargetError if nobody can call it, or if it leads to a forbidden address, as far as that is
        known without a look-up.
        """
        target = parse_target(url)
        by_name = self.allows_name(target.host)
        if why := self._forbids_all(_known_addresses(target.host), by_name=by_name):
            raise TargetError(f"is not allowed: {why}", is_forbidden=True)
        return target

    def fault_of(self, url: str) -> str | None:
        """Why `url` cannot be the URL of a webhook endpoint, or None."""
        try:
            self.target_of(url)
        except TargetError as fault:
            return str(fault)
        return None

    def _forbids_all(self, addresses: Sequence[str], *, by_name: bool) -> str | None:
        reasons = [self.forbids(address, by_name=by_name) for address in addresses]
        return reasons[0] if reasons and all(reasons) else None


def parse_destinations(entries: Sequence[str], *, public_only: bool) -> Destinations:
    """`entries` are host names, IP addresses and networks (CIDR). Raises DestinationError."""
    names, networks = set[str](), list[Network]()
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry))
        except ValueError as error:
            try:
                name = _ascii_name(entry)
            except ValueError as fault:
                raise DestinationError(f"{entry!r} is not a host name: {fault}") from None
            if not _NAME.match(name) or _LOOKS_NUMERIC.match(name):
                raise DestinationError(f"{entry!r} is not a host name, an IP address or a network: {error}") from None
            names.add(name)
    return Destinations(public_only=public_only, names=names, networks=networks)


def _ascii_name(name: str) -> str:
    """The form of a name for a look-up: lower case, `xn--…` for Unicode. Raises ValueError if it has none."""
    if name.isascii():
        return name.lower().removesuffix(".")
    return (URL.build(scheme="http", host=name).raw_host or "").removesuffix(".")


def unwrapped(address: Address) -> Address:
    """The IPv4 address to which some kinds of IPv6 address lead, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _known_addresses(host: str) -> Sequence[str]:
    """The addresses of a host that are known without a look-up."""
    if is_localhost(host):
        return LOOPBACK_ADDRESSES
    literal = literal_address(host)
    return (literal,) if literal else ()


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)
