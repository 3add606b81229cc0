"""Makes the calls that orders ask for: claim, post, settle. C11 to C16

A call is claimed under a lease before anything is sent, and the claim counts the attempt. So if the process dies in between,
the call shows that it may have been sent. `calls.decide` says what a reply means; here it is made durable.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from bson import ObjectId
from pymongo.errors import PyMongoError

from order_api.breaker import Breaker, BreakerOpenError
from order_api.calls import (
    Accepted,
    Call,
    Refused,
    Reply,
    Unavailable,
    Withdrawn,
    claimed_when_stored,
    due_again,
    given_back,
    may_have_been_done,
    must_ask_first,
)
from order_api.claims import take
from order_api.gateway_client import GatewayClient, GatewayUnavailableError
from order_api.metrics import BREAKER_OPENINGS, DISPATCH_SECONDS, count_attempt, count_look_up, watch
from order_api.order import Order
from order_api.outbox import with_call
from order_api.record_events import RecordEvents
from order_api.settle_call import releasing, settling, tried
from order_api.store import Store
from shared.batches import OverloadedError, UnavailableError
from shared.leases import Lease, LeasedWork
from shared.mongo import Document, describe, to_document
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import continue_trace

T = TypeVar("T")

SLOTS = 64
LEASE_SECONDS = 45.0
ATTEMPT_SECONDS = 15.0  # a look-up, a post and another look-up, each within the client's own bound
JUST_READ_SECONDS = 0.5  # an order that was read longer ago is read again before it is charged
EVENT_SECONDS = 0.025  # an answer waits so long to be written: the event of a quick provider then shares the write
SETTLE_SECONDS = 15.0  # longer than a change may wait
UNHEARD_OF = frozenset({"exceeds-paid", "not-refundable"})  # refusals for a reason that the order has not learned yet


class _Claimed(msgspec.Struct, frozen=True):
    """A claimed call and its order, as stored at the claim. They are decoded later: one that cannot be decoded spoils no
    other. `read_at` is the time of order["read_at"] by our own monotonic clock.
    """

    order: Document
    call: Document
    lease: Lease
    read_at: float


class DispatchOutbox:
    """Only tests set `lease_seconds` and `slots`, to reach the end of both sooner."""

    def __init__(
        self,
        store: Store,
        gateway: GatewayClient,
        record: RecordEvents,
        *,
        lease_seconds: float = LEASE_SECONDS,
        slots: int = SLOTS,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._record = record
        self._lease_seconds = lease_seconds
        self.breaker = Breaker(on_opening=BREAKER_OPENINGS.inc)
        watch(self.breaker)
        self.work = LeasedWork[_Claimed](
            self._claim,
            self._attempt,
            name="dispatch_outbox",
            slots=slots,
            release=self._release,
            wake=store.new_calls,
            spare=True,
        )

    async def insert(self, order: Order, insert: Callable[[Order], Awaitable[T | None]]) -> T | None:
        """Stores a new order, and makes its call. `insert` returns None once a majority has the order; otherwise it returns
        the reason.

        The insert is the claim too if a slot is free, the provider is not away, and the server's time is known. If its
        outcome is unknown, the claim lapses with its lease. Raises what `insert` raises. C11
        """
        began, now = time.monotonic(), self._store.clock.now()
        if now is None or self.breaker.is_open or not self.work.reserve():
            refusal = await insert(order)
            if refusal is None and self.breaker.permits(1):  # otherwise it would be claimed in vain
                self._store.new_calls.set()
            return refusal
        claimed: _Claimed | None = None
        try:
            call = claimed_when_stored(order.calls[0], str(ObjectId()), now=now, lease_seconds=self._lease_seconds)
            order = with_call(order, call)
            refusal = await insert(order)
            if refusal is None:
                document = {**to_document(order), "read_at": now}
                claimed = _Claimed(document, document["calls"][0], Lease(began + self._lease_seconds), began)
        finally:
            if claimed is None:
                self.work.give_back()
        if claimed is not None:
            self.work.begin(claimed)
            self._store.recent.note(order)
        return refusal

    async def _claim(self, limit: int) -> list[_Claimed]:
        """Claims no more calls than there are free slots, and than the breaker lets through. C11"""
        await self._store.clock.look()
        permitted = self.breaker.permits(limit)
        if permitted < 1:
            return []
        lease, token = Lease(time.monotonic() + self._lease_seconds), str(ObjectId())
        orders = await take(self._store.orders, token, limit=permitted, lease_seconds=self._lease_seconds)
        read_at = time.monotonic()
        return [
            _Claimed(order, call, lease, read_at)
            for order in orders
            for call in order["calls"]
            if call.get("claim") == token
        ]

    async def _attempt(self, claimed: _Claimed) -> None:
        continue_trace(claimed.order.get("trace"), order_id=claimed.order["_id"])
        call = msgspec.convert(claimed.call, Call)
        assert call.due_at is not None, "a claimed call has a lease"
        unwanted = call.kind == "charge" and not await self._wants_charge(claimed)
        if not claimed.lease.covers(ATTEMPT_SECONDS + SETTLE_SECONDS):
            await self._give_back(claimed.order["_id"], call)
            return
        began = time.monotonic()
        if unwanted and not may_have_been_done(call):
            await self._settle(claimed, call, Withdrawn(), began)
            return
        try:
            with self.breaker.call() as calling, DISPATCH_SECONDS.time():
                claimed_at = call.due_at - timedelta(seconds=self._lease_seconds)
                reply = await self._reply_to(claimed, call, now=claimed_at, unwanted=unwanted)
                calling.healthy = not isinstance(reply, Unavailable) or reply.answered
                count_attempt(call, reply)
        except BreakerOpenError:
            await self._give_back(claimed.order["_id"], call)
            return
        await self._settle(claimed, call, reply, began)

    async def _wants_charge(self, claimed: _Claimed) -> bool:
        """Whether the order was neither cancelled nor paid already, just now. While nobody knew whether its insert had
        succeeded, others may have seen the order for seconds. C17
        """
        if claimed.order["status"] != "Pending":
            return False
        was_just_read = time.monotonic() < claimed.read_at + JUST_READ_SECONDS
        return was_just_read or await self._store.wants_charge(claimed.order["_id"])

    async def _settle(self, claimed: _Claimed, call: Call, reply: Reply, began: float) -> None:
        """Writes what became of the call. The order is read again if somebody has changed it since the claim."""
        at, ended = utc_now(), time.monotonic()
        this_try = tried(reply, at, ms=round((ended - began) * 1000))
        now = claimed.order["read_at"] + timedelta(seconds=ended - claimed.read_at)  # the server's time
        is_alone = sum(one.get("claim") == call.claim for one in claimed.order["calls"]) == 1  # else another is quicker
        ours = await self._store.change(
            claimed.order["_id"],
            lambda order, now: settling(order, call, reply, this_try, at=at, now=now),
            read={**claimed.order, "read_at": now} if is_alone else None,
            patience=EVENT_SECONDS,
        )
        log.info(
            "dispatched" if ours else "dispatched in vain: the call was settled by someone else",
            message_id=call.id,
            attempt=call.attempts,
            reply=reply,
        )

    async def _reply_to(self, claimed: _Claimed, call: Call, *, now: datetime, unwanted: bool) -> Reply:
        """Posts the call. If it may have been done already, the provider is asked before posting (C13) or after a refusal
        (C15).

        If the provider has no such charge, and the order is cancelled or paid by then, it is not made any more (C17). `now`
        is the server's time.
        """
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                if must_ask_first(call, now=now) or (unwanted and may_have_been_done(call)):
                    found = await self._look_up(call)
                    if found is not None:
                        return found
                    if call.kind == "charge":  # it may have been cancelled or paid while we asked
                        unwanted = not await self._store.wants_charge(claimed.order["_id"])
                if unwanted:
                    return Withdrawn()
                reply = await self._gateway.post(call)
                if isinstance(reply, Refused) and may_have_been_done(call):
                    reply = await self._look_up(call) or reply
                if isinstance(reply, Refused) and call.kind == "refund" and reply.code in UNHEARD_OF:
                    return await self._hear(claimed, call) or reply
                return reply
        except TimeoutError:
            return Unavailable("no answer in time")
        except (PyMongoError, OverloadedError, UnavailableError):  # MongoDB's, not the provider's: the lease lapses
            raise
        except Exception as error:  # noqa: BLE001 - C15: what nobody foresaw is tried again, a bounded number of times
            log.error("an attempt failed", message_id=call.id, exc_info=True)
            return Unavailable(type(error).__name__)

    async def _hear(self, claimed: _Claimed, call: Call) -> Unavailable | None:
        """Records the provider's events of the charge. Something that we have not heard of has taken the money which this
        refund was to give back, and the next refund must be decided on that. C2
        """
        try:
            reference = _reference_of(call.path.split("/")[-2], claimed.order)
            async for raw in self._gateway.events(reference):
                if await self._record.heard(raw) is False:
                    return Unavailable("an event of the provider could not be recorded", answered=True)
        except GatewayUnavailableError as error:
            return Unavailable(str(error))
        return None

    async def _look_up(self, call: Call) -> Accepted | Unavailable | None:
        found = await self._gateway.find(call)
        count_look_up(found)
        return found

    async def _give_back(self, order_id: str, call: Call) -> None:
        """Releases a claim that was not sent, at no cost of an attempt. C11"""
        await self._store.change(order_id, lambda order, now: releasing(order, call, now, given_back))

    async def _release(self, claimed: _Claimed) -> None:
        """Ends a claim that was broken off, so that nobody waits for its lease. It may have been sent."""
        call = msgspec.convert(claimed.call, Call)
        try:
            await self._store.change(claimed.order["_id"], lambda order, now: releasing(order, call, now, due_again))
        except (OverloadedError, UnavailableError) as error:
            log.warning("not released: its lease lapses", worker="dispatch_outbox", reason=describe(error))


def _reference_of(charge_id: str, order: Document) -> str:
    """The reference under which the provider knows the payment attempt that made this charge."""
    known = (charge.get("reference") for charge in order["charges"] if charge["id"] == charge_id)
    return next(known, None) or str(order["_id"])
