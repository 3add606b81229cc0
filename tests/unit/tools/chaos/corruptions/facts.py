"""Orders that do not say what happened: invariant 7."""

from tests.unit.tools.chaos.corruptions.means import copy_of, operation_on, order_of, violates, write
from tests.unit.tools.chaos.examples import (
    CANCELLED,
    CHARGED_TWICE,
    DECLINED,
    PARTLY_REFUNDED,
    REFUSED,
    SOUTH,
    START,
)
from tools.chaos.evidence import Evidence


@violates(7)
def a_status_is_not_that_of_the_facts(run: Evidence) -> None:
    order = order_of(run, REFUSED)
    order["status"] = order["history"][-1]["status"] = "Failed"
    order["history"].insert(0, {"status": "Pending", "at": START, "cause": "placed"})


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
def nobody_is_told_of_a_second_charge(run: Evidence) -> None:
    order_of(run, CHARGED_TWICE)["reviews"] = []


@violates(7)
def a_review_came_from_nowhere(run: Evidence) -> None:
    review = {**order_of(run, CHARGED_TWICE)["reviews"][0], "code": "event-altered", "event_id": "evt_1"}
    order_of(run, DECLINED)["reviews"].append(review)


@violates(7)
def a_review_was_resolved_by_nobody(run: Evidence) -> None:
    order_of(run, CHARGED_TWICE)["reviews"][0] |= {"resolved_at": START, "decision": "accept"}


@violates(7)
def a_review_was_closed_by_a_redrive_that_nobody_asked_for(run: Evidence) -> None:
    order_of(run, REFUSED)["reviews"][0] |= {"resolved_at": START, "decision": "redriven"}


@violates(7)
def a_fact_was_taken_back(run: Evidence) -> None:
    charges = order_of(run, DECLINED)["charges"]
    write(run, DECLINED, {"charges": [{**charges[0], "state": "succeeded"}]}, charges=charges)


@violates(7)
def an_acknowledged_resolution_is_forgotten(run: Evidence) -> None:
    _resolve(run, "accept")


@violates(7)
def an_acknowledged_resolution_gave_nothing_back(run: Evidence) -> None:
    order_of(run, CHARGED_TWICE)["reviews"][0] |= {"resolved_at": START, "decision": "refund"}
    _resolve(run, "refund")


def _resolve(run: Evidence, decision: str) -> None:
    """As a client was told."""
    told = {"kind": "resolve", "order_id": CHARGED_TWICE, "merchant": SOUTH}
    command = {"code": "second-charge", "decision": decision}
    run.operations.append(copy_of(operation_on(run, "cancel", CANCELLED), command=command, **told))
