"""Writes and calls mishandled: invariants 5 and 12."""

from datetime import timedelta

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
from tests.unit.tools.chaos.examples import CANCELLED, DECLINED, REFUSED, SOUTH, START, message_id
from tools.chaos.evidence import Evidence
from tools.chaos.watcher import Change

LATER = START + timedelta(seconds=45)
WAITS = {"state": "open", "due_at": START}
CLAIMED = {"state": "open", "claim": "two", "due_at": LATER, "attempts": 2, "settled_claim": None}
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
    write_to_call(run, REFUSED, WAITS, **ENDED)


@violates(5)
def a_call_that_was_sent_is_void(run: Evidence) -> None:
    write_to_call(run, CANCELLED, WAITS, **{**ENDED, "state": "void"})


@violates(5)
def what_was_done_is_open_again(run: Evidence) -> None:
    write_to_call(run, DECLINED, {}, state="open", due_at=START)


@violates(5)
def what_was_void_is_claimed(run: Evidence) -> None:
    write_to_call(run, DECLINED, {"state": "void"}, state="open", claim="two", due_at=LATER, attempts=2)


@violates(5)
def what_was_dead_is_open_and_nobody_redrove_it(run: Evidence) -> None:
    write_to_call(run, REFUSED, {}, state="open", due_at=START)


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


@violates(12)
def a_done_message_is_claimed(run: Evidence) -> None:
    message_of(run, DECLINED)["claim"] = "two"


@violates(12)
def a_done_message_is_due(run: Evidence) -> None:
    message_of(run, DECLINED)["due_at"] = START


@violates(12)
def a_message_is_open_at_rest(run: Evidence) -> None:
    message_of(run, DECLINED).update(state="open", due_at=START)
    order_of(run, DECLINED)["due_at"] = START


@violates(5, 12)
def an_order_is_due_at_rest(run: Evidence) -> None:
    order_of(run, DECLINED)["due_at"] = START


@violates(7, 12)
def a_dead_letter_without_a_review(run: Evidence) -> None:
    order_of(run, REFUSED)["reviews"] = []


@violates(7, 12)
def a_second_death_is_taken_for_the_first(run: Evidence) -> None:
    message_of(run, REFUSED)["redrives"] = 1


@violates(12)
def an_acknowledged_redrive_did_nothing(run: Evidence) -> None:
    told = {"command": {"message": message_id(REFUSED)}, "merchant": SOUTH, "order_id": REFUSED, "kind": "redrive"}
    run.operations.append(copy_of(operation_on(run, "cancel", CANCELLED), **told))


@violates(5)
def a_transaction_was_begun(run: Evidence) -> None:
    run.transactions = 1
