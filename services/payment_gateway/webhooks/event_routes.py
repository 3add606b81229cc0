"""HTTP for what happened and how it was delivered: events, deliveries, resending. Parse, call a verb, respond."""

from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from payment_gateway.faults.rates import Forgery
from payment_gateway.reads import MAY_BE_SHORT, Text, found
from payment_gateway.store import Store
from payment_gateway.webhooks.delivery import Delivery, State
from payment_gateway.webhooks.list_deliveries import EVENTS_MAX, events_of, page_of_deliveries
from payment_gateway.webhooks.list_events import page_of_events
from payment_gateway.webhooks.resend import ResendEvents, Resent
from payment_gateway.webhooks.views import DeliveryView, EventView, delivery_view
from shared import wire
from shared.edge.auth import merchant_of
from shared.edge.lists import page_response
from shared.edge.problems import ProblemError, RefusedError
from shared.edge.responses import json_response
from shared.edge.types import Request
from shared.edge.values import moment
from shared.pages import Found, Page, Paging
from shared.tracing import note

EndpointId = Annotated[str, Meta(min_length=1, max_length=255, examples=["we_01a209e9f3b07c21a9d54be0a3c1d7f4"])]


class ResendEventRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """To which endpoint; without one, to every enabled one that wants it. With a `forgery` the first attempt sends that
    instead, for which test endpoints must be enabled, and the next one the true event.
    """

    endpoint_id: (
        Annotated[str, Meta(min_length=1, max_length=255, examples=["we_01a209e9f3b07c21a9d54be0a3c1d7f4"])] | UnsetType
    ) = UNSET
    forgery: Forgery | UnsetType = UNSET


class ResendSinceRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """From when on: RFC 3339."""

    since: Annotated[wire.Time, Meta(examples=["2026-11-23T00:00:00Z"])]


@get("/v1/events/{event_id:str}", tags=["Events"])
async def get_event(request: Request, event_id: FromPath[str], store: NamedDependency[Store]) -> Response[EventView]:
    """Shows one event, byte for byte as it is delivered."""
    document = await found(store, store.events, merchant_of(request), event_id)
    return json_response(document["raw"].encode())


@get("/v1/events", tags=["Events"])
async def list_events(
    request: Request,
    reference: Text = None,
    event_type: Annotated[wire.EventType | None, QueryParameter(name="type", description=MAY_BE_SHORT)] = None,
    delivered: Annotated[
        Literal["true", "false"] | None,
        QueryParameter(
            description="`false`: those with no delivery, or with one that is not `delivered` but pending, held, failed, "
            "cancelled or dropped. `true`: the others. " + MAY_BE_SHORT
        ),
    ] = None,
    *,
    paging: NamedDependency[Paging],
) -> Response[Page[EventView]]:
    """A page of events, newest first, each byte for byte as it is delivered."""
    store: Store = request.app.state.store
    note(reference=reference)
    is_delivered = None if delivered is None else delivered == "true"
    found = await page_of_events(
        store, merchant_of(request), paging, reference=reference, event_type=event_type, delivered=is_delivered
    )
    return page_response(request, found, lambda document: document["raw"].encode())


@get("/v1/deliveries", tags=["Events"])
async def list_deliveries(
    request: Request,
    event_id: Annotated[str | None, QueryParameter(name="eventId", max_length=255)] = None,
    endpoint_id: Annotated[str | None, QueryParameter(name="endpointId", max_length=255)] = None,
    reference: Annotated[
        str | None,
        QueryParameter(
            max_length=255,
            description="Of the charge that the event is about. If a reference has more than "
            f"{EVENTS_MAX:,} events, only the newest count.",
        ),
    ] = None,
    delivery_state: Annotated[
        State | Literal["failing"] | None,
        QueryParameter(
            name="state", description=f"`failing`: pending, and the true event has failed before. {MAY_BE_SHORT}"
        ),
    ] = None,
    *,
    paging: NamedDependency[Paging],
) -> Response[Page[DeliveryView]]:
    """A page of deliveries, newest first, with every attempt."""
    store: Store = request.app.state.store
    note(reference=reference)
    documents, following = await page_of_deliveries(
        store,
        merchant_of(request),
        paging,
        event_id=event_id,
        endpoint_id=endpoint_id,
        reference=reference,
        state=delivery_state,
    )
    deliveries = msgspec.convert(documents, list[Delivery])
    events = await events_of(store, deliveries)
    shown = [delivery_view(one, events.get(one.event_id, {})) for one in deliveries]
    return page_response(request, Found(shown, following), wire.encode)


@get("/v1/deliveries/{delivery_id:str}", tags=["Events"])
async def get_delivery(
    request: Request, delivery_id: FromPath[str], store: NamedDependency[Store]
) -> Response[DeliveryView]:
    """Shows one delivery, with every attempt."""
    document = await found(store, store.deliveries, merchant_of(request), delivery_id)
    delivery = msgspec.convert(document, Delivery)
    event = (await events_of(store, [delivery])).get(delivery.event_id, {})
    note(reference=event.get("reference"))
    return json_response(wire.encode(delivery_view(delivery, event)))


@get("/v1/deliveries/{delivery_id:str}/request", tags=["Events"])
async def get_delivery_request(
    request: Request,
    delivery_id: FromPath[str],
    store: NamedDependency[Store],
    attempt: Annotated[
        int | None, QueryParameter(ge=1, description="The `number` of an attempt; the last, if it is left out.")
    ] = None,
) -> Response[EventView]:
    """Shows the body that an attempt sent, byte for byte. If the delivery was not tried yet, it is that of the event."""
    document = await found(store, store.deliveries, merchant_of(request), delivery_id)
    delivery = msgspec.convert(document, Delivery)
    if attempt is not None and attempt > len(delivery.attempts):
        raise ProblemError("not-found", f"the delivery has {len(delivery.attempts)} attempts")
    made = delivery.attempts[(attempt or 0) - 1] if delivery.attempts else None
    if made is not None and made.sent_body is not None:
        return json_response(made.sent_body.encode())
    event = await found(store, store.events, merchant_of(request), delivery.event_id)
    return json_response(event["raw"].encode())


@post(
    "/v1/events/{event_id:str}/resend",
    tags=["Events"],
    status_code=202,
    problems=["endpoint-disabled", "test-endpoints-disabled"],
)
async def resend_event(
    request: Request,
    event_id: FromPath[str],
    data: JSONBody[ResendEventRequest],
    resend_events: NamedDependency[ResendEvents],
) -> Response[Resent]:
    """Delivers an event again, whether it was delivered before or not: to one endpoint, or to every one that wants it."""
    merchant, endpoint_id, forgery = merchant_of(request), data.endpoint_id or None, data.forgery or None
    return _answer(await resend_events.one(merchant, event_id, endpoint_id, forgery))


@post(
    "/v1/webhook-endpoints/{endpoint_id:str}/resend",
    tags=["Webhook endpoints"],
    status_code=202,
    problems=["endpoint-disabled"],
)
async def resend_since(
    request: Request,
    endpoint_id: FromPath[str],
    data: JSONBody[ResendSinceRequest],
    resend_events: NamedDependency[ResendEvents],
) -> Response[Resent]:
    """Delivers again every event since a time that the endpoint has not taken. The answer comes after 1,000 events at most;
    unless it is `complete`, the gateway then goes on without another request.
    """
    since = moment("/since", data.since)
    return _answer(await resend_events.since(merchant_of(request), endpoint_id, since))


def _answer(outcome: object) -> Response[Resent]:
    """Raises RefusedError."""
    if isinstance(outcome, Resent):
        return json_response(msgspec.json.encode(outcome), 202)
    raise RefusedError(outcome)


EVENT_ROUTES = [
    get_event,
    list_events,
    list_deliveries,
    get_delivery,
    get_delivery_request,
    resend_event,
    resend_since,
]
