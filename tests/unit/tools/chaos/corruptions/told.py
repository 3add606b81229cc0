"""What the provider did and did not tell, or not in order: invariants 16 and 17."""

from shared.mongo import Document
from tests.unit.tools.chaos.corruptions.means import overlook, pick, violates
from tests.unit.tools.chaos.examples import CANCELLED, DECLINED, DISPUTED, PARTLY_REFUNDED
from tests.unit.tools.chaos.run_by_hand import ENDPOINT, START, charge_id
from tools.chaos.evidence import Evidence
from tools.chaos.watcher import Change


@violates(16)
def an_event_has_other_bytes_than_its_mark(run: Evidence) -> None:
    """The mark was written with these; what is delivered, and stored, is the event."""
    for change in run.changes:
        for version in (change.before, change.after):
            for mark in (version or {}).get("announce", ()):
                mark["raw"] += " "


@violates(16)
def who_was_to_hear_of_it_does_not(run: Evidence) -> None:
    """As if the delivery had been taken away again."""
    event = pick(run.provider_events, reference=DECLINED)
    run.provider_deliveries.remove(pick(run.provider_deliveries, event_id=event["_id"]))


@violates(16)
def who_was_not_to_hear_of_it_does(run: Evidence) -> None:
    delivery = {**pick(run.provider_deliveries, state="cancelled"), "_id": "dlv_2", "endpoint_id": "we_2"}
    _appear(run, "deliveries", delivery)
    run.provider_deliveries.append(delivery)


@violates()
def who_was_not_to_hear_of_it_has_asked_for_it(run: Evidence) -> None:
    delivery = {**pick(run.provider_deliveries, state="cancelled"), "_id": "dlv_2", "endpoint_id": "we_2"}
    delivery["queued_at"] = None
    _appear(run, "deliveries", delivery)
    run.provider_deliveries.append(delivery)


@violates(16)
def something_was_told_twice(run: Evidence) -> None:
    """Under another id, and announced by all rules."""
    mark = {**_mark_of(run, DECLINED), "id": "evt_again", "to": []}
    charge = pick(run.provider_charges, reference=DECLINED)
    due = {**charge, "due_at": START}
    _write(run, charge, {}, announce=[mark], due_at=START)
    event = {**pick(run.provider_events, reference=DECLINED), "_id": "evt_again"}
    _appear(run, "events", event)
    run.provider_events.append(event)
    _write(run, due, {"announce": [mark]}, announce=[], due_at=None)


@violates(16)
def a_wrong_amount_was_not_told_where_it_was_asked_for(run: Evidence) -> None:
    for change in run.changes:
        for version in (change.before, change.after):
            if version is not None and version.get("reference") == DECLINED and "scenario" in version:
                version["scenario"] = {"wrongAmount": True}


@violates(16)
def a_mark_is_there_at_rest(run: Evidence) -> None:
    charge = pick(run.provider_charges, reference=DECLINED)
    charge["announce"].append(_mark_of(run, DECLINED))
    charge["due_at"] = START


@violates(17)
def a_charge_ended_without_a_mark(run: Evidence) -> None:
    charge = pick(run.provider_charges, reference=DECLINED)
    _write(run, charge, {"status": "pending", "due_at": START}, status="failed", due_at=None)


@violates(17)
def a_charge_ended_twice(run: Evidence) -> None:
    charge = pick(run.provider_charges, reference=DECLINED)
    _write(run, charge, {"status": "succeeded"}, status="failed")


@violates(17)
def a_dispute_was_closed_twice(run: Evidence) -> None:
    charge = pick(run.provider_charges, reference=DISPUTED)
    won = [{**charge["disputes"][0], "status": "won"}]
    _write(run, charge, {"disputes": won}, disputes=charge["disputes"])


@violates(16)
def a_dispute_was_closed_and_nobody_told(run: Evidence) -> None:
    event = pick(run.provider_events, reference=DISPUTED, type="dispute.closed")
    event["object_id"] = "dp_another"


@violates(17)
def a_charge_is_due_too_late(run: Evidence) -> None:
    charge = pick(run.provider_charges, reference=DECLINED)
    pending = {"status": "pending", "settled_at": None}
    _write(run, charge, {**pending, "due_at": START}, due_at=None)


@violates(17)
def an_event_was_there_before_its_charge_had_ended(run: Evidence) -> None:
    _move(run, pick(run.provider_events, reference=DECLINED)["_id"], before=charge_id(DECLINED))


@violates(17)
def a_delivery_was_there_before_its_event(run: Evidence) -> None:
    event_id = pick(run.provider_events, reference=DECLINED)["_id"]
    _move(run, f"dlv_{event_id}", before=event_id)


@violates(17)
def a_mark_went_before_its_deliveries(run: Evidence) -> None:
    event_id = pick(run.provider_events, reference=DECLINED)["_id"]
    delivered = next(one for one in run.changes if one.id == f"dlv_{event_id}")
    run.changes.remove(delivered)
    gone = [one for one in run.changes if one.id == charge_id(DECLINED)][-1]
    run.changes.insert(run.changes.index(gone), delivered)


@violates(17)
def a_delivery_was_tried_by_who_had_not_claimed_it(run: Evidence) -> None:
    event_id = pick(run.provider_events, reference=PARTLY_REFUNDED)["_id"]
    tried = [one for one in run.changes if one.id == f"dlv_{event_id}"][-1]
    assert tried.before is not None
    tried.before["lease_until"] = None


@violates(17)
def nobody_saw_how_deliveries_were_made(run: Evidence) -> None:
    overlook(run, "deliveries")


@violates(5)
def a_charge_was_written_without_counting(run: Evidence) -> None:
    charge = pick(run.provider_charges, reference=CANCELLED)
    _write(run, charge, {}, version=charge["version"])


def _mark_of(run: Evidence, order_id: str) -> Document:
    event = pick(run.provider_events, reference=order_id)
    told = {"id": event["_id"], "object": event["object_id"], "type": event["type"], "raw": event["raw"]}
    return {**told, "to": [ENDPOINT]}


def _appear(run: Evidence, collection: str, document: Document) -> None:
    run.changes.append(Change(collection=collection, id=document["_id"], at=START, before=None, after=document))


def _write(run: Evidence, charge: Document, was: Document, **fields: object) -> None:
    """One more write to a charge, by the rules but for `fields`, from what `was` made of it."""
    before = {**charge, **was}
    after = {**before, "version": before["version"] + 1, "writer": before["writer"] + 1, **fields}
    run.changes.append(Change(collection="charges", id=charge["_id"], at=START, before=before, after=after))


def _move(run: Evidence, what: str, *, before: str) -> None:
    """The first write to a document to just before the first to another."""
    moved = next(one for one in run.changes if one.id == what)
    run.changes.remove(moved)
    place = next(place for place, one in enumerate(run.changes) if one.id == before)
    run.changes.insert(place, moved)
