"""HTTP under /v1/test: what no real provider lets its merchants do. Refused unless PAYMENT_GATEWAY_TEST_ENDPOINTS."""

from typing import Annotated, Any, Literal, assert_never

import msgspec
from litestar import Request, Response, delete, get, post, put
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
from payment_gateway.money import dispute_charge as disputes
from payment_gateway.money.charge import ExceedsCharge, NoSuchCharge
from payment_gateway.money.dispute import REASON
from payment_gateway.money.dispute_charge import (
    ClosedOtherwise,
    DisputeCharge,
    NoSuchDispute,
    NotDisputable,
    TooManyDisputes,
)
from payment_gateway.money.routes import Amount
from payment_gateway.store import Store
from payment_gateway.webhooks.destination import Destinations
from payment_gateway.webhooks.header import fault_of, is_value
from payment_gateway.webhooks.send import SendWebhook
from shared import wire
from shared.edge.admit import release
from shared.edge.auth import merchant_of
from shared.edge.lists import Cursor, Limit
from shared.edge.problems import ProblemError, invalid_field
from shared.edge.recent import Recent, RecentRequest, recent_page
from shared.edge.responses import json_response
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
    request: Request[Any, Any, Any],
    data: JSONBody[SendWebhookRequest],
    destinations: NamedDependency[Destinations],
    send_once: NamedDependency[SendWebhook],
) -> Response[WebhookReplyView]:
    """Sends any body to a URL, once, signed with any secret for any time, and answers what the receiver said."""
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
    """What types alone cannot say. Raises ProblemError."""
    if fault := fault_of(data.headers):
        raise invalid_field("/headers", fault)
    if data.id is not UNSET and not is_value(data.id):
        raise invalid_field("/id", "must be visible ASCII characters, with spaces between them only")


class SignatureView(msgspec.Struct, frozen=True):
    """What is to be said about the signature of each scheme."""

    verdicts: list[Verdict]


@post("/v1/test/signatures", tags=["Test"], test=True, status_code=200)
async def check_test_signature(
    request: Request[Any, Any, Any],
    data: JSONBody[CheckSignatureRequest],
    store: NamedDependency[Store],
    clock: NamedDependency[StoredClock],
) -> Response[SignatureView]:
    """Says whether a signature is right, and if not, whether the bytes, the secret, the clock or the headers are wrong. It
    tries the usual mistakes, and the secrets of your endpoints.
    """
    if len({name.lower() for name in data.headers}) < len(data.headers):
        raise invalid_field("/headers", "have a name twice")
    verdicts = await check_signature(store, clock, merchant_of(request), data)
    if not verdicts:
        raise invalid_field("/headers", "have neither X-Signature nor webhook-signature")
    return json_response(msgspec.json.encode(SignatureView(verdicts)))


@post("/v1/test/reset", tags=["Test"], test=True, status_code=200)
async def reset(reset: NamedDependency[Reset]) -> Done:
    """Empties the database of every merchant's charges, refunds, disputes, events, endpoints, keys, faults and clock. The
    endpoint of the environment comes back. What is in hand while it runs may be told afterwards.
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
    request: Request[Any, Any, Any],
    charge_id: FromPath[str],
    data: JSONBody[DisputeRequest],
    dispute_charge: NamedDependency[DisputeCharge],
) -> Response[wire.Dispute]:
    """Opens a dispute of a charge that has succeeded, as the customer's bank would. `dispute.created` says so."""
    amount = None if data.amount is UNSET else data.amount
    return _dispute(await dispute_charge.open(merchant_of(request), charge_id, amount, data.reason), 201)


@post(
    "/v1/test/disputes/{dispute_id:str}/close", tags=["Test"], test=True, status_code=200, problems=["dispute-closed"]
)
async def close_dispute(
    request: Request[Any, Any, Any],
    dispute_id: FromPath[str],
    data: JSONBody[CloseDisputeRequest],
    dispute_charge: NamedDependency[DisputeCharge],
) -> Response[wire.Dispute]:
    """Closes a dispute, as the customer's bank would. `dispute.closed` says so. What is closed so already stays as it is."""
    return _dispute(await dispute_charge.close(merchant_of(request), dispute_id, data.outcome), 200)


def _dispute(outcome: wire.Dispute | disputes.Refusal, status: int) -> Response[wire.Dispute]:
    """Raises ProblemError."""
    match outcome:
        case wire.Dispute():
            return json_response(wire.encode(outcome), status)
        case NoSuchCharge():
            raise ProblemError("not-found", "no such charge")
        case NoSuchDispute():
            raise ProblemError("not-found", "no such dispute")
        case NotDisputable(charge_status):
            raise ProblemError("not-disputable", f"the charge is {charge_status}")
        case TooManyDisputes():
            raise ProblemError("not-disputable", f"the charge has {disputes.DISPUTES_MAX} disputes already")
        case ExceedsCharge(left):
            raise ProblemError("exceeds-paid", f"{left} of the charge is left to dispute")
        case ClosedOtherwise(closed_status):
            raise ProblemError("dispute-closed", f"it is {closed_status}")
        case _:
            assert_never(outcome)


@get("/v1/test/faults", tags=["Test"], test=True)
async def get_faults(faults: NamedDependency[StoredFaults]) -> Faults:
    """How often what goes wrong by itself, for every merchant."""
    return await faults.read()


@put("/v1/test/faults", tags=["Test"], test=True)
async def put_faults(data: JSONBody[Faults], faults: NamedDependency[StoredFaults]) -> Faults:
    """Makes things go wrong by themselves, for every merchant: a rate for each fault, and a seed. What goes wrong with a
    request follows from the seed and its Idempotency-Key, so that the same happens again. It adds to what the request asks
    for.
    """
    for name in data.rates:
        if name not in RATED:
            raise invalid_field(f"/rates/{name}", f"not one of {', '.join(RATED)}")
    await faults.replace(data)
    return data


@delete("/v1/test/faults", tags=["Test"], test=True, status_code=200)
async def delete_faults(faults: NamedDependency[StoredFaults]) -> Faults:
    """Nothing goes wrong by itself any more."""
    await faults.replace(NO_FAULTS)
    return NO_FAULTS


@get("/v1/test/requests", tags=["Test"], test=True)
async def list_requests(
    request: Request[Any, Any, Any],
    recent: NamedDependency[Recent | None],
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[RecentRequest]]:
    """A page of the latest requests to this process with their answers, newest first, in development only. Their secrets
    are left out, and what the console itself has read.
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
