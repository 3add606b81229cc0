"""Recording what became of deliveries, and what that means for their endpoints, in one transaction: an endpoint that is
gone, or has failed for too long, is disabled, and the merchant's other endpoints are told.
"""

from collections.abc import Hashable, Sequence
from datetime import timedelta

import msgspec
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from payment_gateway.store import Store
from payment_gateway.webhooks.delivery import Attempt, Delivery, Next, as_stored, new_delivery
from payment_gateway.webhooks.endpoint import Endpoint, after_attempt, wants
from payment_gateway.webhooks.event import Event, disabled_event
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared.group_commit import GroupCommit
from shared.leases import held, write_held
from shared.mongo import Document, to_document
from shared.telemetry import log


class Recorded(msgspec.Struct, frozen=True):
    """`attempt` is None for a delivery that ends without one; `url` is where it was made."""

    delivery: Delivery
    attempt: Attempt | None
    following: Next
    url: str | None = None


class _Verdict(msgspec.Struct, frozen=True):
    """Not `recorded` where the fence had passed: then nothing was changed."""

    recorded: bool
    disabled_endpoint: bool


class RecordAttempts:
    """Answers whether it was recorded: not if somebody else has claimed the delivery meanwhile. An endpoint that is not
    tried for longer than `pause_max` counts as failing anew.
    """

    def __init__(self, store: Store, *, pause_max: timedelta) -> None:
        self._store = store
        self._pause_max = pause_max
        self.commits = GroupCommit[Recorded, _Verdict](store.client, self._write, name="record_attempts", keys=_keys)

    async def __call__(self, recorded: Recorded) -> bool:
        """Raises what GroupCommit raises; then the attempt is made again."""
        verdict = await self.commits.submit(recorded)
        if verdict.disabled_endpoint:
            log.warning("endpoint disabled", endpoint_id=recorded.delivery.endpoint_id, gone=recorded.following.gone)
        return verdict.recorded

    async def _write(self, session: AsyncClientSession, recorded: Sequence[Recorded]) -> Sequence[_Verdict]:
        still_held = await held(
            self._store.deliveries, {one.delivery.id: one.delivery.fence for one in recorded}, session
        )
        ours = [one for one in recorded if one.delivery.id in still_held]
        disabling: set[str] = set()
        if ours:
            await write_held(self._store.deliveries, [_update(one) for one in ours], session)
            true = [one for one in ours if one.attempt and one.attempt.forgery is None]
            disabling = await self._judge_endpoints(true, session)
        return [_Verdict(one.delivery.id in still_held, one.delivery.id in disabling) for one in recorded]

    async def _judge_endpoints(self, recorded: Sequence[Recorded], session: AsyncClientSession) -> set[str]:
        """The deliveries, by id, whose attempts have disabled their endpoints."""
        ids = list({one.delivery.endpoint_id for one in recorded})
        before = {
            one.id: one for one in await find_endpoints(self._store.webhook_endpoints, {"_id": {"$in": ids}}, session)
        }
        after, events = _judged(before, recorded, self._pause_max)
        writes = [
            UpdateOne(
                {"_id": endpoint.id},
                {
                    "$set": {
                        "state": endpoint.state,
                        "disabled_reason": endpoint.disabled_reason,
                        "failing_since": endpoint.failing_since,
                        "failed_at": endpoint.failed_at,
                    }
                },
            )
            for endpoint in after.values()
            if endpoint != before[endpoint.id]
        ]
        if writes:  # almost never: an endpoint that works, or goes on failing, stays as it is
            await self._store.webhook_endpoints.bulk_write(writes, ordered=False, session=session)
        if events:
            await self._announce(list(events.values()), session)
        return set(events)

    async def _announce(self, events: Sequence[Event], session: AsyncClientSession) -> None:
        merchants = list({event.merchant for event in events})
        wanting = {"merchant": {"$in": merchants}, "state": "enabled"}
        endpoints = await find_endpoints(self._store.webhook_endpoints, wanting, session)
        await self._store.events.insert_many([to_document(event) for event in events], session=session)
        deliveries = [
            new_delivery(event.id, event.merchant, endpoint.id, now=event.created_at)
            for event in events
            for endpoint in endpoints
            if wants(endpoint, event.merchant, event.type)
        ]
        if deliveries:
            await self._store.deliveries.insert_many([as_stored(one) for one in deliveries], session=session)


def _judged(
    endpoints: dict[str, Endpoint], recorded: Sequence[Recorded], pause_max: timedelta
) -> tuple[dict[str, Endpoint], dict[str, Event]]:
    """The endpoints after these attempts, and the events of those that they disable, by delivery. One may have been deleted
    meanwhile.
    """
    after, events = dict(endpoints), dict[str, Event]()
    attempts = [(one.attempt, one) for one in recorded if one.attempt and one.delivery.endpoint_id in endpoints]
    for attempt, one in sorted(attempts, key=lambda pair: pair[0].at):
        was = after[one.delivery.endpoint_id]
        if one.url != was.url:  # the merchant has changed it meanwhile
            continue
        delivered, gone = one.following.state == "delivered", one.following.gone
        now = after[was.id] = after_attempt(was, delivered=delivered, gone=gone, at=attempt.at, pause_max=pause_max)
        if now.state != was.state:
            events[one.delivery.id] = disabled_event(now, one.delivery.id, attempt.number, now=attempt.at)
    return after, events


def _keys(recorded: Recorded) -> tuple[Hashable, ...]:
    return (recorded.delivery.id,)


def _update(recorded: Recorded) -> UpdateOne:
    """What was resent while its attempt was in hand stays due as the resend has it, unless there is nothing more to send."""
    following, fence = recorded.following, recorded.delivery.fence
    fields: Document = {"state": following.state, "next_attempt_at": following.next_attempt_at}
    if recorded.attempt and following.state != "delivered" and not following.gone:
        resent = {"$eq": [{"$ifNull": ["$resent_fence", None]}, fence]}
        again = {"state": "pending", "next_attempt_at": "$next_attempt_at"}
        fields = {name: {"$cond": [resent, again[name], value]} for name, value in fields.items()}
    if recorded.attempt:
        attempt = {"$literal": to_document(recorded.attempt)}  # a receiver's answer may look like an expression
        fields["attempts"] = {"$concatArrays": ["$attempts", [attempt]]}
    change: list[Document] = [{"$set": {**fields, "lease_until": None}}, {"$unset": "hold"}]
    return UpdateOne({"_id": recorded.delivery.id, "fence": recorded.delivery.fence}, change)
