"""Records what the provider says: the one flow for webhooks and reconciliation alike. C21

Three steps, each acknowledged before the next: the event is stored with its raw bytes, as `received`; what it says is merged
into its order; its outcome is written. Merging again is merging once, so a crash between two steps is mended by doing it
again: when the webhook comes again, or by reconciliation, which looks for events that are still `received`.
"""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from order_api.event import (
    Judgement,
    NotAnEventError,
    Outcome,
    ReceivedEvent,
    StoredEvent,
    altered_id,
    gives_way,
    is_final,
    judge,
    parse_event,
    say_the_same,
)
from order_api.facts import Review
from order_api.merge import merge
from order_api.metrics import count_event
from order_api.order import Order
from order_api.outbox import answered_by_event
from order_api.store import Store
from shared.batches import UnavailableError
from shared.documents import Verdict
from shared.documents.replies import InvalidError
from shared.mongo import describe, to_document
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import current_trace, note, span

RECEIVED_MAX = timedelta(minutes=1)  # after that an event that is still `received` is taken up
_DECIDED = frozenset({"applied", "ignored"})
JUDGED_MAX = 5  # times: each time another process has changed the event meanwhile


class RecordEvents:
    """Records an event. Raises what Inserts and Changes raise; then the event must come again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._taken_up_after = min(store.reconcile_after, RECEIVED_MAX)

    async def __call__(self, event: ReceivedEvent) -> Outcome:
        note(order_id=event.order_id)
        with span("record event"):
            outcome = await self._record(event)
        count_event(event, outcome)
        log.info(
            "event recorded",
            event_id=event.id,
            type=event.type,
            charge_id=event.charge_id,
            outcome=outcome,
            source=event.source,
        )
        return outcome

    async def heard(self, raw: bytes) -> bool | None:
        """Records an event that the provider gives when it is asked. Returns whether that worked, or None if it never can.
        An event that fails does not keep the next ones from being recorded.
        """
        try:
            await self(parse_event(raw, source="reconcile", now=utc_now(), trace=current_trace()))
        except (NotAnEventError, InvalidError) as error:
            log.warning("an event cannot be recorded", reason=describe(error))
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, the provider is asked again
            log.warning("an event was not recorded", reason=describe(error))
            return False
        return True

    async def again(self, stored: StoredEvent) -> None:
        """Takes up a stored event that has no final outcome. Other bytes that are kept beside an event are merged into no
        order: they only get their review and outcome. C21
        """
        event = _as_it_came(stored)
        if stored.id == event.id:
            await self(event)
        else:
            await self._keep_beside(event)

    async def _record(self, event: ReceivedEvent) -> Outcome:
        new = self._stored(event)
        known = await self._store.events.insert(new)
        if known is None:
            return await self._apply(event, new, fresh=True)
        for _ in range(JUDGED_MAX):
            if known.raw == event.raw or say_the_same(_as_it_came(known), event):
                return await self._apply(replace(event, raw=known.raw), known, fresh=False)
            if known.outcome == "received":
                await self.again(known)  # C20: the stored bytes first
            elif gives_way(known, event.type) or (
                not is_final(known) and (await self._judged(event)).outcome in _DECIDED
            ):
                await self._put_in_place(event, known)
            else:
                return await self._keep_beside(event)
            known = await self._store.events.read(event.id)
            if known is None:  # archived meanwhile: stored anew when it comes again
                break
        raise UnavailableError

    async def _apply(self, event: ReceivedEvent, stored: StoredEvent, *, fresh: bool) -> Outcome:
        """Merges what the event says into its order, then writes its outcome. `fresh`: this call stored the event. C21"""
        times = int(not fresh and event.source == "webhook")
        if is_final(stored):
            if times:
                await self._store.events.change(event.id, lambda there, _now: _counted(there, times))
            return "duplicate"
        judgement = await self._merge(event)
        made = await self._store.events.change(
            event.id,
            lambda there, _now: _with_outcome(there, event, judgement, times),
            read={**to_document(stored), "read_at": None},
        )
        if made is None:  # meanwhile the event came with other bytes, or another process wrote another outcome
            return await self._record(event)
        return judgement.outcome if made or fresh else "duplicate"

    async def _merge(self, event: ReceivedEvent) -> Judgement:
        if event.order_id is None:
            return judge(event, None)
        return await self._store.learn(event.order_id, lambda order, _now: learning(order, event))

    async def _judged(self, event: ReceivedEvent) -> Judgement:
        """Judges the event by its order as that is now."""
        if event.order_id is None:
            return judge(event, None)
        return await self._store.change(
            event.order_id, lambda order, _now: Verdict(judge(event, order), found=order is not None)
        )

    async def _put_in_place(self, event: ReceivedEvent, known: StoredEvent) -> None:
        """The right bytes come second: the first are kept beside them, then the second take the id, as `received`. C20"""
        beside = replace(known, id=altered_id(known.id, known.raw), reconcile_at=None, version=1)
        await self._store.events.insert(beside)
        new = self._stored(event)
        await self._store.events.change(event.id, lambda stored, _now: _in_place(stored, known, new))

    async def _keep_beside(self, event: ReceivedEvent) -> Outcome:
        """Keeps other bytes that came under an event's id beside the first ones, and merges them into no order. A person
        must look: at two that differ if the first are final, otherwise at two that mean nothing. C20
        """
        beside = replace(self._stored(event), id=altered_id(event.id, event.raw))
        known = await self._store.events.insert(beside)
        first = await self._store.events.read(event.id)
        if first is None or is_final(first):
            judgement = Judgement("duplicate", "same id, other bytes")
            order_id = None if first is None else first.order_id
            code, detail = "event-altered", "an event came again with other bytes"
        else:
            judgement = await self._judged(event)
            if judgement.outcome in _DECIDED:  # its order has turned up since; the provider is asked, and says it again
                judgement = Judgement("unmatched", "other bytes came first")
            order_id, code, detail = event.order_id, "event-mismatch", judgement.detail or ""
        if order_id is not None and judgement.outcome != "unmatched":
            await self._store.change(order_id, lambda order, _now: _with_review(order, event, code, detail))
        times = int(known is not None and event.source == "webhook")
        await self._store.events.change(beside.id, lambda stored, _now: _with_outcome(stored, event, judgement, times))
        return judgement.outcome

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
            signed_at=event.signed and datetime.fromtimestamp(event.signed.timestamp, UTC),
            secret=event.signed and ("previous" if event.signed.secret else "current"),
            received_at=event.received_at,
            reconcile_at=event.received_at + self._taken_up_after,
        )


def _as_it_came(stored: StoredEvent) -> ReceivedEvent:
    """Parses the stored bytes. Raises NotAnEventError if only an older version took them for an event."""
    return parse_event(stored.raw.encode(), source="reconcile", now=utc_now(), trace=stored.trace)


def learning(order: Order | None, event: ReceivedEvent) -> Verdict[Order, Judgement]:
    """The order learns the event's fact, ends the call that the event answers, and asks for what must be given back now."""
    judgement = judge(event, order)
    if order is None:
        return Verdict(judgement)
    after = order
    if judgement.outcome == "mismatch":
        after = _reviewed(order, event, "event-mismatch", judgement.detail or "")
    elif judgement.fact is not None and event.subject is not None:
        subject, answered = event.subject, order
        if subject.kind != "dispute":
            own_reference = subject.reference if subject.kind == "charge" else subject.own_reference
            answered = answered_by_event(order, subject.kind, own_reference, now=event.received_at)
        after = merge(answered, judgement.fact, now=event.received_at, cause=f"{event.type} {event.id}")
    if after is order:
        return Verdict(judgement, found=True)
    return Verdict(judgement, after)


def _with_review(order: Order | None, event: ReceivedEvent, code: str, detail: str) -> Verdict[Order, None]:
    if order is None:
        return Verdict(None, found=True)
    after = _reviewed(order, event, code, detail)
    return Verdict(None, found=True) if after is order else Verdict(None, after)


def _reviewed(order: Order, event: ReceivedEvent, code: str, detail: str) -> Order:
    about = event.subject.id if event.subject is not None and event.subject.kind == "charge" else None
    review = Review(code=code, event_id=event.id, detail=detail, raised_at=event.received_at, charge_id=about)
    return merge(order, review, now=event.received_at, cause=code)


def _in_place(stored: StoredEvent | None, known: StoredEvent, new: StoredEvent) -> Verdict[StoredEvent, None]:
    """Puts `new` in the place of the bytes that were `known`, unless those have been changed or made final since."""
    if stored is None or stored.raw != known.raw or (is_final(stored) and not gives_way(stored, new.type)):
        return Verdict(None, found=True)
    times = stored.times_received + int(new.source == "webhook")
    return Verdict(None, replace(new, times_received=times, version=stored.version))


def _with_outcome(
    stored: StoredEvent | None, event: ReceivedEvent, judgement: Judgement, times: int
) -> Verdict[StoredEvent, bool | None]:
    """Writes the outcome if the event is still as it was judged: the same bytes, and not final. The answer says whether this
    write gave the outcome, or is None if the event must be judged again. C21
    """
    if stored is None or stored.raw != event.raw:
        return Verdict(None, found=True)
    if is_final(stored):
        if stored.outcome != judgement.outcome:
            return Verdict(None, found=True)
        counted = _counted(stored, times)
        return Verdict(False, counted.after, found=True)
    asked_about = judgement.outcome == "unmatched" and stored.id == event.id
    after = replace(
        stored,
        outcome=judgement.outcome,
        detail=judgement.detail,
        times_received=stored.times_received + times,
        reconcile_at=stored.reconcile_at if asked_about else None,
    )
    return Verdict(True, found=True) if after == stored else Verdict(True, after)


def _counted(stored: StoredEvent | None, times: int) -> Verdict[StoredEvent, None]:
    if stored is None or not times:
        return Verdict(None, found=True)
    return Verdict(None, replace(stored, times_received=stored.times_received + times))
