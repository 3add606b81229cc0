"""The head of a request, which is its request line and its headers: the checks that llhttp leaves to us. Pure.

llhttp itself answers 400 to a bare LF, folded headers, two lengths, and a length beside chunks.
"""

import re
from collections.abc import Sequence

from shared.edge.refusals import Refusal, bad_request

Header = tuple[bytes, bytes]  # the name in lower case, and the value

_BLANKS = b" \t"
_HOST = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")  # RFC 3986 §3.2.2


def head_bytes(target: bytes, headers: Sequence[Header]) -> int:
    """The size of the head so far. A header that goes on in the next piece is not counted yet."""
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers)


def refused_framing(method: bytes, version: str, headers: Sequence[Header]) -> Refusal | None:
    """Why a request must not be taken from the connection: another reader could see its end, or its host, elsewhere."""
    if method == b"CONNECT":
        return bad_request("this is no proxy")
    if version not in {"1.1", "1.0"}:
        return bad_request(f"HTTP/{version} is not spoken here")
    hosts = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value.rstrip(_BLANKS))
        elif name == b"transfer-encoding" and (version == "1.0" or value.lower() != b"chunked"):
            return bad_request("chunked is the only Transfer-Encoding, and HTTP/1.1's")  # RFC 9112 §6.1
    if (len(hosts) != 1 and (hosts or version == "1.1")) or (hosts and not _HOST.fullmatch(hosts[0])):
        return bad_request("exactly one Host header is needed, and valid")  # RFC 9112 §3.2
    return None


def strip_blanks(headers: list[Header]) -> None:
    """Removes in place the blanks at the end of values. llhttp leaves them; they are no part of a value (RFC 9110 §5.5)."""
    for place, (name, value) in enumerate(headers):
        if value.endswith((b" ", b"\t")):
            headers[place] = (name, value.rstrip(_BLANKS))


def without_upgrade(method: bytes, target: bytes, version: str, headers: Sequence[Header]) -> bytes:
    """The same head without its offer to upgrade to another protocol. `Connection: close` stays, if the client asked so."""
    kept = [(name, value) for name, value in headers if name not in {b"upgrade", b"connection"}]
    if any(name == b"connection" and b"close" in value.lower() for name, value in headers):
        kept.append((b"connection", b"close"))
    first = method + b" " + target + b" HTTP/" + version.encode()
    return b"\r\n".join([first, *(name + b": " + value for name, value in kept), b"", b""])
