"""Sending a dead letter again, because a person says so. The provider is asked before anything is posted. C13, C17

`first_attempt_at` stays: whatever the redrive finds, it may have been done since then.
"""

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec
from bson import Int64
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from order_api.order import Order, merge
from order_api.outbox import CLOCK_SKEW, Message, death_id, may_be_redriven
from order_api.store import Store
from shared.group_commit import GroupCommit, StaleError
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span


class NoSuchMessage(msgspec.Struct, frozen=True):
    pass


class NotRedrivable(msgspec.Struct, frozen=True):
    """It is not dead, or a refund that was refused for good, or was redriven REDRIVES_MAX times. `message` is as it is."""

    message: Message


Outcome: TypeAlias = Message | NotRedrivable | NoSuchMessage


class _Request(msgspec.Struct, frozen=True):
    merchant: str
    message_id: str
    at: datetime


class RedriveMessage:
    """The message as it is then. Raises OverloadedError and UnavailableError. `wake` hints at a message that is due."""

    def __init__(self, store: Store, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self.commits = GroupCommit[_Request, Outcome](store.client, self._write, name="redrive_message", keys=_keys)

    async def __call__(self, merchant: str, message_id: str) -> Outcome:
        with span("redrive message"):
            outcome = await self.commits.submit(_Request(merchant, message_id, utc_now()))
        if isinstance(outcome, Message):
            note(order_id=outcome.order_id)
            log.info("redriven", message_id=message_id, redrives=outcome.redrives)
            self._wake()
        return outcome

    async def _write(self, session: AsyncClientSession, requests: Sequence[_Request]) -> Sequence[Outcome]:
        """No two requests of a batch are about one message; several may be about one order. C3"""
        messages = await self._store.messages_by_id([one.message_id for one in requests], session)
        before = await self._store.orders_by_id({one.order_id for one in messages.values()}, session)
        after = dict(before)
        outcomes: list[Outcome] = []
        for one in requests:
            message = messages.get(one.message_id)
            outcome = _redrive(message, None if message is None else before[message.order_id], one)
            if isinstance(outcome, Message) and message is not None:
                after[message.order_id] = _with_review_closed(after[message.order_id], message, one.at)
            outcomes.append(outcome)
        await self._save([one for one in outcomes if isinstance(one, Message)], session)
        changes = [(before[order_id], order) for order_id, order in after.items() if order is not before[order_id]]
        await self._store.save_orders(changes, now=max(one.at for one in requests), session=session)
        return outcomes

    async def _save(self, redriven: Sequence[Message], session: AsyncClientSession) -> None:
        if not redriven:
            return
        writes = [
            UpdateOne(
                {"_id": one.id, "state": "dead", "fence": Int64(one.fence - 1)},
                {
                    "$set": {
                        "state": one.state,
                        "attempts": one.attempts,
                        "next_attempt_at": one.next_attempt_at,
                        "redriven_at": one.redriven_at,
                        "redrives": one.redrives,
                        "fence": Int64(one.fence),
                        "updated_at": one.updated_at,
                    }
                },
            )
            for one in redriven
        ]
        result = await self._store.outbox.bulk_write(writes, ordered=False, session=session)
        if result.matched_count != len(writes):
            raise StaleError


def _keys(request: _Request) -> tuple[Hashable, ...]:
    return (request.message_id,)


def _redrive(message: Message | None, order: Order | None, request: _Request) -> Outcome:
    if message is None or order is None or message.merchant != request.merchant:
        return NoSuchMessage()
    if not may_be_redriven(message, order):
        return NotRedrivable(message)
    return msgspec.structs.replace(
        message,
        state="ready",
        attempts=0,
        next_attempt_at=request.at - CLOCK_SKEW,
        redriven_at=request.at,
        redrives=message.redrives + 1,
        fence=message.fence + 1,
        updated_at=request.at,
    )


def _with_review_closed(order: Order, message: Message, at: datetime) -> Order:
    for review in order.reviews:
        if review.event_id == death_id(message) and review.resolved_at is None:
            closed = msgspec.structs.replace(review, resolved_at=at, decision="redriven")
            order = merge(order, closed, now=at, cause=review.code)
    return order
