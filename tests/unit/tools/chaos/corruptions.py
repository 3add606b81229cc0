"""Ways to corrupt the example run, and of each the invariants that it violates. Most violate one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from shared.mongo import Document
from tests.unit.tools.chaos.examples import (
    AMOUNT,
    API_KEY,
    CANCELLED,
    CHARGED_TWICE,
    DECLINED,
    NORTH,
    PARTLY_REFUNDED,
    REFUSED,
    SECRET,
    SOUTH,
    START,
    charge_id,
    message_id,
)
from tools.chaos.evidence import Evidence
from tools.chaos.history import Operation
from tools.chaos.watcher import Change

Corruption: TypeAlias = Callable[[Evidence], None]
CORRUPTIONS: list[tuple[set[int], Corruption]] = []


def violates(*numbers: int) -> Callable[[Corruption], Corruption]:
    def note(corruption: Corruption) -> Corruption:
        CORRUPTIONS.append((set(numbers), corruption))
        return corruption

    return note


@violates(1)
def an_acknowledged_order_is_of_another_amount(run: Evidence) -> None:
    _operation(run, "place", PARTLY_REFUNDED).command = {"amount_minor": AMOUNT + 1}
    _operation(run, "place", PARTLY_REFUNDED, 1).command = {"amount_minor": AMOUNT + 1}


@violates(1, 2, 12)
def an_acknowledged_order_that_nobody_has_charged_is_gone(run: Evidence) -> None:
    run.orders.remove(_order(run, REFUSED))


@violates(1)
def a_promised_refund_is_gone_and_its_key_too(run: Evidence) -> None:
    operation = _operation(run, "refund", PARTLY_REFUNDED)
    operation.attempts[0].body = operation.attempts[0].body.replace(b"rf_a", b"rf_b")
    record = _one(run.keys, _id=f"{NORTH}:refund-key")
    record["body"] = record["body"].replace("rf_a", "rf_b")


@violates(1)
def an_order_was_refused_and_is_there(run: Evidence) -> None:
    for operation in (one for one in run.operations if one.kind == "place" and one.order_id == REFUSED):
        operation.attempts[0].status, operation.outcome = 409, "fail"


@violates(2)
def an_order_has_no_message(run: Evidence) -> None:
    run.messages.remove(_message(run, DECLINED))


@violates(2)
def an_order_has_two_keys(run: Evidence) -> None:
    operation = _operation(run, "place", DECLINED)
    run.operations.append(_copy_of(operation, key="another", attempts=[]))
    run.operations[-1].attempts = [_attempt(operation, status=None)]
    run.keys.append({**_one(run.keys, resource_id=DECLINED), "_id": f"{SOUTH}:another"})


@violates(2)
def a_key_has_no_order(run: Evidence) -> None:
    operation = _operation(run, "place", DECLINED)
    run.operations.append(_copy_of(operation, key="another", attempts=[_attempt(operation, status=None)]))
    run.keys.append({**_one(run.keys, resource_id=DECLINED), "_id": f"{SOUTH}:another", "resource_id": "ord_gone"})


@violates(2, 3)
def an_order_has_no_key(run: Evidence) -> None:
    run.keys.remove(_one(run.keys, resource_id=DECLINED))


@violates(3)
def a_replay_differs_by_a_byte(run: Evidence) -> None:
    _operation(run, "place", DECLINED, 1).attempts[0].body += b" "


@violates(3)
def a_replay_has_another_location(run: Evidence) -> None:
    _operation(run, "place", DECLINED, 1).attempts[0].location = "/api/orders/another"


@violates(3)
def a_replay_does_not_say_that_it_is_one(run: Evidence) -> None:
    _operation(run, "place", DECLINED, 1).attempts[0].replayed = False


@violates(3)
def a_key_remembers_another_answer(run: Evidence) -> None:
    _one(run.keys, resource_id=DECLINED)["body"] += " "


@violates(1, 3)
def one_key_served_two_requests(run: Evidence) -> None:
    operation = _operation(run, "place", DECLINED, 1)
    operation.command = {**operation.command, "amount_minor": AMOUNT + 1}


@violates(4)
def a_second_charge_is_kept(run: Evidence) -> None:
    """Its refund is taken out of both books, and of all that tells of it."""
    _forget_refunds(run, CHARGED_TWICE)


@violates(4)
def a_cancelled_order_keeps_its_charge(run: Evidence) -> None:
    _forget_refunds(run, CANCELLED)


@violates(5)
def a_message_was_settled_under_a_stale_fence(run: Evidence) -> None:
    _alter(run, "outbox", 2, settled_fence=0)


@violates(5)
def a_message_was_settled_under_no_fence(run: Evidence) -> None:
    change = _alter(run, "outbox", 2)
    assert change.after is not None
    del change.after["settled_fence"]


@violates(5)
def a_fence_went_back(run: Evidence) -> None:
    _write_again(run, DECLINED, fence=0, settled_fence=0, before={"state": "ready"})


@violates(5)
def a_claim_did_not_raise_the_fence(run: Evidence) -> None:
    _write_again(run, DECLINED, state="leased", claim="two", before={"state": "dead"})


@violates(5)
def what_was_done_is_ready_again(run: Evidence) -> None:
    _write_again(run, DECLINED, state="ready")


@violates(5)
def what_was_void_is_claimed(run: Evidence) -> None:
    _write_again(run, DECLINED, state="leased", fence=2, claim="two", before={"state": "void"})


@violates(5)
def a_frozen_body_changed(run: Evidence) -> None:
    _write_again(run, DECLINED, body="{}", before={"state": "ready"})


@violates(6)
def an_event_is_stored_twice_as_applied(run: Evidence) -> None:
    event = _one(run.stored_events, order_id=DECLINED)
    run.stored_events.append({**event, "_id": event["_id"] + "~0123456789abcdef"})


@violates(6)
def one_event_changed_two_statuses(run: Evidence) -> None:
    for order_id in (PARTLY_REFUNDED, CANCELLED):
        _order(run, order_id)["history"][-1]["cause"] = "payment.succeeded evt_1"


@violates(6)
def an_applied_event_was_judged_again(run: Evidence) -> None:
    event = _one(run.stored_events, order_id=DECLINED)
    before, after = {**event}, {**event, "outcome": "mismatch"}
    run.changes.append(Change(collection="payment_events", id=event["_id"], at=START, before=before, after=after))


@violates(7)
def a_status_is_not_that_of_the_facts(run: Evidence) -> None:
    order = _order(run, REFUSED)
    order["status"] = order["history"][-1]["status"] = "Failed"
    order["history"].insert(0, {"status": "Pending", "at": START, "cause": "placed"})


@violates(7)
def an_applied_event_did_not_reach_its_order(run: Evidence) -> None:
    """A charge that failed beside one that succeeded: nothing else shows that it is missing."""
    order = _order(run, DECLINED)
    order["charges"][0]["failure_code"] = "expired_card"


@violates(7)
def a_refund_came_from_nowhere(run: Evidence) -> None:
    run.keys.remove(_one(run.keys, _id=f"{NORTH}:refund-key"))
    run.operations.remove(_operation(run, "refund", PARTLY_REFUNDED))


@violates(7)
def an_acknowledged_cancellation_is_forgotten(run: Evidence) -> None:
    run.operations.append(_copy_of(_operation(run, "cancel", CANCELLED), order_id=DECLINED, merchant=SOUTH))


@violates(7)
def a_cancellation_came_from_nowhere(run: Evidence) -> None:
    run.operations.remove(_operation(run, "cancel", CANCELLED))


@violates(7)
def nobody_is_told_of_a_second_charge(run: Evidence) -> None:
    _order(run, CHARGED_TWICE)["reviews"] = []


@violates(7)
def a_review_came_from_nowhere(run: Evidence) -> None:
    review = {**_order(run, CHARGED_TWICE)["reviews"][0], "code": "event-altered", "event_id": "evt_1"}
    _order(run, DECLINED)["reviews"].append(review)


@violates(7)
def a_review_was_resolved_by_nobody(run: Evidence) -> None:
    _order(run, CHARGED_TWICE)["reviews"][0] |= {"resolved_at": START, "decision": "accept"}


@violates(7)
def a_fact_was_taken_back(run: Evidence) -> None:
    after = _order(run, DECLINED)
    before = {**after, "charges": [{**after["charges"][0], "state": "succeeded"}]}
    run.changes.append(Change(collection="orders", id=DECLINED, at=START, before=before, after=after))


@violates(8)
def a_charge_of_an_order_that_is_not_there(run: Evidence) -> None:
    charge = _one(run.provider_charges, reference=DECLINED)
    run.provider_charges.append({**charge, "_id": "ch_of_nobody", "reference": "ord_of_nobody"})


@violates(8)
def a_failed_charge_does_not_show(run: Evidence) -> None:
    charge = _one(run.provider_charges, reference=DECLINED)
    run.provider_charges.append({**charge, "_id": "ch_missed"})


@violates(8)
def a_failed_refund_does_not_show(run: Evidence) -> None:
    refund = _one(run.provider_refunds, charge_reference=PARTLY_REFUNDED)
    missed = {"_id": "re_missed", "reference": "rf_missed", "status": "failed", "amount": 1}
    run.provider_refunds.append({**refund, **missed})


@violates(9)
def a_charge_is_of_another_amount_at_the_provider(run: Evidence) -> None:
    _one(run.provider_charges, reference=DECLINED)["amount"] += 1


@violates(9)
def a_charge_is_in_another_currency_at_the_provider(run: Evidence) -> None:
    _one(run.provider_charges, reference=PARTLY_REFUNDED)["currency"] = "EUR"


@violates(9)
def the_provider_gives_back_more_than_it_took(run: Evidence) -> None:
    charge = _one(run.provider_charges, reference=PARTLY_REFUNDED)
    refund = _one(run.provider_refunds, charge_reference=PARTLY_REFUNDED)
    charge["amount_refunded"] = refund["amount"] = AMOUNT + 1


@violates(9)
def the_provider_has_miscounted(run: Evidence) -> None:
    _one(run.provider_charges, reference=PARTLY_REFUNDED)["amount_refunded"] = 0


@violates(9)
def a_charge_succeeded_only_in_our_books(run: Evidence) -> None:
    """It is nobody's any more at the provider; its event, once sent, is the proof that it was there."""
    run.provider_charges.remove(_one(run.provider_charges, reference=CHARGED_TWICE, _id=charge_id(CHARGED_TWICE, 1)))


@violates(10)
def a_forgery_was_believed(run: Evidence) -> None:
    operation = next(one for one in run.operations if one.command.get("trick") == "forged")
    operation.attempts[0].status = 200


@violates(10)
def bytes_are_stored_that_nobody_signed(run: Evidence) -> None:
    run.stored_events.append({**_one(run.stored_events, _id="evt_imagined"), "_id": "evt_2", "raw": "{}"})


@violates(10)
def the_provider_never_said_what_is_applied(run: Evidence) -> None:
    """The event that was fetched: no delivery speaks of it."""
    event = _one(run.provider_events, reference=DECLINED)
    run.provider_deliveries.remove(_one(run.provider_deliveries, event_id=event["_id"]))
    run.provider_events.remove(event)


@violates(7, 10)
def a_charge_succeeded_without_an_event(run: Evidence) -> None:
    event = _one(run.provider_events, reference=DECLINED)
    run.provider_deliveries.remove(_one(run.provider_deliveries, event_id=event["_id"]))
    run.stored_events.remove(_one(run.stored_events, order_id=DECLINED))


@violates(11)
def an_acknowledged_event_is_not_stored(run: Evidence) -> None:
    """One that means nothing to any order."""
    event = {"_id": "evt_2", "type": "other", "object_id": "we_1", "reference": "we_1", "raw": "{}"}
    run.provider_events.append(event)
    attempt = {"status": 200, "forgery": None, "response_body": '{"outcome":"ignored"}'}
    run.provider_deliveries.append({"_id": "dlv_2", "event_id": "evt_2", "attempts": [attempt]})


@violates(11)
def a_strangers_true_event_is_not_stored(run: Evidence) -> None:
    run.stored_events.remove(_one(run.stored_events, _id="evt_imagined"))


@violates(11)
def an_event_has_no_outcome(run: Evidence) -> None:
    _one(run.stored_events, _id="evt_imagined")["outcome"] = None


@violates(7, 10, 11)
def an_event_that_was_applied_is_stored_as_unmatched(run: Evidence) -> None:
    _one(run.stored_events, order_id=PARTLY_REFUNDED, type="refund.succeeded")["outcome"] = "unmatched"


@violates(12)
def something_is_still_open(run: Evidence) -> None:
    run.still_open.append(f"order {DECLINED} is Pending")


@violates(12)
def a_message_was_attempted_without_end(run: Evidence) -> None:
    _message(run, DECLINED)["attempts"] = 25


@violates(12)
def a_done_message_is_leased(run: Evidence) -> None:
    _message(run, DECLINED)["lease_until"] = START


@violates(7, 12)
def a_dead_letter_without_a_review(run: Evidence) -> None:
    _order(run, REFUSED)["reviews"] = []


@violates(12)
def an_acknowledged_redrive_did_nothing(run: Evidence) -> None:
    told = {"command": {"message": message_id(REFUSED)}, "merchant": SOUTH, "order_id": REFUSED, "kind": "redrive"}
    run.operations.append(_copy_of(_operation(run, "cancel", CANCELLED), **told))


@violates(13)
def a_spy_was_let_in(run: Evidence) -> None:
    spy = _operation(run, "read", REFUSED)
    spy.attempts[0].status, spy.outcome = 200, "ok"


@violates(13)
def a_list_shows_anothers_order(run: Evidence) -> None:
    body = f'{{"data":[{{"id":"{REFUSED}"}}]}}'.encode()
    read = _operation(run, "read", REFUSED)
    run.operations.append(_copy_of(read, kind="list", order_id=None, attempts=[_attempt(read, status=200, body=body)]))


@violates(14)
def a_try_took_too_long(run: Evidence) -> None:
    _operation(run, "place", DECLINED).attempts[0].seconds = 18.0


@violates(14)
def an_operation_never_ended(run: Evidence) -> None:
    _operation(run, "place", DECLINED).ended = None


@violates(14)
def a_client_did_not_give_up(run: Evidence) -> None:
    _operation(run, "place", DECLINED).ended = 1000.0


@violates(14)
def memory_doubled(run: Evidence) -> None:
    run.memory = {"order_api_1": [80, 90, 95, 150, 180, 200]}


@violates(15)
def a_log_shows_a_secret(run: Evidence) -> None:
    _log(run, f"signing with {SECRET}")


@violates(15)
def a_log_shows_a_secret_without_its_prefix(run: Evidence) -> None:
    _log(run, f"signing with {SECRET.removeprefix('whsec_')}")


@violates(15)
def a_log_shows_an_api_key(run: Evidence) -> None:
    _log(run, f"called by {API_KEY}")


@violates(15)
def a_log_shows_a_whole_signature(run: Evidence) -> None:
    _log(run, f"X-Signature: t=1,v1={'0f' * 32}")


def _one(documents: list[Document], **fields: Any) -> Document:
    return next(one for one in documents if all(one.get(name) == value for name, value in fields.items()))


def _order(run: Evidence, order_id: str) -> Document:
    return _one(run.orders, _id=order_id)


def _message(run: Evidence, order_id: str) -> Document:
    return _one(run.messages, _id=message_id(order_id))


def _operation(run: Evidence, kind: str, order_id: str, number: int = 0) -> Operation:
    return [one for one in run.operations if (one.kind, one.order_id) == (kind, order_id)][number]


def _copy_of(operation: Operation, **fields: Any) -> Operation:
    copied = {name: getattr(operation, name) for name in Operation.__struct_fields__}
    return Operation(**{**copied, **fields})


def _attempt(operation: Operation, **fields: Any) -> Any:
    first = operation.attempts[0]
    return type(first)(**{**{name: getattr(first, name) for name in first.__struct_fields__}, **fields})


def _alter(run: Evidence, collection: str, number: int, **fields: Any) -> Change:
    """The `number`-th change of a collection, as if it had written these fields."""
    change = [one for one in run.changes if one.collection == collection][number]
    assert change.after is not None
    change.after.update(fields)
    return change


def _write_again(run: Evidence, order_id: str, *, before: Document | None = None, **fields: Any) -> None:
    """One more write to an order's message, from a state `before` that the message may never have had."""
    was = {**_message(run, order_id), **(before or {})}
    after = {**was, "updated_at": START + timedelta(seconds=9), **fields}
    run.changes.append(Change(collection="outbox", id=was["_id"], at=START, before=was, after=after))


def _forget_refunds(run: Evidence, order_id: str) -> None:
    order = _order(run, order_id)
    gone = {one["_id"] for one in run.provider_events if one["reference"] == order_id and "refund" in one["type"]}
    order["refunds"] = []
    run.messages = [one for one in run.messages if one["order_id"] != order_id or one["kind"] == "charge"]
    run.provider_refunds = [one for one in run.provider_refunds if one["charge_reference"] != order_id]
    run.provider_events = [one for one in run.provider_events if one["_id"] not in gone]
    run.provider_deliveries = [one for one in run.provider_deliveries if one["event_id"] not in gone]
    run.stored_events = [one for one in run.stored_events if one["_id"] not in gone]
    for charge in run.provider_charges:
        if charge["reference"] == order_id:
            charge["amount_refunded"] = 0


def _log(run: Evidence, line: str) -> None:
    with run.logs[0].open("a") as log:
        log.write(line + "\n")
