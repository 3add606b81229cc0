"""Sending what the outbox holds: claim, post, settle. C11 to C16

A message is claimed under a lease before anything is sent, and the claim counts the attempt: a process that dies in
between leaves a message that knows it may have been sent. What a reply means is `outbox.decide`; here it is made durable.
"""

import asyncio
from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pymongo
from bson import Int64
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from order_api.breaker import Breaker, BreakerOpenError
from order_api.gateway_client import GatewayClient
from order_api.metrics import BREAKER_OPENINGS, DISPATCH_SECONDS, count_attempt, count_look_up, watch
from order_api.order import Charge, Fact, Order, Review, in_doubt, merge
from order_api.outbox import (
    OPEN_STATES,
    Accepted,
    Dead,
    Decision,
    Done,
    Message,
    Refused,
    Reply,
    Retry,
    Unavailable,
    Void,
    Withdrawn,
    ask_for_money_owed,
    death_id,
    decide,
    may_have_been_done,
    must_ask_first,
)
from order_api.store import Store
from shared.group_commit import GroupCommit
from shared.leases import CLAIM_SECONDS, Lease, LeasedWork, claim, held, in_seconds, release, write_held
from shared.mongo import Document, describe
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import continue_trace

SLOTS = 64
LEASE_SECONDS = 45.0
ATTEMPT_SECONDS = 15.0  # a look-up, a post and another look-up, each within the client's own bound
SETTLE_SECONDS = 15.0  # more than a group commit lets anybody wait


class _Claimed(msgspec.Struct, frozen=True):
    """A message as it was read: one that does not decode must not spoil those claimed with it. `cancelled`: it charges an
    order that was cancelled; None if that could not be found out.
    """

    document: Document
    lease: Lease
    cancelled: bool | None


class _Settlement(msgspec.Struct, frozen=True):
    message: Message
    decision: Decision
    at: datetime


class DispatchOutbox:
    def __init__(
        self,
        store: Store,
        gateway: GatewayClient,
        *,
        lease_seconds: float = LEASE_SECONDS,
        slots: int = SLOTS,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._lease_seconds = lease_seconds
        self.breaker = Breaker(on_opening=BREAKER_OPENINGS.inc)
        watch(self.breaker)
        self.work = LeasedWork[_Claimed](
            self._claim, self._attempt, name="dispatch_outbox", slots=slots, release=self._release
        )
        self.commits = GroupCommit[_Settlement, bool](store.client, self._write, name="settle_messages", keys=_keys)

    async def _claim(self, limit: int) -> list[_Claimed]:
        """No more than can be sent at once: free slots, and what the breaker lets through. C11"""
        with pymongo.timeout(CLAIM_SECONDS):  # for both, since a stop waits no longer
            lease, documents = await claim(
                self._store.outbox,
                due={"state": {"$in": list(OPEN_STATES)}},
                due_at="next_attempt_at",
                limit=self.breaker.permits(limit),
                lease_seconds=self._lease_seconds,
                also_set={
                    "state": "leased",
                    "attempts": {"$add": ["$attempts", 1]},
                    "first_attempt_at": {"$ifNull": ["$first_attempt_at", "$$NOW"]},
                    "updated_at": "$$NOW",
                },
            )
            charged = {one["_id"]: one.get("order_id") for one in documents if one.get("kind") == "charge"}
            try:
                cancelled = await self._store.cancelled_among(charged.values())
            except PyMongoError as error:  # what is claimed must not wait for the end of its lease
                log.warning("claimed in vain", worker="dispatch_outbox", reason=describe(error))
                return [_Claimed(document, lease, None) for document in documents]
        return [_Claimed(document, lease, charged.get(document["_id"]) in cancelled) for document in documents]

    async def _attempt(self, claimed: _Claimed) -> None:
        continue_trace(claimed.document.get("trace"), order_id=claimed.document.get("order_id"))
        message = msgspec.convert(claimed.document, Message)
        if claimed.cancelled is None or not claimed.lease.covers(ATTEMPT_SECONDS + SETTLE_SECONDS):
            await self._give_back(message)
            return
        if claimed.cancelled and not may_have_been_done(message):
            await self._settle(message, Withdrawn())
            return
        try:
            with self.breaker.call() as call, DISPATCH_SECONDS.time():
                claimed_at = claimed.document["lease_until"] - timedelta(seconds=self._lease_seconds)
                reply = await self._reply_to(message, now=claimed_at, cancelled=claimed.cancelled)
                call.healthy = not isinstance(reply, Unavailable)
                count_attempt(message, reply)
        except BreakerOpenError:
            await self._give_back(message)
            return
        await self._settle(message, reply)

    async def _settle(self, message: Message, reply: Reply) -> None:
        decision = decide(message, reply)
        settled = await self.commits.submit(_Settlement(message, decision, utc_now()))
        log.info(
            "dispatched" if settled else "dispatched in vain: the message was settled by someone else",
            message_id=message.id,
            attempt=message.attempts,
            decision=decision,
        )

    async def _reply_to(self, message: Message, *, now: datetime, cancelled: bool) -> Reply:
        """Posts, and asks before posting or after a refusal where it may have been done already. C13, C15

        What was not done by then is not done any more for an order that is cancelled. C17

        `now` is the server's time.
        """
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                if must_ask_first(message, now=now) or (cancelled and may_have_been_done(message)):
                    found = await self._look_up(message)
                    if found is not None:
                        return found
                    if message.kind == "charge":  # it may have been cancelled while we asked
                        cancelled = bool(await self._store.cancelled_among([message.order_id]))
                if cancelled:
                    return Withdrawn()
                reply = await self._gateway.post(message)
                if isinstance(reply, Refused) and may_have_been_done(message):
                    return await self._look_up(message) or reply
                return reply
        except TimeoutError:
            return Unavailable("no answer in time")

    async def _look_up(self, message: Message) -> Accepted | Unavailable | None:
        found = await self._gateway.find(message)
        count_look_up(found)
        return found

    async def _give_back(self, message: Message) -> None:
        """Releases a claim that was not sent, at no cost of an attempt. C11"""
        attempted = message.attempts > 1 or message.redrives > 0
        first = message.first_attempt_at if attempted else None
        await self._store.outbox.update_one(
            {"_id": message.id, "fence": message.fence, "state": "leased"},
            {
                "$set": {
                    "state": "ready",
                    "lease_until": None,
                    "first_attempt_at": first,
                    "settled_fence": Int64(message.fence),
                },
                "$inc": {"attempts": -1},
            },
        )

    async def _release(self, claimed: _Claimed) -> None:
        ours = {"state": "ready", "settled_fence": claimed.document["fence"]}
        await release(self._store.outbox, claimed.document, also_set=ours)

    async def _write(self, session: AsyncClientSession, settlements: Sequence[_Settlement]) -> Sequence[bool]:
        """Whether each was settled; False where the fence had passed, and then nothing was changed. C11"""
        still_held = await held(self._store.outbox, {one.message.id: one.message.fence for one in settlements}, session)
        ours = [one for one in settlements if one.message.id in still_held]
        if ours:
            await write_held(self._store.outbox, [_update(one) for one in ours], session)
            await self._tell_orders(ours, session)
        return [one.message.id in still_held for one in settlements]

    async def _tell_orders(self, settlements: Sequence[_Settlement], session: AsyncClientSession) -> None:
        telling = [one for one in settlements if not isinstance(one.decision, Retry)]
        if not telling:
            return
        before = await self._store.orders_by_id({one.message.order_id for one in telling}, session)
        after = dict(before)
        messages: list[Message] = []
        for one in telling:
            order = after[one.message.order_id]
            for fact in _facts(one, order):
                order = merge(order, fact, now=one.at, cause=one.message.id)
            order = _with_doubt(one, order)
            after[order.id], asking = ask_for_money_owed(order, now=one.at)
            messages += asking
        changes = [(before[order_id], order) for order_id, order in after.items() if order is not before[order_id]]
        await self._store.save_orders(changes, now=max(one.at for one in telling), session=session)
        await self._store.add_messages(messages, session=session)


def _keys(settlement: _Settlement) -> tuple[Hashable, ...]:
    return (settlement.message.id,)


def _update(settlement: _Settlement) -> UpdateOne:
    fields = {**_fields(settlement.decision), "lease_until": None, "updated_at": "$$NOW"}
    fields["settled_fence"] = Int64(settlement.message.fence)
    return UpdateOne({"_id": settlement.message.id, "fence": Int64(settlement.message.fence)}, [{"$set": fields}])


def _fields(decision: Decision) -> Document:
    """What settling sets, as an aggregation `$set`; text is a literal, or a `$` in it would be an expression."""
    fields: dict[str, Any]
    match decision:
        case Done():
            fields = {"state": "done", "last_error": None}
        case Retry(after_seconds, reason):
            fields = {
                "state": "ready",
                "next_attempt_at": in_seconds(after_seconds),
                "last_error": {"$literal": reason},
            }
        case Dead(reason, _):
            fields = {"state": "dead", "last_error": {"$literal": reason}}
        case Void():
            fields = {"state": "void"}
    return fields


def _facts(settlement: _Settlement, order: Order) -> list[Fact]:
    """What the order learns: that there is a charge, that a refund was refused, that a person must look. Never that it is
    paid. C15
    """
    message = settlement.message
    match settlement.decision:
        case Done(accepted) if message.kind == "charge":
            return [Charge(id=accepted.id, state="pending", amount_minor=accepted.amount_minor, at=accepted.at)]
        case Dead(reason, refused_code):
            review = Review(code="dead-letter", event_id=death_id(message), detail=reason, raised_at=settlement.at)
            # Only a definite refusal releases what a refund has reserved. C18
            refused = [
                msgspec.structs.replace(refund, state="failed", failure_code=refused_code, at=settlement.at)
                for refund in order.refunds
                if refused_code is not None and refund.id == message.refund_id and refund.state == "requested"
            ]
            return [review, *refused]
    return []


def _with_doubt(settlement: _Settlement, order: Order) -> Order:
    """What the provider had for the message when it was asked may not be all: an earlier attempt may be on its way. C22"""
    if settlement.message.kind == "charge":
        match settlement.decision:
            case Done(Accepted(adopted=True)):
                return in_doubt(order)
            case Void():
                return in_doubt(msgspec.structs.replace(order, charge_voided=True))
    return order
