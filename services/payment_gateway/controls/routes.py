"""HTTP under /v1/test: what no real provider lets its merchants do. Refused unless PAYMENT_GATEWAY_TEST_ENDPOINTS."""

from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, UnsetType

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.controls.check_signature import CheckSignatureRequest, check_signature
from payment_gateway.controls.clock_routes import CLOCK_ROUTES
from payment_gateway.controls.reset import Reset
from payment_gateway.controls.send_anything import SendWebhookRequest, Sent, send_anything
from payment_gateway.controls.signature_mistakes import Verdict
from payment_gateway.faults.rates import NO_FAULTS, RATED, Faults
from payment_gateway.faults.stored_faults import StoredFaults
from payment_gateway.money.dispute import REASON
from payment_gateway.money.dispute_charge import DisputeCharge
from payment_gateway.money.routes import Amount
from payment_gateway.store import Store
from payment_gateway.webhooks.destination import Destinations
from payment_gateway.webhooks.header import fault_of, is_value
from payment_gateway.webhooks.send import SendWebhook
from shared import wire
from shared.edge.admit import release
from shared.edge.auth import merchant_of
from shared.edge.lists import Cursor, Limit
from shared.edge.problems import RefusedError, invalid_field
from shared.edge.recent import Recent, RecentRequest, recent_page
from shared.edge.responses import json_response
from shared.edge.types import Request
from shared.pages import LIMIT_DEFAULT, Page


class Done(msgspec.Struct, frozen=True):
    """Nothing to tell."""


class WebhookReplyView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The receiver's answer. `status` is null where no status line came; then `error` says why. With a status, `error`
    says what was wrong with the rest of the response; null mostly.
    """

    status: Annotated[int | None, Meta(examples=[401])]
    duration_ms: Annotated[int, Meta(examples=[4])]
    error: str | None
    response_body: Annotated[str, Meta(examples=["stale"])]
    sent: Sent


@post("/v1/test/webhooks", tags=["Test"], test=True, status_code=200)
async def send_test_webhook(
    request: Request,
    data: JSONBody[SendWebhookRequest],
    destinations: NamedDependency[Destinations],
    send_once: NamedDependency[SendWebhook],
) -> Response[WebhookReplyView]:
    """Sends any body to a URL once, signed with any secret for any time, and shows the answer of the receiver."""
    if fault := destinations.fault_of(data.url):
        raise invalid_field("/url", fault)
    _check(data)
    release(request.scope)  # from here on it only waits for the receiver
    sent, reply = await send_anything(send_once, data)
    view = WebhookReplyView(
        status=reply.status, duration_ms=reply.duration_ms, error=reply.error, response_body=reply.body, sent=sent
    )
    return json_response(msgspec.json.encode(view))


def _check(data: SendWebhookRequest) -> None:
    """Checks what types alone cannot check. Raises ProblemError."""
    if fault := fault_of(data.headers):
        raise invalid_field("/headers", fault)
    if data.id is not UNSET and not is_value(data.id):
        raise invalid_field("/id", "must be visible ASCII characters, with spaces between them only")


class SignatureView(msgspec.Struct, frozen=True):
    """The verdict on the signature of each scheme."""

    verdicts: list[Verdict]


@post("/v1/test/signatures", tags=["Test"], test=True, status_code=200)
async def check_test_signature(
    request: Request,
    data: JSONBody[CheckSignatureRequest],
    store: NamedDependency[Store],
    clock: NamedDependency[StoredClock],
) -> Response[SignatureView]:
    """Says whether a signature is right. If not, it says whether the bytes, the secret, the clock or the headers are wrong:
    it tries the usual mistakes, and the secrets of your endpoints.
    """
    if len({name.lower() for name in data.headers}) < len(data.headers):
        raise invalid_field("/headers", "have a name twice")
    verdicts = await check_signature(store, clock, merchant_of(request), data)
    if not verdicts:
        raise invalid_field("/headers", "have neither X-Signature nor webhook-signature")
    return json_response(msgspec.json.encode(SignatureView(verdicts)))


@post("/v1/test/reset", tags=["Test"], test=True, status_code=200)
async def reset(reset: NamedDependency[Reset]) -> Done:
    """Deletes the charges, refunds, disputes, events, endpoints and keys of every merchant, the faults and the clock. The
    endpoint of the environment is made again. A delivery that is under way meanwhile may still arrive.
    """
    await reset()
    return Done()


class DisputeRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How much of the charge is disputed, and why. Without an amount it is all that is left."""

    amount: Annotated[Amount, Meta(examples=[8999])] | UnsetType = UNSET
    reason: Annotated[str, Meta(pattern=r"\A[a-z0-9_]{1,64}\Z")] = REASON


class CloseDisputeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whether the merchant has won, and keeps the money, or lost."""

    outcome: Annotated[Literal["won", "lost"], Meta(examples=["lost"])]


@post("/v1/test/charges/{charge_id:str}/dispute", tags=["Test"], test=True, problems=["not-disputable", "exceeds-paid"])
async def open_dispute(
    request: Request,
    charge_id: FromPath[str],
    data: JSONBody[DisputeRequest],
    dispute_charge: NamedDependency[DisputeCharge],
) -> Response[wire.Dispute]:
    """Opens a dispute of a charge that has succeeded, as the customer's bank would. An event `dispute.created` follows."""
    amount = None if data.amount is UNSET else data.amount
    return _dispute(await dispute_charge.open(merchant_of(request), charge_id, amount, data.reason), 201)


@post(
    "/v1/test/disputes/{dispute_id:str}/close", tags=["Test"], test=True, status_code=200, problems=["dispute-closed"]
)
async def close_dispute(
    request: Request,
    dispute_id: FromPath[str],
    data: JSONBody[CloseDisputeRequest],
    dispute_charge: NamedDependency[DisputeCharge],
) -> Response[wire.Dispute]:
    """Closes a dispute, as the customer's bank would. An event `dispute.closed` follows. To close it again with the same
    outcome changes nothing.
    """
    return _dispute(await dispute_charge.close(merchant_of(request), dispute_id, data.outcome), 200)


def _dispute(outcome: object, status: int) -> Response[wire.Dispute]:
    """Raises RefusedError."""
    if isinstance(outcome, wire.Dispute):
        return json_response(wire.encode(outcome), status)
    raise RefusedError(outcome)


@get("/v1/test/faults", tags=["Test"], test=True)
async def get_faults(faults: NamedDependency[StoredFaults]) -> Faults:
    """Shows how often each fault happens by itself, for every merchant."""
    return await faults.read()


@put("/v1/test/faults", tags=["Test"], test=True)
async def put_faults(data: JSONBody[Faults], faults: NamedDependency[StoredFaults]) -> Faults:
    """Makes faults happen by themselves, for every merchant, each at a rate. The faults of a request follow from the seed
    and its Idempotency-Key, so that the same happens again. They come in addition to those that the request asks for.
    """
    for name in data.rates:
        if name not in RATED:
            raise invalid_field(f"/rates/{name}", f"not one of {', '.join(RATED)}")
    await faults.replace(data)
    return data


@delete("/v1/test/faults", tags=["Test"], test=True, status_code=200)
async def delete_faults(faults: NamedDependency[StoredFaults]) -> Faults:
    """Sets all rates to none, so that no fault happens by itself."""
    await faults.replace(NO_FAULTS)
    return NO_FAULTS


@get("/v1/test/requests", tags=["Test"], test=True)
async def list_requests(
    request: Request,
    recent: NamedDependency[Recent | None],
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[RecentRequest]]:
    """A page of the latest requests to this process with their answers, newest first, in development only. Secrets are left
    out, and so are the requests of the console itself.
    """
    return recent_page(request, recent, limit, cursor)


TEST_ROUTES = [
    list_requests,
    *CLOCK_ROUTES,
    get_faults,
    put_faults,
    delete_faults,
    send_test_webhook,
    check_test_signature,
    open_dispute,
    close_dispute,
    reset,
]
