"""A small run, made by hand, in which everything is as it must be: nine orders of two merchants, and a stranger.

- PARTLY_REFUNDED: placed twice with one key, paid, a part given back.
- CHARGED_TWICE: two charges succeeded; the second was given back by itself.
- CANCELLED: while its charge was under way; given back by itself.
- REFUSED: the provider would not take it, for good.
- DECLINED: its event was never delivered; reconciliation has fetched it.
- GIVEN_UP: nobody knows whether the provider has taken it: a dead letter.
- PAID_AGAIN: declined, then paid in another way; somebody has given a part back at the provider.
- DISPUTED: paid, and the customer has it back by the bank.
- NOT_GIVEN_BACK: cancelled and paid; the provider has refused thrice to give it back, and is to be asked again.
"""

import json
from datetime import timedelta
from pathlib import Path

from shared.ids import derive_id
from tests.unit.tools.chaos.run_by_hand import AMOUNT, NORTH, SOUTH, START, Run, message_id
from tools.chaos.evidence import Evidence

PARTLY_REFUNDED, CHARGED_TWICE, CANCELLED, REFUSED, DECLINED, GIVEN_UP, PAID_AGAIN, DISPUTED, NOT_GIVEN_BACK = (
    f"ord_{number:032x}" for number in range(1, 10)
)
LATER = START + timedelta(minutes=10)
REFUSAL = {"state": "done", "last_error": "refused with 422", "refused_code": "invalid-fields"}
DEATH = {"state": "dead", "last_error": "gave up after 24 attempts"}


def a_run(log: Path) -> Evidence:
    """Anew each time: it may be corrupted."""
    run = Run(log)
    order = run.place(PARTLY_REFUNDED, NORTH)
    charge = run.charge(order)
    run.refund(order, "rf_" + "a" * 32, charge, 1000, "merchant")
    run.promise_refund(order, "rf_" + "a" * 32, charge, 10.00)
    run.becomes(order, "Paid")
    run.becomes(order, "PartiallyRefunded")

    order = run.place(CHARGED_TWICE, SOUTH)
    run.charge(order, 1)
    second = run.charge(order, 2)
    run.refund(order, derive_id("rf", second, "automatic", "0"), second, AMOUNT, "duplicateCharge")
    run.becomes(order, "Paid")

    order = run.place(CANCELLED, NORTH)
    run.cancel(order)
    charge = run.charge(order)
    run.refund(order, derive_id("rf", charge, "automatic", "0"), charge, AMOUNT, "cancelled")
    run.becomes(order, "Cancelled")

    run.becomes(run.place(REFUSED, SOUTH, "pm_of_nobody", end=REFUSAL), "Failed")

    order = run.place(DECLINED, SOUTH, "pm_card_declined")
    run.charge(order, failure_code="card_declined", dropped=True)
    run.becomes(order, "Failed")

    run.review(run.place(GIVEN_UP, SOUTH, end=DEATH), "dead-letter", message_id(GIVEN_UP))

    order = run.place(PAID_AGAIN, NORTH, "pm_card_declined")
    run.charge(order, failure_code="card_declined")
    run.becomes(order, "Failed")
    run.pay_again(order)
    run.refund_by_hand(order, run.charge(order, 2, attempt=2), 4000)
    run.becomes(order, "PartiallyRefunded")

    order = run.place(DISPUTED, SOUTH)
    run.dispute(order, run.charge(order), AMOUNT)
    run.becomes(order, "Paid")

    order = run.place(NOT_GIVEN_BACK, SOUTH)
    run.cancel(order)
    charge = run.charge(order)
    refunds = [derive_id("rf", charge, "automatic", str(number)) for number in range(4)]
    for refund_id in refunds[:3]:
        run.refund(order, refund_id, charge, AMOUNT, "cancelled", "refused")
    run.ask_back(order, refunds[3], charge, AMOUNT, "cancelled", due_at=LATER)
    run.review(order, "not-given-back", charge)
    run.becomes(order, "Cancelled")

    strangers_do(run)
    return run.end()


def strangers_do(run: Run) -> None:
    """A forgery is refused, an event of an unknown type with a true signature is stored, a spy finds nothing."""
    run.did("webhook", "", REFUSED, command={"trick": "forged", "raw": '{"forged":true}'}, status=401)
    paid = next(one["raw"] for one in run.evidence.provider_events if one["reference"] == PARTLY_REFUNDED)
    again = json.dumps(json.loads(paid), indent=1)
    run.did("webhook", "", PARTLY_REFUNDED, command={"trick": "encoded anew", "raw": again}, status=200)
    raw = json.dumps({"id": "evt_imagined", "type": "payment.imagined", "data": {}})
    run.did("webhook", "", None, command={"trick": "unknown type", "raw": raw}, status=200)
    run.conclude(run.receive({"_id": "evt_imagined", "type": "payment.imagined", "raw": raw}, None), "ignored")
    run.did("read", NORTH, REFUSED, status=404)
