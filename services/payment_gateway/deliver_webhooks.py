"""Delivering events: claim what is due, POST it signed, record the attempt. An attempt that is not recorded, because the
process died, is made again: at least once, never lost.
"""

import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

import aiohttp
import msgspec
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from payment_gateway.delivery import RESPONSE_BYTES_MAX, Attempt, Delivery, Next, after
from payment_gateway.endpoint import Endpoint, retired_secret, signing_secrets
from payment_gateway.forge import signed
from payment_gateway.metrics import count_attempt
from payment_gateway.store import Store
from payment_gateway.stored_clock import StoredClock
from shared.group_commit import GroupCommit
from shared.http_client import CALL_ERRORS, open_session, read_up_to, retry_after_seconds
from shared.leases import Lease, LeasedWork, claim, held, release, write_held
from shared.mongo import Collection, Document, to_document
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import continue_trace, span, trace_headers

SLOTS = 64
CONNECT_SECONDS = 5.0
RECORD_SECONDS = 15.0  # more than a group commit lets anybody wait
POLL_SECONDS = 0.1


class _Claimed(msgspec.Struct, frozen=True):
    """Documents as they were read: one that does not decode must not spoil those claimed with it."""

    delivery: Document
    lease: Lease
    event: Document
    endpoint: Document | None


class _Recorded(msgspec.Struct, frozen=True):
    delivery: Delivery
    attempt: Attempt | None
    following: Next


class DeliverWebhooks:
    """`timeout_seconds` bounds one attempt; `schedule_seconds` says how long to wait after each that fails."""

    def __init__(
        self, store: Store, clock: StoredClock, *, schedule_seconds: Sequence[float], timeout_seconds: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._schedule_seconds = schedule_seconds
        self._timeout_seconds = timeout_seconds
        self.lease_seconds = timeout_seconds + RECORD_SECONDS + 5.0
        self._session: aiohttp.ClientSession | None = None
        self.work = LeasedWork[_Claimed](
            self._claim,
            self._deliver,
            name="deliver_webhooks",
            slots=SLOTS,
            poll_seconds=POLL_SECONDS,
            release=self._release,
        )
        self.commits = GroupCommit[_Recorded, bool](store.client, self._write, name="record_attempts", keys=_keys)

    async def start(self) -> None:
        self._session = open_session(
            connections_max=SLOTS, connect_seconds=CONNECT_SECONDS, total_seconds=self._timeout_seconds
        )

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _claim(self, limit: int) -> list[_Claimed]:
        lease, documents = await claim(
            self._store.deliveries,
            due={"state": "pending"},
            due_at="next_attempt_at",
            now=await self._clock.now(),
            limit=limit,
            lease_seconds=self.lease_seconds,
        )
        if not documents:
            return []
        events = await _by_id(self._store.events, {one["event_id"] for one in documents})
        endpoints = await _by_id(self._store.webhook_endpoints, {one["endpoint_id"] for one in documents})
        return [
            _Claimed(one, lease, events[one["event_id"]], endpoints.get(one["endpoint_id"]))
            for one in documents
            if one["event_id"] in events
        ]

    async def _deliver(self, claimed: _Claimed) -> None:
        continue_trace(claimed.event.get("trace"), reference=claimed.event.get("reference"))
        delivery = msgspec.convert(claimed.delivery, Delivery)
        endpoint = msgspec.convert(claimed.endpoint, Endpoint) if claimed.endpoint else None
        if endpoint is None or endpoint.state == "disabled":
            await self.commits.submit(_Recorded(delivery, None, Next("cancelled")))
            return
        if not claimed.lease.covers(self._timeout_seconds + RECORD_SECONDS):
            await self._release(claimed)
            return
        with span("deliver webhook", "client", {"http.request.method": "POST"}) as calling:
            attempt, asked_seconds = await self._attempt(delivery, endpoint, claimed.event["raw"].encode())
            count_attempt(attempt)
            following = after(attempt, self._schedule_seconds, retry_after_seconds=asked_seconds)
            calling.answered(attempt.status, failed=following.state != "delivered")
        recorded = await self.commits.submit(_Recorded(delivery, attempt, following))
        log.info(
            "delivered" if following.state == "delivered" else "delivery attempt failed",
            delivery_id=delivery.id,
            event_id=delivery.event_id,
            host=urlsplit(endpoint.url).hostname,
            attempt=attempt.number,
            status=attempt.status,
            error=attempt.error,
            state=following.state,
            recorded=recorded,
        )

    async def _release(self, claimed: _Claimed) -> None:
        await release(self._store.deliveries, claimed.delivery)

    async def _attempt(self, delivery: Delivery, endpoint: Endpoint, body: bytes) -> tuple[Attempt, float | None]:
        """The attempt, and the seconds that its Retry-After asks for."""
        assert self._session is not None, "not started"
        at = await self._clock.now()
        started = time.monotonic()
        status, error, received, asked_seconds = None, None, b"", None
        try:
            sent, headers = _signed(delivery, endpoint, body, now=at)
            async with self._session.post(endpoint.url, data=sent, headers=headers, allow_redirects=False) as response:
                status = response.status
                asked_seconds = retry_after_seconds(response)
                received = await read_up_to(response, RESPONSE_BYTES_MAX)
        except CALL_ERRORS as failure:
            error = type(failure).__name__
            if not isinstance(failure, aiohttp.InvalidURL):  # that one shows the URL, and what is secret in it
                error = f"{error}: {failure}".rstrip(": ")
            status = None  # a response that broke off is none
        attempt = Attempt(
            number=len(delivery.attempts) + 1,
            at=at,
            status=status,
            duration_ms=round((time.monotonic() - started) * 1000),
            error=error,
            response_body=received.decode(errors="replace"),
            forgery=delivery.forgery,
        )
        return attempt, asked_seconds

    async def _write(self, session: AsyncClientSession, recorded: Sequence[_Recorded]) -> Sequence[bool]:
        """Whether each was recorded; False where the fence had passed, and then nothing was changed."""
        still_held = await held(
            self._store.deliveries, {one.delivery.id: one.delivery.fence for one in recorded}, session
        )
        ours = [one for one in recorded if one.delivery.id in still_held]
        if ours:
            await write_held(self._store.deliveries, [_update(one) for one in ours], session)
        gone = [one.delivery.endpoint_id for one in ours if one.following.disable_endpoint]
        if gone:
            await self._store.webhook_endpoints.update_many(
                {"_id": {"$in": gone}}, {"$set": {"state": "disabled"}}, session=session
            )
        await self._release_held([one for one in ours if one.attempt], session)
        return [one.delivery.id in still_held for one in recorded]

    async def _release_held(self, tried: Sequence[_Recorded], session: AsyncClientSession) -> None:
        """What was to wait until these had been tried is due now. What has been tried itself meanwhile stays as it is."""
        for one in tried:
            if one.attempt and one.delivery.releases:
                await self._store.deliveries.update_many(
                    {"_id": {"$in": one.delivery.releases}, "state": "pending", "attempts": []},
                    {"$min": {"next_attempt_at": one.attempt.at}},
                    session=session,
                )


async def _by_id(collection: Collection, ids: Iterable[str]) -> dict[str, Document]:
    return {document["_id"]: document async for document in collection.find({"_id": {"$in": list(ids)}})}


def _signed(delivery: Delivery, endpoint: Endpoint, body: bytes, *, now: datetime) -> tuple[bytes, Mapping[str, str]]:
    """Body and headers, signed in both schemes, afresh for each attempt and in real time (C24); the id stays the same."""
    sent, signatures = signed(
        body,
        signing_secrets(endpoint, now=now),
        message_id=delivery.event_id,
        timestamp=int(utc_now().timestamp()),
        forgery=delivery.forgery,
        retired_secret=retired_secret(endpoint, now=now),
    )
    usual = {"Content-Type": "application/json", "User-Agent": "payment_gateway"}
    return sent, {**usual, **signatures, **trace_headers()}


def _keys(recorded: _Recorded) -> tuple[Hashable, ...]:
    return (recorded.delivery.id,)


def _update(recorded: _Recorded) -> UpdateOne:
    following = recorded.following
    change = {
        "$set": {"state": following.state, "next_attempt_at": following.next_attempt_at, "lease_until": None},
        **({"$push": {"attempts": to_document(recorded.attempt)}} if recorded.attempt else {}),
    }
    return UpdateOne({"_id": recorded.delivery.id, "fence": recorded.delivery.fence}, change)
