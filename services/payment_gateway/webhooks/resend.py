"""Delivers events again: one, or every event since a time that an endpoint has not taken.

A pending delivery becomes due now. Otherwise a new one is made, with all its retries. There is no transaction: after an
interruption the merchant asks again, and deliveries that are pending then are not made twice.

A request resends at most EVENTS_MAX events. The rest is a piece of work in `resends`, one for each endpoint. Any replica
claims it, resends the next EVENTS_MAX, and writes how far it came. If it dies first, another resends the same ones again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from payment_gateway.claim import claim, release
from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.faults.rates import Forgery
from payment_gateway.store import Store
from payment_gateway.webhooks.announce import insert_all
from payment_gateway.webhooks.delivery import resent
from payment_gateway.webhooks.endpoint import Endpoint, wants
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared.leases import LeasedWork
from shared.mongo import COUNTED, Document, to_document
from shared.not_found import NotFound
from shared.telemetry import log

EVENTS_MAX = 1000  # in one round: bounds what is read and written
DISABLED_PAUSE = timedelta(hours=1)
LEASE_SECONDS = 60.0  # longer than the calls of MongoDB in one round can take
POLL_SECONDS = 2.0  # seldom: a request that leaves work wakes the worker


class EndpointDisabled(msgspec.Struct, frozen=True):
    """The endpoint gets nothing until it is enabled."""


class ForgingDisabled(msgspec.Struct, frozen=True):
    """The test endpoints are disabled, so nothing is forged."""


class Resent(msgspec.Struct, frozen=True):
    """The number of deliveries on their way. Unless it is `complete`, the rest follows in the background."""

    resent: Annotated[int, Meta(examples=[1])]
    complete: bool = True


class _Place(msgspec.Struct, frozen=True):
    """How far a walk through the events has come, oldest first: all up to this place are done."""

    at: datetime
    id: str = ""  # sorts before the first event of that time


class _Rest(msgspec.Struct, frozen=True, kw_only=True):
    """The work that is left for an endpoint: the events after `after`, up to `until`."""

    endpoint_id: str = msgspec.field(name="_id")
    merchant: str
    after: _Place
    until: datetime
    claim: str


class ResendEvents:
    """Resends. `wake` says that deliveries have become due; only with `forges` may a forgery be sent. After a PyMongoError,
    the events resent so far stay so.
    """

    def __init__(self, store: Store, clock: StoredClock, *, forges: bool, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._forges = forges
        self._wake = wake
        self.work = LeasedWork[Document](
            self._claim,
            self._go_on,
            name="resend",
            slots=1,
            poll_seconds=POLL_SECONDS,
            release=lambda document: release(store.resends, document, also_set={}),
        )

    async def one(
        self, merchant: str, event_id: str, endpoint_id: str | None = None, forgery: Forgery | None = None
    ) -> Resent | NotFound | EndpointDisabled | ForgingDisabled:
        """Sends an event to that endpoint, or to every enabled one that wants it, whether delivered before or not. A
        `forgery` is sent once; the true event follows like a retry, and pending deliveries are left alone.
        """
        if forgery is not None and not self._forges:
            return ForgingDisabled()
        event = await self._store.one(self._store.events, merchant, event_id)
        if isinstance(event, NotFound):
            return event
        if endpoint_id is not None:
            endpoint = await self._endpoint(merchant, endpoint_id)
            if not isinstance(endpoint, Endpoint):
                return endpoint
            return Resent(await self._send_one(event, endpoint, forgery))
        endpoints = await find_endpoints(self._store, {"merchant": merchant, "state": "enabled"})
        wanting = [one for one in endpoints if wants(one, merchant, event["type"])]
        return Resent(sum([await self._send_one(event, one, forgery) for one in wanting]))

    async def since(self, merchant: str, endpoint_id: str, since: datetime) -> Resent | NotFound | EndpointDisabled:
        """Sends an endpoint all events since then that it wants and has not taken."""
        endpoint = await self._endpoint(merchant, endpoint_id)
        if not isinstance(endpoint, Endpoint):
            return endpoint
        until = await self._clock.now()
        count, reached = await self._resend(endpoint, _Place(since), until)
        if reached is not None:
            await self._leave(endpoint, reached, until)
            self.work.wake.set()
        return Resent(count, complete=reached is None)

    async def _endpoint(self, merchant: str, endpoint_id: str) -> Endpoint | NotFound | EndpointDisabled:
        document = await self._store.one(self._store.webhook_endpoints, merchant, endpoint_id)
        if isinstance(document, NotFound):
            return document
        endpoint = msgspec.convert(document, Endpoint)
        return EndpointDisabled() if endpoint.state == "disabled" else endpoint

    async def _leave(self, endpoint: Endpoint, reached: _Place, until: datetime) -> None:
        """Stores the work that is left. C3: a total write; earlier work is kept, and starts from the earlier place."""
        after = {"$literal": to_document(reached)}
        rest = {"after": {"$min": ["$after", after]}, "until": {"$max": ["$until", until]}}
        free = {"due_at": await self._clock.now(), "lease_until": None, "claim": None}
        change = [{"$set": {"merchant": endpoint.merchant, **rest, **free}}]
        await self._store.resends.update_one({"_id": endpoint.id}, change, upsert=True)

    async def _claim(self, limit: int) -> Sequence[Document]:
        _, documents = await claim(
            self._store.resends,
            due={},
            due_at="due_at",
            now=await self._clock.now(),
            limit=limit,
            lease_seconds=LEASE_SECONDS,
            also_set={},
        )
        return documents

    async def _go_on(self, document: Document) -> None:
        """Resends the next events. A process that has lost the claim meanwhile does not write how far it came."""
        rest = msgspec.convert(document, _Rest)
        ours = {"_id": rest.endpoint_id, "claim": rest.claim}
        endpoint = await self._endpoint(rest.merchant, rest.endpoint_id)
        if isinstance(endpoint, NotFound):
            await self._store.resends.delete_one(ours)
            return
        if isinstance(endpoint, EndpointDisabled):  # the rest goes when it is enabled again, perhaps just now
            now = await self._clock.now()
            free = {"due_at": now + DISABLED_PAUSE, "lease_until": None, "claim": None}
            await self._store.resends.update_one(ours, {"$set": free})
            if isinstance(await self._endpoint(rest.merchant, rest.endpoint_id), Endpoint):
                await self._store.resends.update_one({"_id": rest.endpoint_id}, {"$set": {"due_at": now}})
            return
        count, reached = await self._resend(endpoint, rest.after, rest.until)
        if reached is None:
            await self._store.resends.delete_one(ours)
        else:
            free = {"due_at": await self._clock.now(), "lease_until": None, "claim": None}
            await self._store.resends.update_one(ours, {"$set": {"after": to_document(reached), **free}})
        log.info("resent", endpoint_id=endpoint.id, deliveries=count, complete=reached is None)

    async def _resend(self, endpoint: Endpoint, after: _Place, until: datetime) -> tuple[int, _Place | None]:
        """Returns how many deliveries of the next EVENTS_MAX events are on their way, and the place reached or None.

        Events that the endpoint does not want count too, so that the walk stays bounded.
        """
        conditions: Document = {
            "merchant": endpoint.merchant,
            "created_at": {"$gte": after.at, "$lte": until},
            "$or": [{"created_at": {"$gt": after.at}}, {"_id": {"$gt": after.id}}],
        }
        found = self._store.events.find(conditions, {"created_at": 1, "type": 1})
        found = found.sort([("created_at", 1), ("_id", 1)]).limit(EVENTS_MAX + 1)
        events, reached = await found.to_list(), None
        if len(events) > EVENTS_MAX:
            events.pop()
            reached = _Place(events[-1]["created_at"], events[-1]["_id"])
        wanted = [one for one in events if wants(endpoint, endpoint.merchant, one["type"])]
        return await self._send_again(wanted, endpoint, delivered_too=False) if wanted else 0, reached

    async def _send_one(self, event: Document, endpoint: Endpoint, forgery: Forgery | None) -> int:
        if forgery is None:
            return await self._send_again([event], endpoint, delivered_too=True)
        of_it = {"merchant": endpoint.merchant, "event_id": event["_id"], "endpoint_id": endpoint.id}
        before = await self._store.deliveries.count_documents(of_it)
        forged = resent(event["_id"], endpoint, before, now=await self._clock.now(), forgery=forgery)
        await insert_all(self._store.deliveries, [to_document(forged)])
        self._wake()
        return 1

    async def _send_again(self, events: Sequence[Document], endpoint: Endpoint, *, delivered_too: bool) -> int:
        """Makes the deliveries of up to EVENTS_MAX `events` due now, or makes new ones. Returns how many."""
        now = await self._clock.now()
        ids = [event["_id"] for event in events]
        of_these = {"merchant": endpoint.merchant, "event_id": {"$in": ids}, "endpoint_id": endpoint.id}
        known = await self._store.deliveries.find(of_these, {"event_id": 1, "state": 1}).to_list()
        pending = {one["event_id"] for one in known if one["state"] == "pending"}
        taken = set() if delivered_too else {one["event_id"] for one in known if one["state"] == "delivered"}
        due_now = 0
        if pending - taken:
            waiting = {**of_these, "event_id": {"$in": list(pending - taken)}, "state": "pending"}
            # An attempt under way must not delay what is asked for now: see `recorded` in delivery.py.
            change = [{"$set": {"next_attempt_at": now, "resent": "$claim", **COUNTED}}]
            due_now = (await self._store.deliveries.update_many(waiting, change)).matched_count
        before = Counter(one["event_id"] for one in known)
        missing = [one for one in ids if one not in pending | taken]
        anew = [to_document(resent(one, endpoint, before[one], now=now)) for one in missing]
        await insert_all(self._store.deliveries, anew)  # those that another process resends now are stored already
        self._wake()
        return due_now + len(missing)
