"""The judge. It knows what must hold after any run, and finds every way in which it does not."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tools.chaos.afterwards import AFTERWARDS
from tools.chaos.evidence import Evidence, order_of
from tools.chaos.invariants.acknowledged import (
    a_key_has_one_answer,
    every_acknowledged_order_exists,
    orders_messages_and_keys_join,
)
from tools.chaos.invariants.books import no_more_is_kept, the_books_agree
from tools.chaos.invariants.bounds import everything_was_bounded
from tools.chaos.invariants.events import an_event_counts_once, every_verified_event_is_stored
from tools.chaos.invariants.facts import orders_are_what_happened
from tools.chaos.invariants.finding import Findings
from tools.chaos.invariants.manners import no_merchant_saw_anothers, nothing_secret_is_logged
from tools.chaos.invariants.messages import every_message_came_to_rest, no_stale_claim_changed_anything
from tools.chaos.invariants.money import money_moves_by_events_only, what_the_provider_did_shows
from tools.chaos.invariants.told import it_was_told_in_order, what_has_ended_was_told

INVARIANTS: Mapping[int, Callable[[Evidence], Findings]] = {
    1: every_acknowledged_order_exists,
    2: orders_messages_and_keys_join,
    3: a_key_has_one_answer,
    4: no_more_is_kept,
    5: no_stale_claim_changed_anything,
    6: an_event_counts_once,
    7: orders_are_what_happened,
    8: what_the_provider_did_shows,
    9: the_books_agree,
    10: money_moves_by_events_only,
    11: every_verified_event_is_stored,
    12: every_message_came_to_rest,
    13: no_merchant_saw_anothers,
    14: everything_was_bounded,
    15: nothing_secret_is_logged,
    16: what_has_ended_was_told,
    17: it_was_told_in_order,
}

WITHOUT_DATABASES = {12, 13, 14, 15}  # what can be judged by the history, the logs and what is stuck
INJECTED_SHARE_MIN = 0.5  # of the faults that were planned; some find their part of the world broken already


class Violation(NamedTuple):
    """`invariant` is its number."""

    invariant: int
    detail: str
    order_id: str | None


def check(evidence: Evidence) -> list[Violation]:
    """Returns all violations, invariant by invariant."""
    return [
        Violation(number, finding.detail, finding.order_id and order_of(finding.order_id))
        for number, findings in INVARIANTS.items()
        if evidence.databases_read or number in WITHOUT_DATABASES
        for finding in findings(evidence)
    ]


def too_little(evidence: Evidence, *, injected: int, planned: int) -> Iterator[str]:
    """Says why a run in which nothing went wrong proves nothing: a world that was never used or never broken keeps all
    promises. Orders that were placed when all was over do not count.

    `injected` and `planned` are numbers of faults.
    """
    placed = [one for one in evidence.of_kind("place") if one.answer and one.client != AFTERWARDS]
    orders = [evidence.order_by_id[one.order_id or ""] for one in placed if one.order_id in evidence.order_by_id]
    if not placed:
        yield "no order was acknowledged"
    if not any(charge["state"] == "succeeded" for order in orders for charge in order["charges"]):
        yield "no order was paid"
    if not planned or injected < INJECTED_SHARE_MIN * planned:
        yield f"{injected} of {planned} faults were injected, less than {INJECTED_SHARE_MIN:.0%}"
