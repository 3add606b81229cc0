"""Delivers events: claims deliveries that are due, POSTs each signed event, records the attempt. An attempt that was not
recorded, because the process died, is made again: an event is delivered at least once and never lost.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

import msgspec
import pymongo
from bson import ObjectId
from msgspec import UNSET
from msgspec.structs import replace
from prometheus_client import Counter as Counted
from prometheus_client import Histogram
from pymongo.errors import PyMongoError

from payment_gateway.claim import claim, release, release_all
from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.faults.forge import signed
from payment_gateway.schema import DUE_BY_ENDPOINT
from payment_gateway.store import Store
from payment_gateway.webhooks.announce import NewClaim
from payment_gateway.webhooks.delivery import Attempt, Delivery, Next, after, recorded
from payment_gateway.webhooks.endpoint import IN_FLIGHT_MAX, Endpoint, retired_secret, signing_secrets
from payment_gateway.webhooks.header import hidden
from payment_gateway.webhooks.judge_endpoint import JudgeEndpoint
from payment_gateway.webhooks.send import USUAL_HEADERS, Reply, SendWebhook
from payment_gateway.webhooks.shares import Shares
from shared.documents import Documents
from shared.leases import Lease, LeasedWork
from shared.metrics import SECONDS
from shared.mongo import Document, to_document
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import continue_trace, span, trace_headers

SLOTS = 256  # most wait for a receiver. An endpoint alone gets 64, and seven that hang leave 77 for the rest: shares.py
READ_SECONDS = 3.0  # of the time for a claim: for the events and endpoints of what was claimed
CHOOSE_SECONDS = 1.0  # of the time for a claim: hundreds of small endpoints with backlogs mean hundreds of reads
BOUNDS_SECONDS = 1.0  # a changed maxInFlight takes effect within this; reading it for each claim would be too much
FRESH_SECONDS = 0.25  # an endpoint that was read longer ago is read again before anything is sent there
PATIENCE_SECONDS = 0.01  # an attempt waits so long to be recorded with others; its endpoint's slot waits too
RECORD_SECONDS = 25.0  # longer than judging its endpoint and recording it can take

_ATTEMPTS = Counted(
    "payment_gateway_delivery_attempts_total",
    "Webhooks sent, by the class of the answer's status, or why there was none",
    ["result"],
)
_ATTEMPTS_BY_RESULT = {
    result: _ATTEMPTS.labels(result)
    for result in ("2xx", "3xx", "4xx", "5xx", "other", "timeout", "forbidden", "no_answer")
}
_ATTEMPT_SECONDS = Histogram(
    "payment_gateway_delivery_seconds", "One webhook sent, until its answer was read", buckets=SECONDS
)


class _Claimed(msgspec.Struct, frozen=True):
    """Documents as they were read. One that does not decode must not spoil those claimed with it. The endpoint may be used
    until `fresh_until` of our monotonic clock.
    """

    delivery: Document
    lease: Lease
    event: Document | None
    endpoint: Document | Endpoint | None
    fresh_until: float = math.inf


@dataclass
class DeliverWebhooks:
    """Delivers. `timeout_seconds` bounds one attempt; `schedule_seconds` are the pauses after each failure. `tried` is
    called when an attempt has been recorded.
    """

    store: Store
    deliveries: Documents[Delivery, None]
    clock: StoredClock
    send: SendWebhook
    judge: JudgeEndpoint
    schedule_seconds: Sequence[float]
    timeout_seconds: float
    tried: Callable[[], None]

    def __post_init__(self) -> None:
        self.lease_seconds = self.timeout_seconds + RECORD_SECONDS + 5.0
        self._shares = Shares()
        self._last_endpoint_id = ""
        self._known_bounds: dict[str, int] = {}  # of endpoints, by id
        self._bounds_until = 0.0
        self.work = LeasedWork[_Claimed](
            self._claim, self._deliver_in_share, name="deliver_webhooks", slots=SLOTS, release=self._release
        )

    def claim_new(
        self, delivery: Delivery, endpoint: Endpoint, event: Document, *, read_at: datetime, asked_at: float
    ) -> NewClaim | None:
        """Claims a delivery that is about to be stored, so that it is sent as soon as it is there. None if it is not due, if
        no slot is free, or if the endpoint was read too long ago. `read_at` is the server's time at `asked_at` of our
        monotonic clock, or later.
        """
        fresh_until = asked_at + FRESH_SECONDS
        is_due = delivery.next_attempt_at == delivery.created_at and delivery.hold is UNSET
        if not is_due or time.monotonic() > fresh_until or not self.work.reserve():
            return None
        if not self._shares.take(endpoint.id, self.work.free + 1, endpoint.max_in_flight):
            self.work.give_back()
            return None
        lease_until = read_at + timedelta(seconds=self.lease_seconds)
        document = to_document(replace(delivery, claim=str(ObjectId()), lease_until=lease_until))
        lease = Lease(asked_at + self.lease_seconds)
        claimed = _Claimed({**document, "read_at": read_at}, lease, event, endpoint, fresh_until)
        return NewClaim(document, partial(self.work.begin, claimed), partial(self._give_back_slot, endpoint.id))

    def _give_back_slot(self, endpoint_id: str) -> None:
        self._shares.give_back(endpoint_id)
        self.work.give_back()

    async def _claim(self, limit: int) -> list[_Claimed]:
        lease, documents = await claim(
            self.store.deliveries,
            due={"state": "pending"},
            due_at="next_attempt_at",
            now=await self.clock.now(),
            limit=limit,
            lease_seconds=self.lease_seconds,
            choose=lambda free: self._choose(free, limit),
        )
        if not documents:
            return []
        try:
            with pymongo.timeout(READ_SECONDS):  # less than a claim may take: the rest is for the release
                events, endpoints = await asyncio.gather(
                    self.store.by_id(self.store.events, {one["event_id"] for one in documents}),
                    self.store.by_id(self.store.webhook_endpoints, {one["endpoint_id"] for one in documents}),
                )
        except PyMongoError:
            with suppress(PyMongoError):  # then nobody has the deliveries until their lease ends
                await release_all(self.store.deliveries, documents)
            raise
        claimed = [
            _Claimed(one, lease, events.get(one["event_id"]), endpoints.get(one["endpoint_id"])) for one in documents
        ]
        for one in claimed:
            self._shares.hold(one.delivery["endpoint_id"])
        return claimed

    async def _choose(self, free: Document, limit: int) -> list[str]:
        """The ids that may be claimed of the `free` deliveries: the earliest of each endpoint, but no more than its share of
        the slots or its own `max_in_flight`. A round starts after the endpoint at which the last one ended, so that all get
        their turn.

        It goes from endpoint to endpoint by an index and never through the backlog of one that has its share.
        """
        shares, given_back = self._shares.copy(), self._shares.given_back
        shares.bound(await self._bounds(shares.holders()))
        chosen: list[str] = []
        started_at, ends_at = self._last_endpoint_id, time.monotonic() + CHOOSE_SECONDS
        while (left := limit - len(chosen)) > 0:
            full, looked_at = shares.full(left), min(left, IN_FLIGHT_MAX)
            others = {"endpoint_id": {"$gt": self._last_endpoint_id, "$nin": full}, "_id": {"$nin": chosen}}
            query = self.store.deliveries.find({**free, **others}, {"endpoint_id": 1})
            found = await query.hint(DUE_BY_ENDPOINT).limit(looked_at).to_list()
            crowd = Counter([*shares.holders(), *(one["endpoint_id"] for one in found)])
            shares.bound(
                await self._bounds(one for one, count in crowd.items() if count > 1)
            )  # one is within any bound
            taken = shares.fill([one["endpoint_id"] for one in found], left)
            is_cut_off = len(found) == looked_at
            self.work.more |= bool(full) or not all(taken) or is_cut_off
            chosen += [one["_id"] for one, is_taken in zip(found, taken, strict=True) if is_taken]
            self._last_endpoint_id = found[-1]["endpoint_id"] if is_cut_off else ""
            if not is_cut_off and not started_at:
                break
            if not is_cut_off:
                started_at = ""  # once more, from the first
            if time.monotonic() > ends_at:
                break  # the next round goes on from here
        if self.work.more and self._shares.given_back != given_back:
            self.work.wake.set()  # this claim has not seen the slot that came back while it looked
        return chosen

    async def _bounds(self, endpoint_ids: Iterable[str]) -> dict[str, int]:
        """How many deliveries these endpoints may have under way, read at most BOUNDS_SECONDS ago."""
        if time.monotonic() > self._bounds_until:
            self._known_bounds, self._bounds_until = {}, time.monotonic() + BOUNDS_SECONDS
        ids = list(endpoint_ids)
        if unknown := [one for one in ids if one not in self._known_bounds]:
            found = self.store.webhook_endpoints.find({"_id": {"$in": unknown}}, {"max_in_flight": 1})
            self._known_bounds |= {one["_id"]: one.get("max_in_flight", IN_FLIGHT_MAX) async for one in found}
        return {one: self._known_bounds.get(one, IN_FLIGHT_MAX) for one in ids}

    async def _deliver_in_share(self, claimed: _Claimed) -> None:
        try:
            await self._deliver(claimed)
        finally:
            self._shares.give_back(claimed.delivery["endpoint_id"])

    async def _deliver(self, claimed: _Claimed) -> None:
        delivery = msgspec.convert(claimed.delivery, Delivery)
        if claimed.event is None:  # a reset took it while this was being resent
            await self._record(claimed, None, Next("cancelled"))
            return
        continue_trace(claimed.event.get("trace"), reference=claimed.event.get("reference"))
        found = claimed.endpoint
        if time.monotonic() >= claimed.fresh_until:
            known = await self.store.by_id(self.store.webhook_endpoints, {delivery.endpoint_id})
            found = known.get(delivery.endpoint_id)
        endpoint = msgspec.convert(found, Endpoint) if found else None
        if endpoint is None or endpoint.state == "disabled" or endpoint.deleted_at is not None:
            await self._record(claimed, None, Next("cancelled"))
            return
        if not claimed.lease.covers(self.timeout_seconds + RECORD_SECONDS):
            await self._release(claimed)
            return
        body, at = claimed.event["raw"].encode(), await self.clock.now()
        with span("deliver webhook", "client", {"http.request.method": "POST"}) as calling:
            sent, headers = _signed(delivery, endpoint, body, now=at)
            reply = await self.send(
                endpoint.url, sent, {**{one.name: one.value for one in endpoint.headers}, **headers}
            )
            attempt = replace(
                _attempt(delivery, reply, at=at),
                url=endpoint.url,
                sent_headers={**hidden(endpoint.headers), **headers},
                sent_body=None if sent == body else sent.decode(),
            )
            _ATTEMPTS_BY_RESULT[result_of(attempt)].inc()
            _ATTEMPT_SECONDS.observe(attempt.duration_ms / 1000)
            asked_seconds, ended_at = reply.retry_after_seconds, await self._ended_at(attempt)
            following = after(attempt, self.schedule_seconds, ended_at=ended_at, retry_after_seconds=asked_seconds)
            calling.answered(attempt.status, failed=following.state != "delivered")
        await self.judge(endpoint, delivery, attempt, following)
        was_recorded = await self._record(claimed, attempt, following)  # C23: last, so that a crash loses no verdict
        self.tried()
        log.info(
            "delivered" if following.state == "delivered" else "delivery attempt failed",
            delivery_id=delivery.id,
            event_id=delivery.event_id,
            host=urlsplit(endpoint.url).hostname,
            attempt=attempt.number,
            status=attempt.status,
            error=attempt.error,
            state=following.state,
            recorded=was_recorded,
        )

    async def _record(self, claimed: _Claimed, attempt: Attempt | None, following: Next) -> bool:
        """Whether it was recorded. If nobody has written since the claim, the delivery is not read again."""
        document = claimed.delivery
        return await self.deliveries.change(
            document["_id"],
            lambda found, _now: recorded(found, document["claim"], attempt, following),
            read=document,
            patience=PATIENCE_SECONDS,
        )

    async def _ended_at(self, attempt: Attempt) -> datetime:
        """The gateway's time. If it cannot be read now, a time near it, so that the answer is still recorded."""
        try:
            return await self.clock.now()
        except PyMongoError:
            return attempt.at + timedelta(milliseconds=attempt.duration_ms)

    async def _release(self, claimed: _Claimed) -> None:
        await release(self.store.deliveries, claimed.delivery)


def _signed(delivery: Delivery, endpoint: Endpoint, body: bytes, *, now: datetime) -> tuple[bytes, Mapping[str, str]]:
    """Body and headers, signed in both schemes anew for each attempt; the id stays. C24: signatures have real time."""
    sent, signatures = signed(
        body,
        signing_secrets(endpoint, now=now),
        message_id=delivery.event_id,
        timestamp=int(utc_now().timestamp()),
        forgery=delivery.forgery,
        retired_secret=retired_secret(endpoint, now=now),
    )
    return sent, {**USUAL_HEADERS, **signatures, **trace_headers()}


def _attempt(delivery: Delivery, reply: Reply, *, at: datetime) -> Attempt:
    return Attempt(
        number=len(delivery.attempts) + 1,
        at=at,
        status=reply.status,
        duration_ms=reply.duration_ms,
        failure=reply.failure,
        error=reply.error,
        response_body=reply.body,
        forgery=delivery.forgery,
        response_headers=reply.headers,
    )


def result_of(attempt: Attempt) -> str:
    if attempt.status is None:
        return attempt.failure or "no_answer"
    return f"{attempt.status // 100}xx" if 200 <= attempt.status < 600 else "other"  # a stranger may answer 999
