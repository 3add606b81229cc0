"""What is sent as an event: the true thing, or what a stranger would send in our name. Pure."""

from collections.abc import Mapping, Sequence

from payment_gateway.faults.rates import Forgery
from shared.signing import sign, sign_standard

STALE_SECONDS = 3600  # receivers take five minutes
_NOBODYS_SECRET = "whsec_bm9ib2R5IGhhcyBldmVyIGhhZCB0aGlzIHNlY3JldA=="  # noqa: S105 - that is what it is for


def signed(
    body: bytes,
    secrets: Sequence[str],
    *,
    message_id: str,
    timestamp: int,
    forgery: Forgery | None = None,
    retired_secret: str = "",
) -> tuple[bytes, Mapping[str, str]]:
    """The body to send and both schemes' headers; `timestamp` in Unix seconds. Forged, no receiver may accept it."""
    sent = body
    match forgery:
        case "bad_signature":
            secrets = [_NOBODYS_SECRET]
        case "retired_secret":
            secrets = [retired_secret]
        case "stale_timestamp":
            timestamp -= STALE_SECONDS
        case "tampered_body":
            sent = _tampered(body)
    return sent, {"X-Signature": sign(body, secrets, timestamp), **sign_standard(body, secrets, timestamp, message_id)}


def _tampered(body: bytes) -> bytes:
    """The same event about more money, or at least other bytes."""
    tampered = body.replace(b'"amount":', b'"amount":1', 1)
    return tampered if tampered != body else body + b" "
