"""Recording what the provider says: the one flow for webhooks and reconciliation alike. C21

In one transaction: the event with its raw bytes and outcome, what the order learns from it, the message that it answers,
and the refunds that it makes due.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime

import msgspec
from bson import Int64
from pymongo import InsertOne, ReplaceOne
from pymongo.asynchronous.client_session import AsyncClientSession

from order_api.event import FINAL, Outcome, ReceivedEvent, Verdict, altered_id, judge
from order_api.metrics import count_event
from order_api.order import Charge, Order, Refund, Review, in_doubt, merge
from order_api.outbox import Message, ask_for_money_owed, charge_message_id, refund_message_id
from order_api.store import Store
from shared.group_commit import GroupCommit, StaleError
from shared.mongo import Document
from shared.telemetry import log
from shared.tracing import note, span


class _Recorded(msgspec.Struct, frozen=True):
    """What became of an event, and of the order's status if it changed that."""

    outcome: Outcome
    changed: Order | None


class RecordEvents:
    """Raises OverloadedError and UnavailableError; then the event must come again. `wake` hints at new messages."""

    def __init__(self, store: Store, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self.commits = GroupCommit[ReceivedEvent, _Recorded](
            store.client, self._write, name="record_events", keys=_keys
        )

    async def __call__(self, event: ReceivedEvent) -> Outcome:
        note(order_id=event.order_id)
        with span("record event"):
            recorded = await self.commits.submit(event)
        outcome = recorded.outcome
        count_event(event, outcome, recorded.changed)
        log.info(
            "event recorded",
            event_id=event.id,
            type=event.type,
            charge_id=event.charge_id,
            outcome=outcome,
            source=event.source,
        )
        self._wake()
        return outcome

    async def _write(self, session: AsyncClientSession, events: Sequence[ReceivedEvent]) -> Sequence[_Recorded]:
        """Known duplicates are read here, inside the transaction: there is no constraint that they could violate."""
        stored = await self._stored(events, session)
        # An event that comes again may name another order than the first time; both are concerned. C20
        named = {event.order_id for event in events} | {document.get("order_id") for document in stored.values()}
        batch = _Batch(stored, await self._store.orders_by_id({one for one in named if one}, session))
        recorded = [_Recorded(batch.record(event), batch.changed.get(event.id)) for event in events]
        now = max(event.received_at for event in events)
        batch.ask_for_money_owed(now)
        await self._save_events(batch, session)
        batch.doubt(await self._store.complete_messages(batch.answered, now=now, session=session))
        await self._store.save_orders(batch.changes(), now=now, session=session)
        await self._store.add_messages(batch.messages, session=session)
        return recorded

    async def _stored(self, events: Sequence[ReceivedEvent], session: AsyncClientSession) -> dict[str, Document]:
        ids = [*(event.id for event in events), *(altered_id(event.id, event.raw) for event in events)]
        found = self._store.payment_events.find({"_id": {"$in": ids}}, session=session)
        return {document["_id"]: document async for document in found}

    async def _save_events(self, batch: "_Batch", session: AsyncClientSession) -> None:
        due = [
            document | {"reconcile_at": document["received_at"] + self._store.reconcile_after, "reconcile_attempts": 0}
            if document["outcome"] == "unmatched" and "reconcile_at" not in document
            else document
            for document in batch.new.values()
        ]
        writes: list[InsertOne[Document] | ReplaceOne[Document]] = [
            *(InsertOne(document) for document in due),
            *(
                ReplaceOne({"_id": before["_id"], "times_received": before["times_received"]}, after)
                for before, after in batch.seen_again.values()
            ),
        ]
        if not writes:
            return
        result = await self._store.payment_events.bulk_write(writes, ordered=False, session=session)
        if result.matched_count != len(batch.seen_again):
            raise StaleError


class _Batch:
    """What one transaction has read, and what it is to write: one write a document, however many events touch it. C3"""

    def __init__(self, stored: dict[str, Document], orders: dict[str, Order]) -> None:
        self._stored = stored
        self._before = orders
        self._after = dict(orders)
        self.new: dict[str, Document] = {}
        self.seen_again: dict[str, tuple[Document, Document]] = {}
        self.changed: dict[str, Order] = {}  # by the event's id
        self.answered: list[str] = []
        self.messages: list[Message] = []

    def changes(self) -> list[tuple[Order, Order]]:
        pairs = ((self._before[order_id], after) for order_id, after in self._after.items())
        return [(before, after) for before, after in pairs if before is not after]

    def record(self, event: ReceivedEvent) -> Outcome:
        known = self._stored.get(event.id)
        if known is not None and known["outcome"] in FINAL:
            if known["raw"] == event.raw:
                self._count(event, known)
            else:
                self._keep_altered(event, known)
            return "duplicate"
        verdict = judge(event, self._after.get(event.order_id or ""))
        self._apply(event, verdict)
        if known is None:
            self.new[event.id] = _document(event, verdict)
        elif known["raw"] == event.raw:
            self._count(event, known, verdict)
        elif verdict.outcome in FINAL:  # the right bytes come second: they take the id, the first stay beside them
            first = known | {"_id": altered_id(known["_id"], known["raw"]), "reconcile_at": None}
            self._add(event, first)
            self._count(event, known, verdict, _document(event, verdict))
        else:
            self._add(event, _document(event, verdict) | {"_id": altered_id(event.id, event.raw), "reconcile_at": None})
        return verdict.outcome

    def ask_for_money_owed(self, now: datetime) -> None:
        """C2"""
        for _, order in self.changes():
            self._after[order.id], messages = ask_for_money_owed(order, now=now)
            self.messages += messages

    def doubt(self, order_ids: Iterable[str]) -> None:
        for order_id in order_ids:
            self._after[order_id] = in_doubt(self._after[order_id])

    def _apply(self, event: ReceivedEvent, verdict: Verdict) -> None:
        order = self._after.get(event.order_id or "")
        if order is None:
            return
        if verdict.outcome == "mismatch":
            self._review(order.id, event, "event-mismatch", verdict.detail or "")
        elif verdict.fact is not None:
            grown = merge(order, verdict.fact, now=event.received_at, cause=f"{event.type} {event.id}")
            self._after[order.id] = grown
            if grown.status != order.status:
                self.changed[event.id] = grown
            self.answered.append(_answered_message(order, verdict.fact))

    def _keep_altered(self, event: ReceivedEvent, known: Document) -> None:
        """The same id with other bytes: both are kept, and a person must look. C20"""
        altered = _document(event, Verdict("duplicate", "same id, other bytes"))
        self._add(event, altered | {"_id": altered_id(event.id, event.raw)})
        if order_id := known.get("order_id"):
            self._review(order_id, event, "event-altered", "an event came again with other bytes")

    def _review(self, order_id: str, event: ReceivedEvent, code: str, detail: str) -> None:
        if order := self._after.get(order_id):
            review = Review(code=code, event_id=event.id, detail=detail, raised_at=event.received_at)
            self._after[order_id] = merge(order, review, now=event.received_at, cause=code)

    def _add(self, event: ReceivedEvent, document: Document) -> None:
        if already := self._stored.get(document["_id"]):
            self._count(event, already)
        else:
            self.new[document["_id"]] = document

    def _count(
        self, event: ReceivedEvent, before: Document, verdict: Verdict | None = None, instead: Document | None = None
    ) -> None:
        """Notes that `before` was received again, unless we fetched it ourselves, and what it was judged to be now."""
        times = before["times_received"] + (event.source == "webhook")
        after = before | (instead or {}) | {"times_received": Int64(times)}
        if verdict is not None:
            after |= {"outcome": verdict.outcome, "detail": verdict.detail}
            if verdict.outcome != "unmatched":
                after["reconcile_at"] = None
        if after != before:
            self.seen_again[before["_id"]] = (before, after)


def _keys(event: ReceivedEvent) -> tuple[Hashable, ...]:
    return (event.id,)


def _answered_message(order: Order, fact: Charge | Refund) -> str:
    return charge_message_id(order.id) if isinstance(fact, Charge) else refund_message_id(fact.id)


def _document(event: ReceivedEvent, verdict: Verdict) -> Document:
    return {
        "_id": event.id,
        "type": event.type,
        "order_id": event.order_id,
        "charge_id": event.charge_id,
        "outcome": verdict.outcome,
        "detail": verdict.detail,
        "source": event.source,
        "raw": event.raw,
        "trace": event.trace,
        "received_at": event.received_at,
        "times_received": Int64(1),
    }
