"""Messages mishandled: invariants 5 and 12."""

from datetime import timedelta
from typing import Any

from shared.mongo import Document
from tests.unit.tools.chaos.corruptions.means import copy_of, message_of, operation_on, order_of, overlook, violates
from tests.unit.tools.chaos.examples import CANCELLED, DECLINED, REFUSED, SOUTH, START, message_id
from tools.chaos.evidence import Evidence
from tools.chaos.watcher import Change


@violates(5)
def a_message_was_settled_under_a_stale_fence(run: Evidence) -> None:
    _alter(run, "outbox", 2, settled_fence=0)


@violates(5)
def a_message_was_settled_under_no_fence(run: Evidence) -> None:
    change = _alter(run, "outbox", 2)
    assert change.after is not None
    del change.after["settled_fence"]


@violates(5)
def a_claim_was_given_back_by_who_had_it_before(run: Evidence) -> None:
    """Nothing but the lease and the state changes: the fence under which it was settled before still stands there."""
    held = {"state": "leased", "fence": 2, "claim": "two", "lease_until": START, "settled_fence": 1}
    _write_again(run, DECLINED, **{**held, "state": "ready", "lease_until": None}, before=held)


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


@violates(5)
def nobody_saw_what_was_written_to_the_outbox(run: Evidence) -> None:
    overlook(run, "outbox")


@violates(5)
def the_last_write_to_a_message_was_not_seen(run: Evidence) -> None:
    run.changes.remove([one for one in run.changes if one.id == message_id(DECLINED)][-1])


@violates(5)
def a_message_was_changed_that_nobody_had_seen(run: Evidence) -> None:
    run.changes.insert(0, Change(collection="outbox", id=message_id(DECLINED), at=START, before=None, after=None))


@violates(12)
def something_is_still_open(run: Evidence) -> None:
    run.still_open.append(f"order {DECLINED} is Pending")


@violates(12)
def a_message_was_attempted_without_end(run: Evidence) -> None:
    message_of(run, DECLINED)["attempts"] = 25


@violates(12)
def a_done_message_is_leased(run: Evidence) -> None:
    message_of(run, DECLINED)["lease_until"] = START


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


def _alter(run: Evidence, collection: str, number: int, **fields: Any) -> Change:
    """The `number`-th change of a collection, as if it had written these fields."""
    change = [one for one in run.changes if one.collection == collection][number]
    assert change.after is not None
    change.after.update(fields)
    return change


def _write_again(run: Evidence, order_id: str, *, before: Document | None = None, **fields: Any) -> None:
    """One more write to an order's message, from a state `before` that the message may never have had."""
    was = {**message_of(run, order_id), **(before or {})}
    after = {**was, "updated_at": START + timedelta(seconds=9), **fields}
    run.changes.append(Change(collection="outbox", id=was["_id"], at=START, before=was, after=after))
