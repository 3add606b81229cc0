"""Settling what is due: in one transaction the charge or refund ends, its event is stored, and a delivery is made for
every endpoint that wants it. C23
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from bson import Int64
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.money import charge as charges
from payment_gateway.money import refund as refunds
from payment_gateway.money.announcement import settled_event, wrong_event
from payment_gateway.money.charge import Charge
from payment_gateway.money.metrics import count_settled
from payment_gateway.money.refund import Refund
from payment_gateway.store import Store
from payment_gateway.webhooks.delivery import Delivery, Told, new_deliveries
from payment_gateway.webhooks.endpoint import Endpoint
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared.group_commit import GroupCommit
from shared.leases import LeasedWork, claim, held, write_held
from shared.mongo import Collection, Document, to_document
from shared.telemetry import log
from shared.tracing import continue_trace, current_trace, span

SLOTS = 256
LEASE_SECONDS = 30.0
DELIVERIES_MAX = 2000  # in one transaction, which has five seconds; what one charge alone makes is never divided
POLL_SECONDS = 0.1  # what falls due in the meantime is claimed together and settled in one transaction

Settled: TypeAlias = Charge | Refund
Outcome: TypeAlias = Literal["settled", "lost", "later"]  # lost: the fence had passed; later: there was no room


class Settle:
    """Settles charges, or refunds: `kind` says which. `wake` hints at new deliveries."""

    def __init__(
        self,
        store: Store,
        clock: StoredClock,
        kind: type[Charge] | type[Refund],
        *,
        wake: Callable[[], None],
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._kind = kind
        self._wake = wake
        self._noun = "charge" if kind is Charge else "refund"
        self._collection: Collection = store.charges if kind is Charge else store.refunds
        self._lease_seconds = lease_seconds
        name = f"settle_{self._collection.name}"
        self.work = LeasedWork[Document](
            self._claim,
            self._settle,
            name=name,
            slots=SLOTS,
            poll_seconds=POLL_SECONDS,
            interval_seconds=POLL_SECONDS,
        )
        self.commits = GroupCommit[Settled, Outcome](store.client, self._write, name=name, keys=_keys)

    async def _claim(self, limit: int) -> Sequence[Document]:
        _, documents = await claim(
            self._collection,
            due={"status": "pending"},
            due_at="due_at",
            now=await self._clock.now(),
            limit=limit,
            lease_seconds=self._lease_seconds,
        )
        return documents

    async def _settle(self, document: Document) -> None:
        # The order's id, in the words of whoever asked for the money.
        continue_trace(document.get("trace"), reference=document.get("charge_reference", document.get("reference")))
        pending = msgspec.convert(document, self._kind)  # here, so that one that does not decode spoils no other
        now = await self._clock.now()
        ended = charges.settled(pending, now=now) if isinstance(pending, Charge) else refunds.settled(pending, now=now)
        with span(f"settle {self._noun}"):
            ended = msgspec.structs.replace(ended, trace=current_trace())  # the event continues from here
            while (outcome := await self.commits.submit(ended)) == "later":
                pass
        if outcome == "settled":
            count_settled(ended)
            log.info(f"{self._noun} settled", id=ended.id, status=ended.status, failure_code=ended.failure_code)
        self._wake()

    async def _write(self, session: AsyncClientSession, settled: Sequence[Settled]) -> Sequence[Outcome]:
        """What became of each; nothing was changed of what is not settled."""
        still_held = await held(self._collection, {one.id: one.fence for one in settled}, session)
        outcomes: dict[str, Outcome] = dict.fromkeys(still_held, "later")
        if held_by_us := [one for one in settled if one.id in still_held]:
            merchants = list({one.merchant for one in held_by_us})
            wanting = {"merchant": {"$in": merchants}, "state": "enabled"}
            endpoints = await find_endpoints(self._store.webhook_endpoints, wanting, session)
            ours = _with_room(held_by_us, endpoints)
            await write_held(self._collection, [_update(one) for one in ours], session)
            if failed := [one for one in ours if isinstance(one, Refund) and one.status == "failed"]:
                await self._give_back(failed, session)
            await self._announce(ours, endpoints, session)
            outcomes.update({one.id: "settled" for one in ours})
        return [outcomes.get(one.id, "lost") for one in settled]

    async def _announce(
        self, settled: Sequence[Settled], endpoints: Sequence[Endpoint], session: AsyncClientSession
    ) -> None:
        told = [_told(one) for one in settled]
        events = [event for one in told for event in one.events]
        await self._store.events.insert_many([to_document(event) for event in events], session=session)
        deliveries: list[Delivery] = []
        for endpoint in endpoints:
            made, held = new_deliveries(endpoint, told)
            deliveries += made
            if held != endpoint.held:
                await self._store.webhook_endpoints.update_one(
                    {"_id": endpoint.id}, {"$set": {"held": held}}, session=session
                )
        if deliveries:
            await self._store.deliveries.insert_many([to_document(one) for one in deliveries], session=session)

    async def _give_back(self, failed: Sequence[Refund], session: AsyncClientSession) -> None:
        """What refunds that have failed had reserved can be refunded again. C25"""
        reserved: Counter[str] = Counter()
        for refund in failed:
            reserved[refund.charge_id] += refund.amount
        writes = [
            UpdateOne({"_id": charge_id}, {"$inc": {"amount_refunded": Int64(-amount)}})
            for charge_id, amount in reserved.items()
        ]
        await self._store.charges.bulk_write(writes, ordered=False, session=session)


def _keys(settled: Settled) -> tuple[Hashable, ...]:
    return (settled.id,)


def _with_room(settled: Sequence[Settled], endpoints: Sequence[Endpoint]) -> Sequence[Settled]:
    """The first of them, at least one, that make no more than DELIVERIES_MAX deliveries."""
    endpoints_of = Counter(endpoint.merchant for endpoint in endpoints)
    made = 0
    for number, one in enumerate(settled):
        made += endpoints_of[one.merchant] * (one.scenario.deliveries + one.scenario.wrong_amount)
        if number and made > DELIVERIES_MAX:
            return settled[:number]
    return settled


def _told(settled: Settled) -> Told:
    at, scenario = _ended(settled), settled.scenario
    before = [wrong_event(settled, now=at)] if scenario.wrong_amount else []
    return Told([*before, settled_event(settled, now=at)], scenario)


def _update(settled: Settled) -> UpdateOne:
    fields = {
        "status": settled.status,
        "failure_code": settled.failure_code,
        "settled_at": settled.settled_at,
        "lease_until": None,
    }
    return UpdateOne({"_id": settled.id, "fence": settled.fence, "status": "pending"}, {"$set": fields})


def _ended(settled: Settled) -> datetime:
    assert settled.settled_at is not None
    return settled.settled_at
