"""Asking the provider what we may have missed: whatever has an open money question is asked about, with growing pauses,
until it has none. A webhook that is lost for ever costs time, never money. C22

`reconcile_at` is schedule and claim in one: whoever moves it on asks. No fence is needed, because the answers go through
`record_events`, where saying something twice is saying it once. C21

The provider is asked for the events of an order and for its charges: a charge whose event is lost for good shows among
those, and keeps the question open.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from datetime import datetime

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from order_api.event import parse_event
from order_api.gateway_client import GatewayClient, GatewayUnavailableError
from order_api.metrics import RECONCILIATIONS
from order_api.order import Charge, Order, answered, has_open_question, merge
from order_api.record_events import RecordEvents
from order_api.store import Store
from shared import wire
from shared.backoff import exponential
from shared.batches import OverloadedError, UnavailableError
from shared.group_commit import GroupCommit
from shared.leases import LeasedWork, in_seconds, take_one
from shared.mongo import Collection, Document, describe
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import continue_trace, current_trace

SLOTS = 8
EVENTS_AT_ONCE = 2
ASK_SECONDS = 60.0  # for all pages of one order
PAUSE_CAP_SECONDS = 3600.0


class _Question(msgspec.Struct, frozen=True):
    """An order to ask about, or an event that matched nothing, to be judged again."""

    order_id: str | None
    raw: str | None
    trace: str | None
    asks_left: int = 0


class _Answer(msgspec.Struct, frozen=True):
    """The provider has told all that it knows of an order, and its events are recorded."""

    order_id: str
    asks_left: int  # when it was asked
    charges: tuple[wire.Charge, ...]
    at: datetime


class Reconcile:
    def __init__(
        self, store: Store, gateway: GatewayClient, record: RecordEvents, *, poll_seconds: float = 1.0
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._record = record
        self._events_in_hand = 0
        self.work = LeasedWork[_Question](
            self._claim, self._ask, name="reconcile", slots=SLOTS, poll_seconds=poll_seconds
        )
        self.commits = GroupCommit[_Answer, None](store.client, self._write, name="reconcile", keys=_keys)

    async def _claim(self, limit: int) -> list[_Question]:
        """Events first, but few: what matches nothing must not wait for ever behind the orders, nor hold them up."""
        questions: list[_Question] = []
        try:
            events = min(limit, EVENTS_AT_ONCE - self._events_in_hand)
            async for event in self._take_due(self._store.payment_events, events):
                questions.append(_Question(event.get("order_id"), event["raw"], event.get("trace")))
                self._events_in_hand += 1
            async for order in self._take_due(self._store.orders, limit - len(questions)):
                questions.append(  # noqa: PERF401 - one by one, or those before an error would be lost
                    _Question(order["_id"], None, order.get("trace"), order.get("asks_left", 0))
                )
        except PyMongoError as error:
            if not questions:
                raise
            # What was moved on to its next turn must be asked about now.
            log.warning("claim broken off", worker="reconcile", reason=describe(error))
        return questions

    async def _take_due(self, collection: Collection, limit: int) -> AsyncIterator[Document]:
        """Up to `limit` documents whose `reconcile_at` has come, each moved on to its next turn by us and nobody else."""
        if limit < 1:
            return
        due = {"$expr": {"$lte": ["$reconcile_at", "$$NOW"]}, "reconcile_at": {"$type": "date"}}
        for found in await collection.find(due).sort("reconcile_at").limit(limit).to_list():
            pause = exponential(
                found["reconcile_attempts"] + 1,
                base_seconds=self._store.reconcile_after.total_seconds(),
                cap_seconds=PAUSE_CAP_SECONDS,
            )
            next_turn = {"reconcile_at": in_seconds(pause), "reconcile_attempts": found["reconcile_attempts"] + 1}
            as_found = {"reconcile_at": found["reconcile_at"]}
            if await take_one(collection, found["_id"], as_found, [{"$set": next_turn}]):
                yield found

    async def _ask(self, question: _Question) -> None:
        continue_trace(question.trace, order_id=question.order_id)
        if question.raw is not None:
            RECONCILIATIONS["judged_again"].inc()
            try:
                await self._record_one(question.raw.encode())
            finally:
                self._events_in_hand -= 1
            return
        assert question.order_id is not None
        try:
            async with asyncio.timeout(ASK_SECONDS):
                recorded = [await self._record_one(raw) async for raw in self._gateway.events(question.order_id)]
                charges = [charge async for charge in self._gateway.charges(question.order_id)]
        except (GatewayUnavailableError, TimeoutError) as error:
            RECONCILIATIONS["unavailable"].inc()
            log.warning("reconciliation got no answer", reason=describe(error))
            return
        RECONCILIATIONS["answered"].inc()
        log.info("asked the provider", events=len(recorded), charges=len(charges))
        if all(recorded):
            await self._conclude(_Answer(question.order_id, question.asks_left, tuple(charges), utc_now()))

    async def _record_one(self, raw: bytes) -> bool:
        """Whether it is recorded. An event that cannot be, now or ever, does not keep those after it from being recorded."""
        try:
            await self._record(parse_event(raw, source="reconcile", now=utc_now(), trace=current_trace()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the question stays open and is asked again
            log.warning("an event was not recorded", reason=describe(error))
            return False
        return True

    async def _conclude(self, answer: _Answer) -> None:
        try:
            await self.commits.submit(answer)
        except (OverloadedError, UnavailableError) as error:  # the question stays open and is asked again
            log.warning("an answer was not recorded", reason=describe(error))

    async def _write(self, session: AsyncClientSession, answers: Sequence[_Answer]) -> Sequence[None]:
        """What the answers tell beyond the events, and an end to the questions that they leave none of. No two are about
        one order: `_keys` sees to that.
        """
        orders = await self._store.orders_by_id([one.order_id for one in answers], session)
        known = [(orders[one.order_id], one) for one in answers if one.order_id in orders]
        learned = [(order, _learn(order, answer)) for order, answer in known]
        changes = [(before, after) for before, after in learned if after is not before]
        await self._store.save_orders(changes, now=max(one.at for one in answers), session=session)
        at_rest = [after.id for before, after in learned if after is before and not has_open_question(after)]
        await self._store.close_questions(at_rest, session=session)
        return [None] * len(answers)


def _keys(answer: _Answer) -> tuple[Hashable, ...]:
    return (answer.order_id,)


def _learn(order: Order, answer: _Answer) -> Order:
    """The order with every charge that we did not know of as pending, whatever the provider says of it: only an event says
    how it ended, and until then the question is open. One for other money than the order's is left to its event. C15, C22
    """
    known = {charge.id for charge in order.charges}
    grown = order
    for found in answer.charges:
        if found.id not in known and (found.amount, found.currency) == (order.amount_minor, order.currency):
            charge = Charge(id=found.id, state="pending", amount_minor=found.amount, at=found.created_at)
            grown = merge(grown, charge, now=answer.at, cause=f"found {found.id}")
    return grown if grown is not order else answered(order, answer.asks_left)
