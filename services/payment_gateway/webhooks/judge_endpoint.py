"""Judges an endpoint by an attempt. One that is gone, or has failed for too long, is disabled, and the merchant's other
endpoints get an event about it. C23: the verdict is about the endpoint as it was when the attempt began.
"""

from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from payment_gateway.store import Store, read
from payment_gateway.webhooks.announce import Announce
from payment_gateway.webhooks.delivery import Attempt, Delivery, Next
from payment_gateway.webhooks.endpoint import Endpoint, after_attempt, on_the_wire, who_hears
from payment_gateway.webhooks.event import Mark, mark_of
from payment_gateway.webhooks.stored_endpoints import StoredEndpoints, find_endpoints
from shared import wire
from shared.documents import Verdict
from shared.ids import derive_id
from shared.telemetry import log
from shared.tracing import current_trace


class JudgeEndpoint:
    """Judges endpoints. One that was not tried for longer than `pause_max` starts to fail anew."""

    def __init__(
        self, store: Store, endpoints: StoredEndpoints, announce: Announce[Endpoint], *, pause_max: timedelta
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._announce = announce
        self._pause_max = pause_max

    async def __call__(self, endpoint: Endpoint, delivery: Delivery, attempt: Attempt, following: Next) -> None:
        """`endpoint` is as it was when the attempt began. Raises PyMongoError and what `Documents.change` raises."""
        judged = partial(
            after_attempt,
            delivered=following.state == "delivered",
            gone=following.gone,
            at=attempt.at,
            pause_max=self._pause_max,
        )
        if attempt.forgery is not None or judged(endpoint) == endpoint:
            return  # the usual case: an endpoint that goes on working, or failing, is not written
        others = await find_endpoints(self._store, {"merchant": endpoint.merchant, "state": "enabled"})
        trace = current_trace()

        def decide(found: Endpoint | None, _now: datetime | None) -> Verdict[Endpoint, bool]:
            if found is None or found.deleted_at is not None or found.generation != endpoint.generation:
                return Verdict(answer=False, found=True)  # it has been changed since
            after = judged(found)
            if after.state == found.state:
                return Verdict(answer=False, after=after if after != found else None, found=True)
            to = who_hears([one for one in others if one.id != found.id], found.merchant, "webhook_endpoint.disabled")
            mark = _disabled_mark(after, delivery.id, attempt.number, now=attempt.at, to=to, trace=trace)
            due_at = found.due_at or attempt.at
            return Verdict(answer=True, after=replace(after, announce=(*found.announce, mark), due_at=due_at))

        if await self._endpoints.change(endpoint.id, decide):
            log.warning("endpoint disabled", endpoint_id=endpoint.id, gone=following.gone)
            await self._announce(await read(self._store.webhook_endpoints, {"$match": {"_id": endpoint.id}}))


def _disabled_mark(
    endpoint: Endpoint, delivery_id: str, attempt: int, *, now: datetime, to: tuple[str, ...], trace: str | None
) -> Mark:
    """The mark of the event that an endpoint was disabled. Its id follows from the attempt that caused it."""
    made = derive_id("evt", delivery_id, "webhook_endpoint.disabled", str(attempt))
    event = wire.Event(id=made, type="webhook_endpoint.disabled", timestamp=now, data=on_the_wire(endpoint))
    return mark_of(event, to, trace=trace)
