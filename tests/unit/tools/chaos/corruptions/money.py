"""Money kept, lost or made up: invariants 4, 8, 9 and 10."""

from tests.unit.tools.chaos.corruptions.means import least_due, order_of, pick, store, versions, violates
from tests.unit.tools.chaos.examples import CANCELLED, CHARGED_TWICE, DECLINED, DISPUTED, PAID_AGAIN, PARTLY_REFUNDED
from tests.unit.tools.chaos.run_by_hand import AMOUNT, charge_id
from tools.chaos.evidence import Evidence


@violates(4)
def a_second_charge_is_kept(run: Evidence) -> None:
    """Its refund is taken out of both books, and of all that tells of it."""
    _forget_refunds(run, CHARGED_TWICE)


@violates(4)
def a_cancelled_order_keeps_its_charge(run: Evidence) -> None:
    _forget_refunds(run, CANCELLED)


@violates(4, 8, 9, 16, 17)
def a_second_charge_of_another_attempt_is_kept(run: Evidence) -> None:
    """An order of ours that never heard of it: its own books are in order."""
    charge = pick(run.provider_charges, reference=f"{PAID_AGAIN}.2")
    run.provider_charges.append({**charge, "_id": "ch_missed", "reference": PAID_AGAIN, "refunds": []})


@violates(8, 16, 17)
def a_charge_of_an_order_that_is_not_there(run: Evidence) -> None:
    charge = pick(run.provider_charges, reference=DECLINED)
    run.provider_charges.append({**charge, "_id": "ch_of_nobody", "reference": "ord_of_nobody"})


@violates(8, 16, 17)
def a_failed_charge_does_not_show(run: Evidence) -> None:
    charge = pick(run.provider_charges, reference=DECLINED)
    run.provider_charges.append({**charge, "_id": "ch_missed"})


@violates(8)
def a_failed_refund_does_not_show(run: Evidence) -> None:
    refund = pick(run.provider_refunds, charge_reference=PARTLY_REFUNDED)
    missed = {"_id": "re_missed", "reference": "rf_missed", "status": "failed", "amount": 1}
    run.provider_refunds.append({**refund, **missed})


@violates(8, 16)
def a_refund_by_hand_does_not_show(run: Evidence) -> None:
    """One that has failed: no sum shows that it is missing."""
    charge = pick(run.provider_charges, reference=f"{PAID_AGAIN}.2")
    missed = {**charge["refunds"][0], "id": "re_missed", "status": "failed"}
    charge["refunds"].append(missed)
    run.provider_refunds.append({**pick(run.provider_refunds, charge_id=charge["_id"]), **missed, "_id": "re_missed"})


@violates(7, 8, 9)
def a_lost_dispute_does_not_show(run: Evidence) -> None:
    order_of(run, DISPUTED)["disputes"].clear()


@violates(7, 8, 9, 10)
def a_dispute_shows_as_won_that_is_lost(run: Evidence) -> None:
    """The event that says so is there: of another, as its bytes have it."""
    [dispute] = order_of(run, DISPUTED)["disputes"]
    dispute["state"] = "won"


@violates(1, 5, 9)
def something_is_owed_and_nobody_asks_for_it(run: Evidence) -> None:
    """The order is for less than what was charged, so part of that must go back beside what the merchant gave."""
    order_of(run, PARTLY_REFUNDED)["amount_minor"] -= 500


@violates(1, 5, 9)
def less_is_kept_than_may_be_and_nothing_says_why(run: Evidence) -> None:
    """The order is for more than what was charged."""
    order_of(run, PARTLY_REFUNDED)["amount_minor"] += 500


@violates(7, 9)
def more_is_reserved_than_was_paid(run: Evidence) -> None:
    order_of(run, PARTLY_REFUNDED)["refunds"][0]["amount_minor"] = AMOUNT + 1


@violates(9, 16)
def the_provider_gives_back_what_is_disputed(run: Evidence) -> None:
    """Each sum is as it is in our books: the refund has not ended yet."""
    charge = pick(run.provider_charges, reference=DISPUTED)
    charge["refunds"].append({**pick(run.provider_charges, reference=PARTLY_REFUNDED)["refunds"][0], "id": "re_2"})


@violates(7, 8, 9, 10)
def a_refund_is_refused_which_the_provider_did_not_refuse(run: Evidence) -> None:
    order_of(run, PARTLY_REFUNDED)["refunds"][0]["state"] = "refused"


@violates(5, 9)
def a_charge_is_of_another_amount_at_the_provider(run: Evidence) -> None:
    pick(run.provider_charges, reference=DECLINED)["amount"] += 1


@violates(5, 9)
def a_charge_is_in_another_currency_at_the_provider(run: Evidence) -> None:
    pick(run.provider_charges, reference=PARTLY_REFUNDED)["currency"] = "EUR"


@violates(9)
def the_provider_gives_back_more_than_it_took(run: Evidence) -> None:
    charge = pick(run.provider_charges, reference=PARTLY_REFUNDED)
    for refund in (charge["refunds"][0], pick(run.provider_refunds, charge_reference=PARTLY_REFUNDED)):
        refund["amount"] = AMOUNT + 1


@violates(9)
def a_charge_succeeded_only_in_our_books(run: Evidence) -> None:
    """It is nobody's any more at the provider; its event, once sent, is the proof that it was there."""
    run.provider_charges.remove(pick(run.provider_charges, reference=CHARGED_TWICE, _id=charge_id(CHARGED_TWICE, 1)))


@violates(10)
def a_forgery_was_believed(run: Evidence) -> None:
    operation = next(one for one in run.operations if one.command.get("trick") == "forged")
    operation.attempts[0].status = 200


@violates(10)
def bytes_are_stored_that_nobody_signed(run: Evidence) -> None:
    store(run, {**pick(run.stored_events, _id="evt_imagined"), "_id": "evt_2", "raw": "{}"})


@violates(10, 16)
def the_provider_never_said_what_is_applied(run: Evidence) -> None:
    """The event that was fetched: no delivery speaks of it."""
    event = pick(run.provider_events, reference=DECLINED)
    run.provider_deliveries.remove(pick(run.provider_deliveries, event_id=event["_id"]))
    run.provider_events.remove(event)


@violates(7, 10, 16)
def a_charge_succeeded_without_an_event(run: Evidence) -> None:
    event = pick(run.provider_events, reference=DECLINED)
    run.provider_deliveries.remove(pick(run.provider_deliveries, event_id=event["_id"]))
    run.stored_events.remove(pick(run.stored_events, order_id=DECLINED))


@violates(7, 10, 16)
def a_dispute_was_lost_without_an_event(run: Evidence) -> None:
    event = pick(run.provider_events, reference=DISPUTED, type="dispute.closed")
    run.provider_deliveries.remove(pick(run.provider_deliveries, event_id=event["_id"]))
    run.stored_events.remove(pick(run.stored_events, _id=event["_id"]))


@violates(10)
def a_forgery_of_the_provider_was_believed(run: Evidence) -> None:
    run.provider_deliveries[0]["attempts"][0]["status"] = 200


@violates(9)
def a_refund_was_made_twice(run: Evidence) -> None:
    refund = pick(run.provider_refunds, charge_reference=PARTLY_REFUNDED)
    run.provider_refunds.append({**refund, "_id": "re_again"})


@violates(8, 16, 17)
def a_charge_whose_event_did_not_fit_never_shows(run: Evidence) -> None:
    """That a person was told of a mismatch excuses nothing: the true event comes again."""
    charge = pick(run.provider_charges, reference=DECLINED)
    run.provider_charges.append({**charge, "_id": "ch_missed"})
    told = {**pick(run.provider_events, reference=DECLINED), "_id": "evt_missed", "object_id": "ch_missed"}
    run.provider_events.append(told)
    store(run, {**pick(run.stored_events, order_id=DECLINED), "_id": "evt_missed", "outcome": "mismatch"})
    review = {"code": "event-mismatch", "event_id": "evt_missed", "detail": "", "resolved_at": None, "decision": None}
    order_of(run, DECLINED)["reviews"].append(review)


def _forget_refunds(run: Evidence, order_id: str) -> None:
    gone = {one["_id"] for one in run.provider_events if one["reference"] == order_id and "refund" in one["type"]}
    for order in [*versions(run, order_id), order_of(run, order_id)]:
        order["refunds"], order["calls"] = [], [one for one in order["calls"] if one["kind"] == "charge"]
        order["due_at"] = least_due(order["calls"])
    deliveries = {f"dlv_{one}" for one in gone}
    run.changes = [one for one in run.changes if one.id not in gone | deliveries]
    for charge in (one for one in run.provider_charges if one["reference"] == order_id):
        for version in [*versions(run, charge["_id"]), charge]:
            version["refunds"] = []
            version["announce"] = [one for one in version["announce"] if one["id"] not in gone]
            waits = version["status"] == "pending" or version["announce"]
            version["due_at"] = version["settles_at"] if waits else None
    run.provider_refunds = [one for one in run.provider_refunds if one["charge_reference"] != order_id]
    run.provider_events = [one for one in run.provider_events if one["_id"] not in gone]
    run.provider_deliveries = [one for one in run.provider_deliveries if one["event_id"] not in gone]
    run.stored_events = [one for one in run.stored_events if one["_id"] not in gone]
