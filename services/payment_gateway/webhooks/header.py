"""HTTP headers that a merchant chooses: those of every delivery to an endpoint, and those of a webhook that a test sends.
Pure.
"""

import re
from collections.abc import Mapping

from msgspec import Struct

HEADERS_MAX = 10  # of an endpoint's own
VALUE_LENGTH_MAX = 1024  # of each of them

# The rules of RFC 9110 §5.1 and §5.5.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
_VALUE = re.compile(r"[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?\Z|\Z")
# The sender alone decides where a message ends.
_FRAMING = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)
# The gateway or the URL gives a delivery these, and receivers rely on them.
_OURS = frozenset(
    (
        *("accept", "accept-encoding", "baggage", "content-encoding", "content-type", "date", "host"),
        *("traceparent", "tracestate", "user-agent", "x-signature"),
    )
)
_OURS_PREFIX = "webhook-"  # Standard Webhooks has three of them, and may get more
_HIDDEN = "…"


class Header(Struct, frozen=True):
    """A header of an endpoint. Its value may be a secret, for a proxy in front of the receiver for example."""

    name: str
    value: str

    def __repr__(self) -> str:
        return f"Header({self.name!r}, '***')"


def fault_of(headers: Mapping[str, str]) -> str | None:
    """Why these cannot be the headers of a request, or None. It shows no value."""
    given: set[str] = set()
    for name, value in headers.items():
        if not _NAME.match(name) or name.lower() in _FRAMING or name.lower() in given:
            return f"{name[:100]!r} is no header that can be chosen, or is given twice"
        if not is_value(value):
            return f"{name}: must be visible ASCII characters, with spaces between them only"
        given.add(name.lower())
    return None


def fault_of_own(headers: Mapping[str, str]) -> str | None:
    """Why these cannot be an endpoint's own headers, or None: none may replace a header that the gateway sends."""
    for name in headers:
        if name.lower() in _OURS or name.lower().startswith(_OURS_PREFIX):
            return f"{name[:100]!r} is a header that the gateway sends itself"
    return fault_of(headers)


def is_value(text: str) -> bool:
    """Whether a header may have this value."""
    return _VALUE.match(text) is not None


def hidden(headers: tuple[Header, ...]) -> dict[str, str]:
    """The headers as an attempt keeps them: names without values."""
    return {one.name: _HIDDEN for one in headers}
