"""Reads a URL: the host and port to connect to, and the bytes to send for it. Pure."""

import ipaddress
import re
import socket
from typing import NamedTuple

from yarl import URL

URL_LENGTH_MAX = 2048
NAME_LENGTH_MAX, LABEL_LENGTH_MAX = 253, 63  # RFC 1035 §2.3.4, without the final dot
LOOPBACK_ADDRESSES = ("127.0.0.1", "::1")

_URL = re.compile(r"(?i:(https?)://)([^/?#]*)([^#]*)")  # RFC 3986, appendix B
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?\Z")
_NAME = re.compile(r"[A-Za-z0-9._-]+\Z")  # an underscore is no letter of a host name, but Docker's names have some
_NUMBER = re.compile(r"(?i:[0-9]+|0x[0-9a-f]*)\Z")  # a last label like this makes it an IPv4 address (WHATWG URL §3.5)


class TargetError(ValueError):
    """The URL cannot be called, or must not be (`is_forbidden`). The message continues "the URL …"; it does not show the
    URL, which may hold a secret.
    """

    def __init__(self, fault: str, *, is_forbidden: bool = False) -> None:
        super().__init__(fault)
        self.is_forbidden = is_forbidden


class Target(NamedTuple):
    """A parsed URL. `url` is for the HTTP client. `host` is in lower case, without brackets. `authority` is the Host header:
    host and port as they were written.
    """

    url: URL
    host: str
    authority: str


def parse_target(url: str) -> Target:
    """Parses `url`. Raises TargetError."""
    if len(url) > URL_LENGTH_MAX or not (url.isascii() and url.isprintable()) or " " in url:
        raise TargetError(f"must be at most {URL_LENGTH_MAX} visible ASCII characters")
    split = _URL.match(url)
    if split is None or not split[2]:
        raise TargetError("must be an http or https URL with a host")
    scheme, authority, rest = split[1].lower(), split[2], split[3]
    if "@" in authority:
        raise TargetError("must hold no user name or password")
    parts = _AUTHORITY.match(authority)
    if parts is None:
        raise TargetError("must have a host, and after it nothing but a colon and a port")
    host, port = parts[1], _port(parts[2])
    name = _address_in_brackets(host) if host.startswith("[") else host.lower()
    if not host.startswith("[") and (fault := _fault_of_name(name)):
        raise TargetError(fault)
    # yarl keeps an encoded path as it is, but would take a query apart and lose a final `?`.
    target = rest if rest.startswith("/") else f"/{rest}"
    connected_to = (f"[{name}]" if ":" in name else name) + (f":{port}" if port else "")
    try:
        called = URL.build(scheme=scheme, authority=connected_to, path=target, encoded=True)
        _ = called.host  # only this decodes it: `xn--` alone is not a name
    except ValueError:
        raise TargetError("must have a host name that can be looked up") from None
    return Target(called, name, authority)


def is_localhost(host: str) -> bool:
    """Whether it names this machine. No name server is asked for such a name (RFC 6761 §6.3)."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def literal_address(host: str) -> str | None:
    """The address that `host` spells, in decimal, octal or hexadecimal, as the system reads it; None for a name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _port(digits: str | None) -> int | None:
    """The port; None for the usual one of the scheme."""
    if not digits:
        return None
    if len(digits) > 5 or not 1 <= int(digits) <= 65535:
        raise TargetError("must have a port from 1 to 65535, or none")
    return int(digits)


def _address_in_brackets(host: str) -> str:
    """The IPv6 address. It has no zone, which would name an interface of this machine."""
    try:
        address = ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        address = None
    if address is None or address.scope_id:
        raise TargetError("must have an IPv6 address between its brackets")
    return str(address)


def _fault_of_name(host: str) -> str | None:
    """Why the host, in lower case, is neither a host name nor an IPv4 address in its usual form."""
    if not host:
        return "must be an http or https URL with a host"
    if not _NAME.match(host):
        return "must have a host of letters, digits, hyphens and dots"
    labels = host.removesuffix(".").split(".")
    if not all(labels):
        return "must have a host name without empty parts between its dots"
    if max(map(len, labels)) > LABEL_LENGTH_MAX or len(host.removesuffix(".")) > NAME_LENGTH_MAX:
        return f"must have a host name of at most {NAME_LENGTH_MAX} characters, {LABEL_LENGTH_MAX} between two dots"
    if _NUMBER.match(labels[-1]) and literal_address(host) != host:
        meant = literal_address(host.removesuffix("."))
        return f"must spell its IP address as {meant}" if meant else "must have a host that does not end in a number"
    return None
