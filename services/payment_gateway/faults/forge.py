"""Signs an event, truly or as a forger would. Pure."""

from collections.abc import Mapping, Sequence

from payment_gateway.faults.rates import Forgery
from shared.signing import sign, sign_standard

STALE_SECONDS = 3600  # receivers accept five minutes
_NOBODYS_SECRET = "whsec_bm9ib2R5IGhhcyBldmVyIGhhZCB0aGlzIHNlY3JldA=="  # noqa: S105 - no endpoint has this secret


def signed(
    body: bytes,
    secrets: Sequence[str],
    *,
    message_id: str,
    timestamp: int,
    forgery: Forgery | None = None,
    retired_secret: str = "",
) -> tuple[bytes, Mapping[str, str]]:
    """The body to send and both schemes' headers; `timestamp` is in Unix seconds. No receiver may accept a forged one."""
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
    """The same event with a larger amount, or at least with other bytes."""
    tampered = body.replace(b'"amount":', b'"amount":1', 1)
    return tampered if tampered != body else body + b" "
