"""Events lost, or counted twice: invariants 6 and 11."""

from tests.unit.tools.chaos.corruptions.means import order_of, overlook, pick, store, violates
from tests.unit.tools.chaos.examples import CANCELLED, DECLINED, PARTLY_REFUNDED, START
from tools.chaos.evidence import Evidence
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
    before, after = {**event}, {**event, "outcome": "mismatch"}
    run.changes.append(Change(collection="payment_events", id=event["_id"], at=START, before=before, after=after))


@violates(6)
def nobody_saw_how_events_were_stored(run: Evidence) -> None:
    overlook(run, "payment_events")


@violates(11)
def an_acknowledged_event_is_not_stored(run: Evidence) -> None:
    """One that means nothing to any order."""
    event = {"_id": "evt_2", "type": "other", "object_id": "we_1", "reference": "we_1", "raw": "{}"}
    run.provider_events.append(event)
    attempt = {"status": 200, "forgery": None, "response_body": '{"outcome":"ignored"}'}
    run.provider_deliveries.append({"_id": "dlv_2", "event_id": "evt_2", "attempts": [attempt]})


@violates(11)
def a_strangers_true_event_is_not_stored(run: Evidence) -> None:
    run.stored_events.remove(pick(run.stored_events, _id="evt_imagined"))


@violates(11)
def an_event_has_no_outcome(run: Evidence) -> None:
    pick(run.stored_events, _id="evt_imagined")["outcome"] = None


@violates(7, 10, 11)
def an_event_that_was_applied_is_stored_as_unmatched(run: Evidence) -> None:
    pick(run.stored_events, order_id=PARTLY_REFUNDED, type="refund.succeeded")["outcome"] = "unmatched"


@violates(11)
def the_provider_has_forgotten_what_it_delivers(run: Evidence) -> None:
    run.provider_deliveries.append({"_id": "dlv_2", "event_id": "evt_2", "attempts": []})
