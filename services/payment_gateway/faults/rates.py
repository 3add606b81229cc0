"""The names of all faults, and their rates: a seed draws which requests they hit. Pure."""

import hashlib
from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

# The faults of a reply to a POST that creates. Those in NOT_DONE do nothing else.
ReplyFault: TypeAlias = Literal[
    "lost",  # done; the connection closes with no answer
    "timeout",  # done; silence for `replySeconds`, then the connection closes
    "slow",  # done; answered after `replySeconds`
    "too_many_requests",  # 429 with Retry-After
    "server_error",  # 500
    "unavailable",  # 503 with Retry-After
    "malformed_json",  # done; 201 with a body that is cut off
    "wrong_reference",  # done; 201 with another reference
]
NOT_DONE: frozenset[ReplyFault] = frozenset({"too_many_requests", "server_error", "unavailable"})

# When an event is delivered, unless at once.
Timing: TypeAlias = Literal[
    "delayed",  # after `webhookDelaySeconds`
    "dropped",  # never by itself; a resend sends it
    "early",  # before the reply to the POST that created its charge or refund
    "out_of_order",  # after the endpoint's next event, or after `webhookDelaySeconds`
]
# Forged events, as a stranger might send them in our name: one attempt each, in the given order; the later ones are true.
Forgery: TypeAlias = Literal["bad_signature", "stale_timestamp", "tampered_body", "retired_secret"]
WebhookFault: TypeAlias = Timing | Literal["duplicated"] | Forgery

TIMINGS: tuple[Timing, ...] = get_args(Timing)
FORGERIES: tuple[Forgery, ...] = get_args(Forgery)
REPLY_FAULTS: tuple[ReplyFault, ...] = get_args(ReplyFault)
WEBHOOK_FAULTS: tuple[WebhookFault, ...] = (*TIMINGS, "duplicated", *FORGERIES)

STEPS_MAX = 10  # faults in turn, one for each attempt
SettleSeconds = Annotated[float, Meta(ge=0, le=365 * 86400)]
ReplySeconds = Annotated[float, Meta(ge=0, le=120)]
RetryAfterSeconds = Annotated[int, Meta(ge=0, le=86400)]
WebhookDelaySeconds = Annotated[float, Meta(ge=0, le=7 * 86400)]
Copies = Annotated[int, Meta(ge=2, le=10)]

# Everything that can have a rate: how a charge or refund ends, the wrong amount, each reply fault, each webhook fault.
DECLINED, DISPUTED, REFUND_FAILED, SETTLE_SLOW = "declined", "disputed", "refund_failed", "settle_slow"
WRONG_AMOUNT: Literal["wrong_amount"] = "wrong_amount"
REPLY, WEBHOOK = "reply_", "webhook_"
RATED = (
    *(DECLINED, DISPUTED, REFUND_FAILED, SETTLE_SLOW, WRONG_AMOUNT),
    *(f"{REPLY}{fault}" for fault in REPLY_FAULTS),
    *(f"{WEBHOOK}{fault}" for fault in WEBHOOK_FAULTS),
)
Rate = Annotated[float, Meta(ge=0, le=1, description="A probability, 0 to 1.")]
Rates = Annotated[dict[str, Rate], Meta(extra_json_schema={"propertyNames": {"enum": [*RATED]}})]


class Faults(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How often charges and refunds go wrong by themselves. The same `seed` and Idempotency-Keys give the same faults.
    `settleDelaySeconds` is for settle_slow. The other members are those of a scenario, for requests without one.
    """

    seed: Annotated[int, Meta(ge=0, le=2**53 - 1, examples=[42])] = 0
    rates: Annotated[Rates, Meta(examples=[{"declined": 0.1, "reply_timeout": 0.05}])] = {}
    settle_delay_seconds: SettleSeconds = 60
    reply_seconds: ReplySeconds = 5
    retry_after_seconds: RetryAfterSeconds = 1
    retry_after_as_date: bool = False
    webhook_delay_seconds: WebhookDelaySeconds = 60
    copies: Copies = 3


NO_FAULTS = Faults()


def spoils_replies(faults: Faults) -> bool:
    return any(rate for name, rate in faults.rates.items() if name.startswith(REPLY))


def drawn(faults: Faults, key: str, names: Iterable[str]) -> list[str]:
    """The `names` that hit the request with this Idempotency-Key."""
    return [name for name in names if _hits(faults, name, key)]


def drawn_reply(faults: Faults, key: str, attempt: int) -> ReplyFault | None:
    """The fault of the reply to one attempt. If several hit, the first in the list counts."""
    return next((fault for fault in REPLY_FAULTS if _hits(faults, f"{REPLY}{fault}", key, str(attempt))), None)


def _hits(faults: Faults, name: str, *parts: str) -> bool:
    """Decides by SHA-256 of the seed, `parts` and `name`, so that a test can know it beforehand and repeat it."""
    rate = faults.rates.get(name)
    if not rate:
        return False
    digest = hashlib.sha256("\0".join((str(faults.seed), *parts, name)).encode()).digest()
    return int.from_bytes(digest[:8]) < rate * 2**64
