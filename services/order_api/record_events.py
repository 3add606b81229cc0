"""Recording what the provider says: the one flow for webhooks and reconciliation alike. C21

Three steps, each acknowledged before the next: the event is stored with its raw bytes, as `received`; what it says is merged
into its order; its outcome is written. Merging again is merging once, so a crash between two steps is mended by doing it
again: when the webhook comes again, or by reconciliation, which looks for events that are still `received`.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from order_api.event import FINAL, Outcome, ReceivedEvent, StoredEvent, altered_id, judge, parse_event
from order_api.event import Verdict as Judgement
from order_api.metrics import count_event
from order_api.order import Order, Review, merge
from order_api.outbox import answered_by_event, ask_for_money_owed
from order_api.store import Store
from shared.batches import UnavailableError
from shared.documents import Verdict
from shared.mongo import to_document
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span

RECEIVED_MAX = timedelta(minutes=1)  # after that an event that is still `received` is taken up
JUDGED_MAX = 5  # each time another process has changed the event meanwhile


class Learned(msgspec.Struct, frozen=True):
    """What an event means, and the order if it changed its status."""

    judgement: Judgement
    changed: Order | None = None


class RecordEvents:
    """Raises what Inserts and Changes raise; then the event must come again. `wake` hints at new calls."""

    def __init__(self, store: Store, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self._taken_up_after = min(store.reconcile_after, RECEIVED_MAX)

    async def __call__(self, event: ReceivedEvent) -> Outcome:
        note(order_id=event.order_id)
        with span("record event"):
            outcome, changed = await self._record(event)
        count_event(event, outcome, changed)
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

    async def again(self, stored: StoredEvent) -> None:
        """Takes up a stored event that has no final outcome. Bytes that are kept beside an event teach nothing: they only
        get their review. C21
        """
        event = parse_event(stored.raw.encode(), source="reconcile", now=utc_now(), trace=stored.trace)
        if stored.id == event.id:
            await self(event)
        else:
            await self._keep_altered(event)

    async def _record(self, event: ReceivedEvent) -> tuple[Outcome, Order | None]:
        new = self._stored(event)
        known = await self._store.events.insert(new)
        if known is None:
            return await self._apply(event, new, fresh=True)
        for _ in range(JUDGED_MAX):
            if known.raw == event.raw:
                return await self._apply(event, known)
            if known.outcome in FINAL:
                await self._keep_altered(event)
                return "duplicate", None
            if known.outcome == "received":
                await self.again(known)  # C20: the stored bytes first
            elif await self._order_learns(event):
                await self._put_in_place(event, known)
            else:
                return await self._keep_beside(event)
            known = await self._store.events.read(event.id)
            if known is None:  # archived meanwhile: stored anew when it comes again
                break
        raise UnavailableError

    async def _apply(
        self, event: ReceivedEvent, stored: StoredEvent, *, fresh: bool = False
    ) -> tuple[Outcome, Order | None]:
        """Merges what the event says into its order, then writes its outcome. `fresh`: this call has stored it. C20, C21"""
        times = int(not fresh and event.source == "webhook")
        if stored.outcome in FINAL:
            if times:
                await self._store.events.change(event.id, lambda there, _now: _counted(there, times))
            return "duplicate", None
        learned = await self._merge(event)
        written = await self._store.events.change(
            event.id,
            lambda there, _now: _with_outcome(there, event, learned.judgement, times),
            read={**to_document(stored), "read_at": None},
        )
        if not written:  # other bytes, or another process with another outcome, came between
            return (await self._record(event))[0], learned.changed
        return learned.judgement.outcome, learned.changed

    async def _merge(self, event: ReceivedEvent) -> Learned:
        if event.order_id is None:
            return Learned(judge(event, None))
        return await self._store.change(event.order_id, lambda order, _now: learning(order, event))

    async def _order_learns(self, event: ReceivedEvent) -> bool:
        """Whether the event means something for its order that is final."""
        if event.order_id is None:
            return judge(event, None).outcome in FINAL
        return await self._store.change(
            event.order_id, lambda order, _now: Verdict(judge(event, order).outcome in FINAL, found=True)
        )

    async def _put_in_place(self, event: ReceivedEvent, known: StoredEvent) -> None:
        """The right bytes come second: the first are kept beside them, then the second take the id, as `received`. C20"""
        beside = replace(known, id=altered_id(known.id, known.raw), reconcile_at=None, version=1)
        await self._store.events.insert(beside)
        new = self._stored(event)

        def put(stored: StoredEvent | None, _now: Any) -> Verdict[StoredEvent, None]:
            if stored is None or stored.raw != known.raw or stored.outcome in FINAL:
                return Verdict(None, found=True)
            return Verdict(None, replace(new, times_received=stored.times_received + 1, version=stored.version))

        await self._store.events.change(event.id, put)

    async def _keep_beside(self, event: ReceivedEvent) -> tuple[Outcome, Order | None]:
        """Other bytes that mean nothing either: both are kept."""
        learned = await self._merge(event)
        outcome, detail = learned.judgement.outcome, learned.judgement.detail
        stored = replace(self._stored(event), id=altered_id(event.id, event.raw), outcome=outcome, detail=detail)
        known = await self._store.events.insert(replace(stored, reconcile_at=None))
        if known is not None and event.source == "webhook":
            await self._store.events.change(stored.id, lambda there, _now: _counted(there, 1))
        return outcome, learned.changed

    async def _keep_altered(self, event: ReceivedEvent) -> None:
        """The same id with other bytes, after the first were final: both are kept, and a person must look. C20"""
        detail = "same id, other bytes"
        altered = replace(self._stored(event), id=altered_id(event.id, event.raw), detail=detail)
        known = await self._store.events.insert(altered)
        first = await self._store.events.read(event.id)
        if first is not None and first.order_id is not None:
            await self._store.change(first.order_id, lambda order, _now: _with_altered(order, event))
        judgement = Judgement("duplicate", detail)
        times = int(known is not None and event.source == "webhook")
        await self._store.events.change(altered.id, lambda stored, _now: _with_outcome(stored, event, judgement, times))

    def _stored(self, event: ReceivedEvent) -> StoredEvent:
        return StoredEvent(
            id=event.id,
            type=event.type,
            order_id=event.order_id,
            charge_id=event.charge_id,
            outcome="received",
            source=event.source,
            raw=event.raw,
            trace=event.trace,
            received_at=event.received_at,
            reconcile_at=event.received_at + self._taken_up_after,
        )


def learning(order: Order | None, event: ReceivedEvent) -> Verdict[Order, Learned]:
    """What the order learns from the event: the fact, that a call is over, and what must be given back now."""
    judgement = judge(event, order)
    if order is None:
        return Verdict(Learned(judgement))
    after = order
    if judgement.outcome == "mismatch":
        after = _reviewed(order, event, "event-mismatch", judgement.detail or "")
    elif judgement.fact is not None and event.subject is not None:
        cause = f"{event.type} {event.id}"
        after = merge(order, judgement.fact, now=event.received_at, cause=cause)
        after = answered_by_event(after, event.subject.reference, now=event.received_at)
        after = ask_for_money_owed(after, now=event.received_at)
    if after is order:
        return Verdict(Learned(judgement), found=True)
    return Verdict(Learned(judgement, after if after.status != order.status else None), after)


def _with_altered(order: Order | None, event: ReceivedEvent) -> Verdict[Order, None]:
    if order is None:
        return Verdict(None, found=True)
    after = _reviewed(order, event, "event-altered", "an event came again with other bytes")
    return Verdict(None, found=True) if after is order else Verdict(None, after)


def _reviewed(order: Order, event: ReceivedEvent, code: str, detail: str) -> Order:
    review = Review(code=code, event_id=event.id, detail=detail, raised_at=event.received_at)
    return merge(order, review, now=event.received_at, cause=code)


def _with_outcome(
    stored: StoredEvent | None, event: ReceivedEvent, judgement: Judgement, times: int
) -> Verdict[StoredEvent, bool]:
    """The event with its outcome, if it is as it was judged: the same bytes, and not final meanwhile. C21"""
    if stored is None or stored.raw != event.raw:
        return Verdict(False, found=True)
    if stored.outcome in FINAL:
        return Verdict(stored.outcome == judgement.outcome, found=True)
    after = replace(
        stored,
        outcome=judgement.outcome,
        detail=judgement.detail,
        times_received=stored.times_received + times,
        reconcile_at=stored.reconcile_at if judgement.outcome == "unmatched" else None,
    )
    return Verdict(True, found=True) if after == stored else Verdict(True, after)


def _counted(stored: StoredEvent | None, times: int) -> Verdict[StoredEvent, None]:
    if stored is None:
        return Verdict(None, found=True)
    return Verdict(None, replace(stored, times_received=stored.times_received + times))
