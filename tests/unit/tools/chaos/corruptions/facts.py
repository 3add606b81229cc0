"""Orders that do not say what happened: invariant 7."""

from tests.unit.tools.chaos.corruptions.means import (
    attempt_like,
    copy_of,
    key_of,
    operation_on,
    order_of,
    violates,
    write,
)
from tests.unit.tools.chaos.examples import (
    CANCELLED,
    CHARGED_TWICE,
    DECLINED,
    DISPUTED,
    GIVEN_UP,
    NOT_GIVEN_BACK,
    PAID_AGAIN,
    PARTLY_REFUNDED,
    REFUSED,
)
from tests.unit.tools.chaos.run_by_hand import SOUTH, START
from tools.chaos.evidence import Evidence


@violates(7)
def a_status_is_not_that_of_the_facts(run: Evidence) -> None:
    order = order_of(run, GIVEN_UP)
    order["status"] = order["history"][-1]["status"] = "Failed"
    order["history"].insert(0, {"status": "Pending", "at": START, "cause": "placed"})


@violates(7)
def an_order_failed_though_an_attempt_may_have_been_made(run: Evidence) -> None:
    """The second of two, which is a dead letter: that the first was refused says nothing of it."""
    order, key = order_of(run, REFUSED), {**key_of(run, REFUSED), "value": "pay-4", "of": "pay_1"}
    order["keys"].append({**key, "endpoint": f"POST /api/orders/{REFUSED}/payments"})
    method = order["calls"][0]["payment_method"]
    given_up = {**order_of(run, GIVEN_UP)["calls"][0], "id": "obx_2", "payment_method": method}
    order["calls"].append({**given_up, "reference": f"{REFUSED}.2"})
    order["reviews"].append({**order_of(run, GIVEN_UP)["reviews"][0], "event_id": "obx_2"})
    placed = operation_on(run, "place", REFUSED)
    unknown = {"attempts": [attempt_like(placed, status=None)], "outcome": "unknown"}
    run.operations.append(copy_of(placed, kind="pay", key="pay-4", command={"payment_method": method}, **unknown))


@violates(7)
def an_applied_event_did_not_reach_its_order(run: Evidence) -> None:
    """A charge that failed beside one that succeeded: nothing else shows that it is missing."""
    order = order_of(run, DECLINED)
    order["charges"][0]["failure_code"] = "expired_card"


@violates(7)
def a_refund_came_from_nowhere(run: Evidence) -> None:
    order_of(run, PARTLY_REFUNDED)["keys"].pop()
    run.operations.remove(operation_on(run, "refund", PARTLY_REFUNDED))


@violates(7)
def an_acknowledged_cancellation_is_forgotten(run: Evidence) -> None:
    run.operations.append(copy_of(operation_on(run, "cancel", CANCELLED), order_id=DECLINED, merchant=SOUTH))


@violates(7)
def a_cancellation_came_from_nowhere(run: Evidence) -> None:
    run.operations.remove(operation_on(run, "cancel", CANCELLED))


@violates(7)
def a_payment_came_from_nowhere(run: Evidence) -> None:
    """Whoever asked for it was refused."""
    operation_on(run, "pay", PAID_AGAIN).attempts[0].status = 409


@violates(7)
def a_payment_is_in_another_way_than_was_asked_for(run: Evidence) -> None:
    operation_on(run, "pay", PAID_AGAIN).command = {"payment_method": "pm_card_declined"}


@violates(7)
def a_refund_by_hand_came_from_nowhere(run: Evidence) -> None:
    run.operations.remove(operation_on(run, "by hand", PAID_AGAIN))


@violates(7)
def an_automatic_refund_has_an_id_that_does_not_follow(run: Evidence) -> None:
    """So asking for it twice could be asking for two."""
    order, another = order_of(run, NOT_GIVEN_BACK), "rf_" + "f" * 32
    refund, call = order["refunds"][-1], order["calls"][-1]
    call |= {"body": call["body"].replace(refund["id"], another), "reference": another, "refund_id": another}
    refund["id"] = another


@violates(7)
def nobody_is_told_of_a_dispute(run: Evidence) -> None:
    order_of(run, DISPUTED)["reviews"] = []


@violates(4, 7)
def nobody_is_told_that_the_provider_gives_nothing_back(run: Evidence) -> None:
    order_of(run, NOT_GIVEN_BACK)["reviews"] = []


@violates(7)
def a_review_has_closed_by_itself_while_its_cause_stands(run: Evidence) -> None:
    order_of(run, DISPUTED)["reviews"][0]["resolved_at"] = START


@violates(7)
def a_review_is_open_whose_cause_is_gone(run: Evidence) -> None:
    """What a second charge was given back for is settled."""
    order = order_of(run, CHARGED_TWICE)
    order["reviews"].append(
        {**order_of(run, DISPUTED)["reviews"][0], "code": "second-charge", "event_id": order["_id"]}
    )


@violates()
def a_review_has_closed_by_itself_when_its_cause_was_gone(run: Evidence) -> None:
    order = order_of(run, CHARGED_TWICE)
    review = {**order_of(run, DISPUTED)["reviews"][0], "code": "second-charge", "event_id": order["_id"]}
    order["reviews"].append({**review, "resolved_at": START})


@violates(7)
def a_review_came_from_nowhere(run: Evidence) -> None:
    review = {**order_of(run, DISPUTED)["reviews"][0], "code": "event-altered", "event_id": "evt_1"}
    order_of(run, DECLINED)["reviews"].append(review)


@violates(7)
def a_review_was_resolved_by_nobody(run: Evidence) -> None:
    order_of(run, DISPUTED)["reviews"][0] |= {"resolved_at": START, "decision": "accept"}


@violates(7)
def a_review_was_closed_by_a_redrive_that_nobody_asked_for(run: Evidence) -> None:
    order_of(run, GIVEN_UP)["reviews"][0] |= {"resolved_at": START, "decision": "redriven"}


@violates(7)
def a_fact_was_taken_back(run: Evidence) -> None:
    charges = order_of(run, DECLINED)["charges"]
    write(run, DECLINED, {"charges": [{**charges[0], "state": "succeeded"}]}, charges=charges)


@violates(7)
def a_lost_dispute_is_open_again(run: Evidence) -> None:
    disputes = order_of(run, DISPUTED)["disputes"]
    write(run, DISPUTED, {}, disputes=[{**disputes[0], "state": "open"}])


@violates(7)
def a_reply_took_back_what_an_event_had_told(run: Evidence) -> None:
    """That a refund was refused, when it had succeeded."""
    refunds = order_of(run, PARTLY_REFUNDED)["refunds"]
    write(run, PARTLY_REFUNDED, {}, refunds=[{**refunds[0], "state": "refused", "made_at": None}])


@violates(7)
def an_acknowledged_resolution_is_forgotten(run: Evidence) -> None:
    _resolve(run, "accept")


@violates(7)
def an_acknowledged_resolution_gave_nothing_back(run: Evidence) -> None:
    order_of(run, DISPUTED)["reviews"][0] |= {"resolved_at": START, "decision": "refund"}
    _resolve(run, "refund")


@violates()
def an_acknowledged_resolution_is_there(run: Evidence) -> None:
    order_of(run, DISPUTED)["reviews"][0] |= {"resolved_at": START, "decision": "accept"}
    _resolve(run, "accept")


def _resolve(run: Evidence, decision: str) -> None:
    """As a client was told."""
    told = {"kind": "resolve", "order_id": DISPUTED, "merchant": SOUTH}
    about = order_of(run, DISPUTED)["reviews"][0]["event_id"]
    command = {"code": "dispute", "event_id": about, "decision": decision}
    run.operations.append(copy_of(operation_on(run, "cancel", CANCELLED), command=command, **told))
