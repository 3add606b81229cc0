"""Writes and calls mishandled: invariants 5 and 12."""

from datetime import timedelta
from typing import Any

from shared.mongo import Document
from tests.unit.tools.chaos.corruptions.means import (
    copy_of,
    key_of,
    message_of,
    operation_on,
    order_of,
    overlook,
    pick,
    violates,
    write,
    write_to_call,
)
from tests.unit.tools.chaos.examples import (
    CANCELLED,
    DECLINED,
    DISPUTED,
    GIVEN_UP,
    NOT_GIVEN_BACK,
    PAID_AGAIN,
    PARTLY_REFUNDED,
)
from tests.unit.tools.chaos.run_by_hand import SOUTH, START, message_id
from tools.chaos.evidence import Evidence
from tools.chaos.watcher import Change

LATER = START + timedelta(seconds=45)
WAITS = {"state": "open", "due_at": START}
CLAIMED = {"state": "open", "claim": "two", "due_at": LATER, "attempts": 2, "settled_claim": None}
UNSENT = {**WAITS, "attempts": 0, "claim": None, "settled_claim": None, "tries": []}
ENDED = {"claim": None, "due_at": None, "state": "done"}


@violates(5)
def a_call_was_settled_under_a_claim_that_was_passed(run: Evidence) -> None:
    write_to_call(run, DECLINED, CLAIMED, **ENDED, settled_claim="one")


@violates(5)
def a_call_was_settled_again_under_the_claim_before(run: Evidence) -> None:
    """Only one more of its tries shows it."""
    tries = [*message_of(run, DECLINED)["tries"], {"at": START}]
    write_to_call(run, DECLINED, {**CLAIMED, "settled_claim": "one"}, **ENDED, tries=tries)


@violates(5)
def a_call_was_settled_under_no_claim(run: Evidence) -> None:
    write_to_call(run, DECLINED, {**WAITS, "settled_claim": None}, **ENDED, settled_claim="one")


@violates(5)
def a_claim_was_given_back_by_who_had_it_before(run: Evidence) -> None:
    """Nothing but the claim and the time changes."""
    write_to_call(run, DECLINED, CLAIMED, claim=None, due_at=START)


@violates(5)
def a_call_was_claimed_while_another_had_it(run: Evidence) -> None:
    write_to_call(run, DECLINED, CLAIMED, claim="three", attempts=3, due_at=LATER + timedelta(seconds=45))


@violates(5)
def a_claim_did_not_count_its_attempt(run: Evidence) -> None:
    write_to_call(run, DECLINED, WAITS, claim="two", due_at=LATER)


@violates(5)
def a_call_is_done_and_nobody_said_so(run: Evidence) -> None:
    write_to_call(run, GIVEN_UP, WAITS, **ENDED)


@violates(5)
def a_call_that_was_sent_is_void(run: Evidence) -> None:
    write_to_call(run, CANCELLED, WAITS, **{**ENDED, "state": "void"})


@violates(5)
def a_call_is_void_though_nothing_is_paid_or_cancelled(run: Evidence) -> None:
    write_to_call(run, DECLINED, UNSENT, **{**ENDED, "state": "void"})


@violates()
def a_call_that_was_never_sent_is_void_because_its_order_is_paid(run: Evidence) -> None:
    write_to_call(run, PAID_AGAIN, UNSENT, **{**ENDED, "state": "void"})


@violates(5)
def a_call_was_void_when_it_was_made(run: Evidence) -> None:
    _make_a_call(run, DECLINED)


@violates()
def a_call_was_void_when_it_was_made_because_its_order_was_cancelled_just_then(run: Evidence) -> None:
    _make_a_call(run, CANCELLED)


@violates(5)
def a_call_had_been_claimed_when_it_was_made(run: Evidence) -> None:
    _make_a_call(run, CANCELLED, attempts=1)


@violates()
def a_call_was_claimed_by_the_insert_of_its_order(run: Evidence) -> None:
    _claim_with_the_insert(run, DECLINED)


@violates(5)
def a_call_was_claimed_by_the_insert_of_its_order_and_its_attempt_not_counted(run: Evidence) -> None:
    _claim_with_the_insert(run, DECLINED, attempts=0)


@violates(5)
def a_call_was_claimed_by_the_insert_of_its_order_for_no_time(run: Evidence) -> None:
    _claim_with_the_insert(run, DECLINED, due_at=START)


@violates(5)
def an_attempt_has_ended_because_another_has(run: Evidence) -> None:
    """What is known of the first of two attempts to pay says nothing of the second."""
    [first, second] = order_of(run, PAID_AGAIN)["calls"]
    waits = {**second, **WAITS}
    known = {"charges": order_of(run, PAID_AGAIN)["charges"][:1], "refunds": []}
    before = {**known, "calls": [first, waits], "due_at": START}
    write(run, PAID_AGAIN, before, calls=[first, {**waits, **ENDED}], due_at=None)


@violates()
def a_refund_that_a_dispute_has_overtaken_is_not_sent(run: Evidence) -> None:
    _dispute_overtakes(run, DISPUTED, UNSENT)


@violates(5)
def a_refund_that_was_sent_is_called_overtaken_by_a_dispute(run: Evidence) -> None:
    _dispute_overtakes(run, DISPUTED, WAITS)


@violates(5)
def a_refund_is_called_overtaken_by_a_dispute_that_is_not_there(run: Evidence) -> None:
    _dispute_overtakes(run, PARTLY_REFUNDED, UNSENT)


@violates(5)
def a_refund_that_was_sent_is_called_not_owed(run: Evidence) -> None:
    _dispute_overtakes(run, DISPUTED, WAITS, "not-owed")


@violates(5)
def a_refund_of_a_merchant_is_called_not_owed(run: Evidence) -> None:
    _dispute_overtakes(run, PARTLY_REFUNDED, UNSENT, "not-owed")


@violates(5)
def what_was_done_is_open_again(run: Evidence) -> None:
    write_to_call(run, DECLINED, {}, state="open", due_at=START)


@violates(5)
def what_was_void_is_claimed(run: Evidence) -> None:
    write_to_call(run, DECLINED, {"state": "void"}, state="open", claim="two", due_at=LATER, attempts=2)


@violates(5)
def what_was_dead_is_open_and_nobody_redrove_it(run: Evidence) -> None:
    write_to_call(run, GIVEN_UP, {}, state="open", due_at=START)


@violates(5)
def a_frozen_body_changed(run: Evidence) -> None:
    write_to_call(run, DECLINED, WAITS, body="{}")


@violates(5)
def an_order_is_not_due_when_its_call_is(run: Evidence) -> None:
    [call] = order_of(run, DECLINED)["calls"]
    write(run, DECLINED, {"calls": [{**call, **WAITS}]}, due_at=None)


@violates(5)
def a_call_is_gone(run: Evidence) -> None:
    calls = order_of(run, CANCELLED)["calls"]
    write(run, CANCELLED, {}, calls=calls[1:])


@violates(5)
def an_order_was_written_without_counting(run: Evidence) -> None:
    write(run, DECLINED, {}, version=order_of(run, DECLINED)["version"])


@violates(5)
def an_order_was_written_over_another_write(run: Evidence) -> None:
    """It counted from what it had read, and the write between was not seen by it."""
    write(run, DECLINED, {}, version=order_of(run, DECLINED)["version"] - 1)


@violates(5)
def two_writes_have_one_mark(run: Evidence) -> None:
    write(run, DECLINED, {}, writer=order_of(run, DECLINED)["writer"])


@violates(5)
def the_amount_of_an_order_changed(run: Evidence) -> None:
    write(run, DECLINED, {"amount_minor": 1}, amount_minor=2)


@violates(5)
def a_key_was_taken_off_before_its_time(run: Evidence) -> None:
    write(run, DECLINED, {}, keys=[])


@violates(5)
def a_key_remembers_something_else_from_now_on(run: Evidence) -> None:
    write(run, DECLINED, {}, keys=[{**key_of(run, DECLINED), "body": "{}"}])


@violates()
def a_key_was_taken_off_when_it_had_expired(run: Evidence) -> None:
    write(run, DECLINED, {"keys": [{**key_of(run, DECLINED), "value": "old", "expires_at": START}]}, keys=[])


@violates(5)
def an_event_was_written_without_counting(run: Evidence) -> None:
    event = pick(run.stored_events, order_id=DECLINED)
    after = {**event, "times_received": 2, "writer": 3}
    run.changes.append(Change(collection="payment_events", id=event["_id"], at=START, before=event, after=after))


@violates(5, 6)
def nobody_saw_what_was_written_to_the_orders(run: Evidence) -> None:
    overlook(run, "orders")


@violates(5)
def the_last_write_to_an_order_was_not_seen(run: Evidence) -> None:
    run.changes.remove([one for one in run.changes if one.id == DECLINED][-1])


@violates(5)
def an_order_was_changed_that_nobody_had_seen(run: Evidence) -> None:
    run.changes.insert(0, Change(collection="orders", id=DECLINED, at=START, before=None, after=None))


@violates(12)
def something_is_still_open(run: Evidence) -> None:
    run.still_open.append(f"order {DECLINED} is Pending")


@violates(12)
def a_message_was_attempted_without_end(run: Evidence) -> None:
    message_of(run, DECLINED)["attempts"] = 25


@violates()
def what_must_go_back_is_tried_for_longer(run: Evidence) -> None:
    order_of(run, CANCELLED)["calls"][1]["attempts"] = 25


@violates(12)
def a_merchants_refund_was_attempted_without_end(run: Evidence) -> None:
    order_of(run, PARTLY_REFUNDED)["calls"][1]["attempts"] = 25


@violates(12)
def what_waits_in_vain_is_claimed(run: Evidence) -> None:
    order_of(run, NOT_GIVEN_BACK)["calls"][-1]["claim"] = "two"


@violates(12)
def a_done_message_is_claimed(run: Evidence) -> None:
    message_of(run, DECLINED)["claim"] = "two"


@violates(12)
def a_done_message_is_due(run: Evidence) -> None:
    message_of(run, DECLINED)["due_at"] = START


@violates(7, 12)
def a_message_is_open_at_rest(run: Evidence) -> None:
    message_of(run, DECLINED).update(state="open", due_at=START)
    order_of(run, DECLINED)["due_at"] = START


@violates(5, 12)
def an_order_is_due_at_rest(run: Evidence) -> None:
    order_of(run, DECLINED)["due_at"] = START


@violates(7, 12)
def a_dead_letter_without_a_review(run: Evidence) -> None:
    order_of(run, GIVEN_UP)["reviews"] = []


@violates(7, 12)
def a_second_death_is_taken_for_the_first(run: Evidence) -> None:
    message_of(run, GIVEN_UP)["redrives"] = 1


@violates(12)
def an_acknowledged_redrive_did_nothing(run: Evidence) -> None:
    told = {"command": {"message": message_id(GIVEN_UP)}, "merchant": SOUTH, "order_id": GIVEN_UP, "kind": "redrive"}
    run.operations.append(copy_of(operation_on(run, "cancel", CANCELLED), **told))


@violates(5)
def a_transaction_was_begun(run: Evidence) -> None:
    run.transactions = 1


def _make_a_call(run: Evidence, order_id: str, **fields: int) -> None:
    """A write that makes one more call of the order, and makes it void."""
    calls = order_of(run, order_id)["calls"]
    new = {**calls[0], **UNSENT, **ENDED, "id": "obx_2", "kind": "charge", "state": "void", **fields}
    write(run, order_id, {}, calls=[*calls, new])


def _claim_with_the_insert(run: Evidence, order_id: str, **fields: Any) -> None:
    """The write that stores an order has claimed its call, by the rules but for `fields`."""
    inserted = next(one.after for one in run.changes if one.id == order_id and one.before is None)
    assert inserted is not None
    [call] = inserted["calls"]
    call.update({"claim": "one", "attempts": 1, "first_attempt_at": call["created_at"], "due_at": LATER, **fields})
    inserted["due_at"] = call["due_at"]


def _dispute_overtakes(run: Evidence, order_id: str, was: Document, code: str = "disputed") -> None:
    """A write that ends the last call of the order as what does not fit beside a dispute any more, or is not owed."""
    call = {**order_of(run, order_id)["calls"][-1], "kind": "refund", "refund_id": "rf_2", **was}
    others = order_of(run, order_id)["calls"][:-1]
    after = {**call, **ENDED, "refused_code": code}
    write(run, order_id, {"calls": [*others, call], "due_at": START}, calls=[*others, after], due_at=None)
