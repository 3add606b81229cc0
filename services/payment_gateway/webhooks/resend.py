"""Sending again what happened: one event, or everything that an endpoint has not taken since a time.

Where a delivery is pending it becomes due now; otherwise there is a new one, with all its retries before it. Nothing here
needs a transaction: whoever is interrupted asks again, and what is pending by then is not made a second time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from payment_gateway.webhooks.announce import insert_all
from payment_gateway.webhooks.delivery import resent
from payment_gateway.webhooks.endpoint import Endpoint, wants
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared.mongo import COUNTED, Document, to_document

EVENTS_MAX = 1000  # in one go: what is looked up and written for them is bounded


class NotThere(msgspec.Struct, frozen=True):
    """No such event, or no such endpoint: `what` says."""

    what: str


class EndpointDisabled(msgspec.Struct, frozen=True):
    """Nothing is sent to it until it is enabled."""


class Resent(msgspec.Struct, frozen=True):
    """How many deliveries are on their way for it."""

    resent: int


class ResendEvents:
    """`wake` hints at what is due. Raises PyMongoError; what was resent until then is."""

    def __init__(self, store: Store, clock: StoredClock, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake

    async def one(
        self, merchant: str, event_id: str, endpoint_id: str | None = None
    ) -> Resent | NotThere | EndpointDisabled:
        """Sends it to that endpoint, or to every enabled one that wants it, delivered before or not."""
        event = await self._store.one(self._store.events, merchant, event_id)
        if event is None:
            return NotThere("event")
        if endpoint_id is not None:
            endpoint = await self._endpoint(merchant, endpoint_id)
            if not isinstance(endpoint, Endpoint):
                return endpoint
            return Resent(await self._send_again([event], endpoint, delivered_too=True))
        endpoints = await find_endpoints(self._store, {"merchant": merchant, "state": "enabled"})
        wanting = [one for one in endpoints if wants(one, merchant, event["type"])]
        return Resent(sum([await self._send_again([event], one, delivered_too=True) for one in wanting]))

    async def since(self, merchant: str, endpoint_id: str, since: datetime) -> Resent | NotThere | EndpointDisabled:
        """Sends it everything that it wants, that has happened since then, and that it has not taken."""
        endpoint = await self._endpoint(merchant, endpoint_id)
        if not isinstance(endpoint, Endpoint):
            return endpoint
        conditions: Document = {"merchant": merchant, "created_at": {"$gte": since, "$lte": await self._clock.now()}}
        if endpoint.event_types:
            conditions["type"] = {"$in": list(endpoint.event_types)}
        count, following = 0, conditions
        while events := await self._events(following):
            count += await self._send_again(events, endpoint, delivered_too=False)
            following = {**conditions, **_later_than(events[-1])}
        return Resent(count)

    async def _endpoint(self, merchant: str, endpoint_id: str) -> Endpoint | NotThere | EndpointDisabled:
        document = await self._store.one(self._store.webhook_endpoints, merchant, endpoint_id)
        if document is None:
            return NotThere("webhook endpoint")
        endpoint = msgspec.convert(document, Endpoint)
        return EndpointDisabled() if endpoint.state == "disabled" else endpoint

    async def _events(self, conditions: Document) -> Sequence[Document]:
        found = self._store.events.find(conditions, {"merchant": 1, "created_at": 1})
        return await found.sort([("created_at", 1), ("_id", 1)]).limit(EVENTS_MAX).to_list()

    async def _send_again(self, events: Sequence[Document], endpoint: Endpoint, *, delivered_too: bool) -> int:
        """How many deliveries of `events`, which are no more than EVENTS_MAX, are made due now or anew."""
        now = await self._clock.now()
        ids = [event["_id"] for event in events]
        of_these = {"merchant": endpoint.merchant, "event_id": {"$in": ids}, "endpoint_id": endpoint.id}
        known = await self._store.deliveries.find(of_these, {"event_id": 1, "state": 1}).to_list()
        pending = {one["event_id"] for one in known if one["state"] == "pending"}
        taken = set() if delivered_too else {one["event_id"] for one in known if one["state"] == "delivered"}
        due_now = 0
        if pending - taken:
            waiting = {**of_these, "event_id": {"$in": list(pending - taken)}, "state": "pending"}
            # An attempt in hand must not put off what is asked for now: see `recorded` in delivery.py.
            change = [{"$set": {"next_attempt_at": now, "resent": "$claim", **COUNTED}}]
            due_now = (await self._store.deliveries.update_many(waiting, change)).matched_count
        before = Counter(one["event_id"] for one in known)
        missing = [one for one in ids if one not in pending | taken]
        anew = [to_document(resent(one, endpoint, before[one], now=now)) for one in missing]
        await insert_all(self._store.deliveries, anew)  # what somebody else resends just now is on its way
        self._wake()
        return due_now + len(missing)


def _later_than(event: Document) -> dict[str, Any]:
    at = event["created_at"]
    return {"$or": [{"created_at": at, "_id": {"$gt": event["_id"]}}, {"created_at": {"$gt": at}}]}
