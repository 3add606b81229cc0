"""HTTP under /v1/webhook-endpoints: parse, call a verb, respond."""

from typing import Annotated

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from payment_gateway.reads import found
from payment_gateway.store import Store
from payment_gateway.webhooks import endpoint as endpoints
from payment_gateway.webhooks.change_endpoints import ChangeEndpoints, NewEndpoint, Rotation, expiry
from payment_gateway.webhooks.destination import Destinations
from payment_gateway.webhooks.endpoint import Change, Endpoint
from payment_gateway.webhooks.header import HEADERS_MAX, VALUE_LENGTH_MAX, Header, fault_of_own
from payment_gateway.webhooks.stored_endpoints import page_of_endpoints
from payment_gateway.webhooks.target import URL_LENGTH_MAX
from payment_gateway.webhooks.views import WebhookEndpointWithSecretView
from shared import wire
from shared.edge.auth import merchant_of
from shared.edge.lists import page_response
from shared.edge.problems import RefusedError, answer_of, invalid_field, there
from shared.edge.requests import idempotency_key
from shared.edge.responses import json_response
from shared.edge.types import Request
from shared.mongo import Document
from shared.not_found import NotFound
from shared.pages import Page, Paging
from shared.signing import SecretError, check_secret

Url = Annotated[str, Meta(max_length=URL_LENGTH_MAX, description="http or https; see WEBHOOK_ALLOWED_HOSTS.")]
_4 = "[A-Za-z0-9+/]{4}"
_SECRET = rf"^whsec_(?:(?:{_4}){{8,21}}(?:[A-Za-z0-9+/]{{2}}==)?|(?:{_4}){{8,20}}[A-Za-z0-9+/]{{3}}=)$"
GivenSecret = Annotated[
    str,
    Meta(
        max_length=128,
        description="`whsec_` and the base64 of 24 to 64 bytes; without one it is made.",
        extra_json_schema={"pattern": _SECRET},  # for who reads the document; check_secret decides
    ),
]
MaxInFlight = Annotated[
    int,
    Meta(
        ge=1,
        le=endpoints.IN_FLIGHT_MAX,
        description="No more deliveries to it than this are under way at once, from each process of the gateway.",
    ),
]
Headers = Annotated[
    dict[str, Annotated[str, Meta(max_length=VALUE_LENGTH_MAX)]],
    Meta(
        max_length=HEADERS_MAX,
        description="Headers that every delivery carries, by name. A name is a token (RFC 9110), and a value visible ASCII. "
        "The values are never shown. Headers that the gateway sends itself, and those that say where a message ends, cannot "
        "be chosen.",
    ),
]
ExpiresInSeconds = Annotated[
    int,
    Meta(
        ge=endpoints.EXPIRES_SECONDS_MIN,
        le=endpoints.EXPIRES_SECONDS_MAX,
        description="The endpoint is deleted after this many seconds of real time, unless a change renews it before.",
    ),
]
EventTypes = Annotated[list[wire.EventType], Meta(max_length=16, description="None at all means every type.")]


class CreateWebhookEndpointRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """Where to deliver, and what of."""

    url: Annotated[Url, Meta(examples=["https://shop.example/hooks"])]
    event_types: Annotated[EventTypes, Meta(examples=[["payment.succeeded", "payment.failed"]])] = []
    secret: GivenSecret | UnsetType = UNSET
    max_in_flight: MaxInFlight = endpoints.IN_FLIGHT_MAX
    headers: Annotated[Headers, Meta(examples=[{"X-Gateway-Token": "chosen-by-you"}])] = {}
    expires_in_seconds: ExpiresInSeconds | UnsetType = UNSET


class UpdateWebhookEndpointRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """The fields to change. Those left out stay as they are; `headers` are replaced as a whole. With null for
    `expiresInSeconds` it stays for good.
    """

    url: Url | UnsetType = UNSET
    event_types: EventTypes | UnsetType = UNSET
    state: Annotated[wire.EndpointState, Meta(examples=["enabled"])] | UnsetType = UNSET
    max_in_flight: MaxInFlight | UnsetType = UNSET
    headers: Headers | UnsetType = UNSET
    expires_in_seconds: ExpiresInSeconds | UnsetType | None = UNSET


class RotateSecretRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """The new secret, and for how long the one before signs along."""

    secret: GivenSecret | UnsetType = UNSET
    overlap_seconds: Annotated[int, Meta(ge=0, le=endpoints.OVERLAP_SECONDS_MAX)] = endpoints.OVERLAP_SECONDS


@post("/v1/webhook-endpoints", tags=["Webhook endpoints"], takes_key=True, problems=["too-many-endpoints"])
async def create_webhook_endpoint(
    request: Request,
    data: JSONBody[CreateWebhookEndpointRequest],
    change_endpoints: NamedDependency[ChangeEndpoints],
    destinations: NamedDependency[Destinations],
) -> Response[WebhookEndpointWithSecretView]:
    """Adds an endpoint. Its secret is in this answer, and is never shown again."""
    merchant, key = merchant_of(request), idempotency_key(request)
    _check_url(destinations, data.url)
    asked = NewEndpoint(
        data.url,
        tuple(dict.fromkeys(data.event_types)),
        _checked_secret(data.secret),
        data.max_in_flight,
        _checked_headers(data.headers),
        data.expires_in_seconds or None,
    )
    return answer_of(await change_endpoints.add(merchant, key, asked))


@get("/v1/webhook-endpoints/{endpoint_id:str}", tags=["Webhook endpoints"])
async def get_webhook_endpoint(
    request: Request, endpoint_id: FromPath[str], store: NamedDependency[Store]
) -> Response[wire.WebhookEndpoint]:
    """Shows one endpoint, without its secret."""
    document = await found(store, store.webhook_endpoints, merchant_of(request), endpoint_id)
    return json_response(_shown(document))


@get("/v1/webhook-endpoints", tags=["Webhook endpoints"])
async def list_webhook_endpoints(
    request: Request,
    paging: NamedDependency[Paging],
) -> Response[Page[wire.WebhookEndpoint]]:
    """A page of endpoints, newest first, without their secrets."""
    store: Store = request.app.state.store
    return page_response(request, await page_of_endpoints(store, merchant_of(request), paging), _shown)


@patch("/v1/webhook-endpoints/{endpoint_id:str}", tags=["Webhook endpoints"])
async def update_webhook_endpoint(
    request: Request,
    endpoint_id: FromPath[str],
    data: JSONBody[UpdateWebhookEndpointRequest],
    change_endpoints: NamedDependency[ChangeEndpoints],
    destinations: NamedDependency[Destinations],
) -> Response[wire.WebhookEndpoint]:
    """Changes an endpoint. If it is enabled again, its earlier failures no longer count. If it is disabled, a delivery that
    is pending for it is cancelled when it is due.
    """
    if data.url is not UNSET:
        _check_url(destinations, data.url)
    change = Change(
        url=data.url or None,
        event_types=None if data.event_types is UNSET else tuple(dict.fromkeys(data.event_types)),
        state=data.state or None,
        max_in_flight=data.max_in_flight or None,
        headers=None if data.headers is UNSET else _checked_headers(data.headers),
        expires_at=UNSET if data.expires_in_seconds is UNSET else expiry(data.expires_in_seconds),
    )
    endpoint = there(await change_endpoints.change(merchant_of(request), endpoint_id, change))
    return json_response(wire.encode(endpoints.on_the_wire(endpoint)))


@delete("/v1/webhook-endpoints/{endpoint_id:str}", tags=["Webhook endpoints"])
async def delete_webhook_endpoint(
    request: Request, endpoint_id: FromPath[str], change_endpoints: NamedDependency[ChangeEndpoints]
) -> None:
    """Removes an endpoint. A delivery that is pending for it is cancelled when it is due."""
    if not await change_endpoints.delete(merchant_of(request), endpoint_id):
        raise RefusedError(NotFound("webhook endpoint"))


@post(
    "/v1/webhook-endpoints/{endpoint_id:str}/rotate-secret",
    tags=["Webhook endpoints"],
    takes_key=True,
    problems=["rate-limited"],
)
async def rotate_webhook_secret(
    request: Request,
    endpoint_id: FromPath[str],
    data: JSONBody[RotateSecretRequest],
    change_endpoints: NamedDependency[ChangeEndpoints],
) -> Response[WebhookEndpointWithSecretView]:
    """Gives an endpoint another secret, which is in this answer. For `overlapSeconds` both secrets sign every delivery."""
    merchant, key = merchant_of(request), idempotency_key(request)
    asked = Rotation(_checked_secret(data.secret), data.overlap_seconds)
    return answer_of(await change_endpoints.rotate_secret(merchant, key, endpoint_id, asked))


def _shown(document: Document) -> bytes:
    return wire.encode(endpoints.on_the_wire(msgspec.convert(document, Endpoint)))


def _check_url(destinations: Destinations, url: str) -> None:
    """Raises ProblemError."""
    if fault := destinations.fault_of(url):
        raise invalid_field("/url", fault)


def _checked_headers(headers: dict[str, str]) -> tuple[Header, ...]:
    """Raises ProblemError, which shows no value."""
    if fault := fault_of_own(headers):
        raise invalid_field("/headers", fault)
    return tuple(Header(name, value) for name, value in sorted(headers.items()))


def _checked_secret(secret: str | UnsetType) -> str | None:
    """Raises ProblemError, which does not show it."""
    if secret is UNSET:
        return None
    try:
        check_secret(secret)
    except SecretError as error:
        raise invalid_field("/secret", str(error)) from None
    return secret


ENDPOINT_ROUTES = [
    create_webhook_endpoint,
    get_webhook_endpoint,
    list_webhook_endpoints,
    update_webhook_endpoint,
    delete_webhook_endpoint,
    rotate_webhook_secret,
]
