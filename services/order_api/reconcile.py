"""Asks the provider what we may have missed. An order with an open money question is asked about, with growing pauses, until
it has none. A webhook that is lost for ever costs time, never money. C22

`reconcile_at` is schedule and claim in one: the process that moves it on asks. No token is needed, because the answers go
through `record_events`, where recording an event twice is recording it once. C21

The provider is asked for the events of each of an order's payment attempts, and for its charges and disputes. A charge or
dispute whose event is lost for good shows among those, and keeps the question open.
"""

import asyncio
from datetime import datetime

import msgspec

from order_api.claims import DAY_SECONDS, take_turns
from order_api.event import TEXT_MAX, StoredEvent
from order_api.facts import Charge, Dispute
from order_api.gateway_client import GatewayClient, GatewayUnavailableError
from order_api.merge import merge
from order_api.metrics import RECONCILIATIONS
from order_api.order import Order
from order_api.questions import answered, has_open_question
from order_api.record_events import RecordEvents
from order_api.store import Store
from shared import wire
from shared.batches import OverloadedError, UnavailableError
from shared.documents import Verdict
from shared.leases import LeasedWork
from shared.mongo import Document, describe
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import continue_trace

SLOTS = 8
EVENTS_AT_ONCE = 2
ASK_SECONDS = 60.0  # for all pages of one order


class _Question(msgspec.Struct, frozen=True):
    """An order to ask about, or an event without a final outcome, as stored, to be taken up again."""

    order_id: str | None
    event: Document | None
    trace: str | None
    asks_left: int = 0
    references: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """The provider's whole answer about an order, whose events are recorded. `asks_left` is as it was when the provider was
    asked.
    """

    asks_left: int
    charges: tuple[wire.Charge, ...]
    disputes: tuple[wire.Dispute, ...]
    at: datetime


class Reconcile:
    def __init__(self, store: Store, gateway: GatewayClient, record: RecordEvents) -> None:
        self._store = store
        self._gateway = gateway
        self._record = record
        self._events_in_hand = 0
        self.work = LeasedWork[_Question](self._claim, self._ask, name="reconcile", slots=SLOTS, poll_seconds=1.0)

    async def _claim(self, limit: int) -> list[_Question]:
        """Takes events first, but few: those of no order must not wait for ever behind the orders, nor hold them up."""
        base_seconds = self._store.reconcile_after.total_seconds()
        events = min(limit, EVENTS_AT_ONCE - self._events_in_hand)
        received = await take_turns(
            self._store.payment_events, limit=events, base_seconds=base_seconds, cap_seconds=DAY_SECONDS
        )
        questions = [_Question(found.get("order_id"), found, found.get("trace")) for found in received]
        try:
            orders = await take_turns(self._store.orders, limit=limit - len(questions), base_seconds=base_seconds)
            asked = [
                _Question(one["_id"], None, one.get("trace"), one.get("asks_left", 0), _references(one))
                for one in orders
            ]
        except Exception as error:
            if not questions:
                raise
            # Events that were moved on to their next turn must be taken up now.
            log.warning("claim broken off", worker="reconcile", reason=describe(error))
            asked = []
        self._events_in_hand += len(questions)
        return [*questions, *asked]

    async def _ask(self, question: _Question) -> None:
        continue_trace(question.trace, order_id=question.order_id)
        if question.event is not None:
            await self._take_up(question.event)
            return
        assert question.order_id is not None
        try:
            async with asyncio.timeout(ASK_SECONDS):
                recorded, charges, disputes = [], [], []
                for reference in question.references:
                    recorded += [await self._record.heard(raw) async for raw in self._gateway.events(reference)]
                    charges += [charge async for charge in self._gateway.charges(reference)]
                    disputes += [dispute async for dispute in self._gateway.disputes(reference)]
        except (GatewayUnavailableError, TimeoutError) as error:
            RECONCILIATIONS["unavailable"].inc()
            log.warning("reconciliation got no answer", reason=describe(error))
            return
        RECONCILIATIONS["answered"].inc()
        log.info("asked the provider", events=len(recorded), charges=len(charges))
        if all(recorded):
            await self._conclude(
                question.order_id, Answer(question.asks_left, tuple(charges), tuple(disputes), utc_now())
            )

    async def _take_up(self, event: Document) -> None:
        RECONCILIATIONS["judged_again"].inc()
        try:
            await self._record.again(msgspec.convert(event, StoredEvent))
        except Exception as error:  # noqa: BLE001 - whatever it is, the event has another turn
            log.warning("an event was not recorded", reason=describe(error))
        finally:
            self._events_in_hand -= 1

    async def _conclude(self, order_id: str, answer: Answer) -> None:
        try:
            await self._store.change(order_id, lambda order, _now: concluding(order, answer))
        except (OverloadedError, UnavailableError) as error:  # the question stays open and is asked again
            log.warning("an answer was not recorded", reason=describe(error))


def concluding(order: Order | None, answer: Answer) -> Verdict[Order, None]:
    """The order learns what the answer says beyond its events. That ends the question if nothing else is open."""
    if order is None:
        return Verdict(None, found=True)
    learned = _learn(order, answer)
    if learned is order and (has_open_question(order) or order.reconcile_at is None):
        return Verdict(None, found=True)
    return Verdict(None, learned)  # the store clears `reconcile_at` if no question is left


def _learn(order: Order, answer: Answer) -> Order:
    """Adds each charge that we did not know of as pending, and each such dispute as open, whatever the provider says of it.
    Only an event says how it ended (C15), and until then the question is open (C22). A charge or dispute in other money than
    the order's is left to its event.
    """
    known = {charge.id for charge in order.charges} | {dispute.id for dispute in order.disputes}
    facts: list[Charge | Dispute] = [
        Charge(id=one.id, reference=one.reference, state="pending", amount_minor=one.amount, at=one.created_at)
        for one in answer.charges
        if one.id not in known and (one.amount, one.currency) == (order.amount_minor, order.currency)
    ]
    facts += [
        Dispute(
            id=one.id,
            charge_id=one.charge_id,
            amount_minor=one.amount,
            state="open",
            reason=one.reason[:TEXT_MAX],
            at=one.created_at,
        )
        for one in answer.disputes
        if one.id not in known and one.currency == order.currency
    ]
    if facts:
        return merge(order, *facts, now=answer.at, cause=f"found {facts[0].id}")
    return merge(answered(order, answer.asks_left), now=answer.at, cause="the provider was asked")


def _references(order: Document) -> tuple[str, ...]:
    return tuple(call["reference"] for call in order["calls"] if call["kind"] == "charge")
