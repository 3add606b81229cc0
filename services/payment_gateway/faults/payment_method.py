"""Payment methods as test cards: tokens that say how a charge ends, and which faults come before. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from payment_gateway.faults.rates import STEPS_MAX, ReplyFault

SLOW_SECONDS = 60.0
REFUND_FAILURE = "refused"


class ScenarioError(ValueError):
    """A member of the request, at `pointer`, is wrong; `detail` says how."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(pointer, detail)
        self.pointer = pointer
        self.detail = detail


class Outcome(NamedTuple):
    """How a charge ends, how its refunds end, and whether it is disputed afterwards."""

    failure_code: str | None = None
    settle_delay_seconds: float | None = None
    refund_failure_code: str | None = None
    disputed: bool = False


OUTCOMES: Mapping[str, Outcome] = {
    "pm_card_visa": Outcome(),
    "pm_card_declined": Outcome("card_declined"),
    "pm_insufficient_funds": Outcome("insufficient_funds"),
    "pm_expired_card": Outcome("expired_card"),
    "pm_incorrect_cvc": Outcome("incorrect_cvc"),
    "pm_lost_card": Outcome("lost_card"),
    "pm_stolen_card": Outcome("stolen_card"),
    "pm_processing_error": Outcome("processing_error"),
    "pm_slow": Outcome(settle_delay_seconds=SLOW_SECONDS),
    "pm_refund_fails": Outcome(refund_failure_code=REFUND_FAILURE),
    "pm_card_disputed": Outcome(disputed=True),
}
STEPS: Mapping[str, ReplyFault] = {
    "pm_429": "too_many_requests",
    "pm_500": "server_error",
    "pm_503": "unavailable",
    "pm_lost": "lost",
    "pm_timeout": "timeout",
    "pm_slow_reply": "slow",
    "pm_malformed_json": "malformed_json",
    "pm_wrong_reference": "wrong_reference",
}
_STEP, _OUTCOME = (f"(?:{'|'.join(names)})" for names in (STEPS, OUTCOMES))
PAYMENT_METHOD_PATTERN = rf"\A(?:{_STEP}(?:\|{_STEP}){{0,{STEPS_MAX - 1}}}(?:\|{_OUTCOME})?|{_OUTCOME})\Z"


class Chain(NamedTuple):
    """A payment method: the faults of the first attempts, then the `outcome`. Without an outcome the last fault stays."""

    steps: Sequence[ReplyFault]
    outcome: Outcome | None


def chain_of(payment_method: str) -> Chain:
    """Parses a payment method. Raises ScenarioError."""
    *before, last = payment_method.split("|")
    names = before if last in OUTCOMES else [*before, last]
    if not all(name in STEPS for name in names):
        detail = f"not one of {', '.join(OUTCOMES)}, nor a chain of {', '.join(STEPS)} that may end in one of them"
        raise ScenarioError("/paymentMethod", detail)
    if len(names) > STEPS_MAX:
        raise ScenarioError("/paymentMethod", f"a chain of more than {STEPS_MAX} steps")
    return Chain([STEPS[name] for name in names], OUTCOMES.get(last))
