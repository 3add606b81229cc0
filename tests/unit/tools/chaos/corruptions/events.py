"""Events lost, or counted twice: invariants 6 and 11."""

from tests.unit.tools.chaos.corruptions.means import order_of, overlook, pick, store, violates
from tests.unit.tools.chaos.examples import CANCELLED, DECLINED, PAID_AGAIN, PARTLY_REFUNDED
from tests.unit.tools.chaos.run_by_hand import START
from tools.chaos.evidence import Evidence
from tools.chaos.strangers import encoded_anew
from tools.chaos.watcher import Change


@violates(6)
def an_event_is_stored_twice_as_applied(run: Evidence) -> None:
    event = pick(run.stored_events, order_id=DECLINED)
    store(run, {**event, "_id": event["_id"] + "~0123456789abcdef"})


@violates(6)
def one_event_changed_two_statuses(run: Evidence) -> None:
    for order_id in (PARTLY_REFUNDED, CANCELLED):
        order_of(run, order_id)["history"][-1]["cause"] = "payment.succeeded evt_1"


@violates(6)
def an_applied_event_was_judged_again(run: Evidence) -> None:
    event = pick(run.stored_events, order_id=DECLINED)
    before, after = {**event}, {**event, "outcome": "mismatch", "version": 3, "writer": 3}
    run.changes.append(Change(collection="payment_events", id=event["_id"], at=START, before=before, after=after))


@violates(6)
def an_event_was_applied_before_its_order_knew(run: Evidence) -> None:
    event = pick(run.stored_events, order_id=DECLINED)
    [applied] = [one for one in run.changes if one.id == event["_id"] and one.before]
    run.changes.remove(applied)
    learned = next(
        place for place, one in enumerate(run.changes) if one.id == DECLINED and one.after and one.after["charges"]
    )
    run.changes.insert(learned, applied)


@violates(6)
def an_event_was_put_aside_before_anybody_was_told(run: Evidence) -> None:
    """The review comes with the last write to the order."""
    event = {**pick(run.stored_events, order_id=DECLINED), "_id": "evt_odd", "outcome": "mismatch"}
    store(run, event)
    review = {"code": "event-mismatch", "event_id": "evt_odd", "detail": "", "resolved_at": None, "decision": None}
    order_of(run, DECLINED)["reviews"].append(review)
    last = next(place for place, one in enumerate(run.changes) if one.after is order_of(run, DECLINED))
    run.changes.insert(last, run.changes.pop())


@violates(6)
def nobody_saw_how_events_were_stored(run: Evidence) -> None:
    overlook(run, "payment_events")


@violates(11, 16, 17)
def an_acknowledged_event_is_not_stored(run: Evidence) -> None:
    """One that means nothing to any order."""
    event = {"_id": "evt_2", "type": "other", "object_id": "we_1", "reference": "we_1", "raw": "{}", "fault": None}
    run.provider_events.append(event)
    attempt = {"status": 200, "forgery": None, "response_body": '{"outcome":"ignored"}'}
    run.provider_deliveries.append({"_id": "dlv_2", "event_id": "evt_2", "endpoint_id": "we_1", "attempts": [attempt]})


@violates(11)
def a_strangers_true_event_is_not_stored(run: Evidence) -> None:
    run.stored_events.remove(pick(run.stored_events, _id="evt_imagined"))


@violates(11)
def an_event_that_came_encoded_anew_is_not_stored_at_all(run: Evidence) -> None:
    operation = next(one for one in run.operations if one.command.get("trick") == "encoded anew")
    operation.command["raw"] = '{"id": "evt_of_nobody"}'


@violates(6, 7)
def an_event_that_came_encoded_anew_is_taken_for_another(run: Evidence) -> None:
    """And a person is asked about it, which would be right if it said something else."""
    event = pick(run.stored_events, order_id=PARTLY_REFUNDED, type="payment.succeeded")
    raw = encoded_anew(event["raw"].encode()).decode()
    store(run, {**event, "_id": event["_id"] + "~0123456789abcdef", "raw": raw, "outcome": "duplicate"})


@violates(6)
def a_refund_by_hand_was_applied_before_its_order_knew(run: Evidence) -> None:
    event = pick(run.stored_events, order_id=PAID_AGAIN, type="refund.succeeded")
    [applied] = [one for one in run.changes if one.id == event["_id"] and one.before]
    run.changes.remove(applied)
    learned = next(
        place for place, one in enumerate(run.changes) if one.id == PAID_AGAIN and one.after and one.after["refunds"]
    )
    run.changes.insert(learned, applied)


@violates(11)
def an_event_has_no_outcome(run: Evidence) -> None:
    pick(run.stored_events, _id="evt_imagined")["outcome"] = None


@violates(11)
def an_event_is_still_to_be_understood(run: Evidence) -> None:
    pick(run.stored_events, _id="evt_imagined")["outcome"] = "received"


@violates(7, 10, 11)
def an_event_that_was_applied_is_stored_as_unmatched(run: Evidence) -> None:
    pick(run.stored_events, order_id=PARTLY_REFUNDED, type="refund.succeeded")["outcome"] = "unmatched"


@violates(11, 17)
def the_provider_has_forgotten_what_it_delivers(run: Evidence) -> None:
    run.provider_deliveries.append({"_id": "dlv_2", "event_id": "evt_2", "endpoint_id": "we_1", "attempts": []})
