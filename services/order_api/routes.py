"""HTTP of all that is not about one order: the outbox, webhooks, health. All routes, and what errors are answered."""

from functools import partial
from typing import Annotated, Any, Literal, TypeAlias, assert_never

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from order_api.calls import REDRIVES_MAX, Call
from order_api.event import NotAnEventError, Outcome
from order_api.order_routes import ORDER_ROUTES
from order_api.receive_webhook import ReceiveWebhook
from order_api.redrive_message import NoSuchMessage, NotRedrivable, RedriveMessage, Redriven
from order_api.refund_routes import REFUND_ROUTES
from order_api.store import NoSuchOrderError, Store
from order_api.views import MessageView, message_view, shown, state_of, to_json
from shared.edge.auth import merchant_of
from shared.edge.lists import CreatedFrom, CreatedTo, Cursor, Limit, created_between, page_response, position_after
from shared.edge.problems import ProblemError, Table, invalid_field
from shared.edge.recent import Recent, RecentRequest, recent_page
from shared.edge.requests import header_values, require_no_coding
from shared.edge.responses import json_response
from shared.edge.stream import EVENT_STREAM, stream_hints
from shared.money import AmountError, CurrencyError
from shared.pages import LIMIT_DEFAULT, Page
from shared.signing import SignatureError
from shared.watch import Hint, Watch

PROBLEMS: Table = {
    NoSuchOrderError: lambda _: ProblemError("not-found", "no such order"),
    AmountError: lambda error: invalid_field("/amount", str(error)),
    CurrencyError: lambda error: invalid_field("/currency", str(error)),
    SignatureError: lambda _: ProblemError("invalid-signature"),
    NotAnEventError: lambda error: ProblemError("malformed-json", f"not an event: {error}"),
}

WEBHOOKS_PATH = "/api/webhooks/payments"

ListedState: TypeAlias = Literal["ready", "leased", "dead"]


class WebhookReceipt(Struct):
    """What became of an event."""

    outcome: Annotated[Outcome, Meta(examples=["applied"])]


@get("/api/outbox", tags=["Outbox"])
async def list_messages(
    request: Request[Any, Any, Any],
    store: NamedDependency[Store],
    in_state: Annotated[ListedState | None, QueryParameter(name="state")] = None,  # `state` is Litestar's own
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[MessageView]]:
    """A page of the requests to the provider that are not done, by order, the newest order first. One in state `dead` waits
    for a person.
    """
    before = position_after(request, cursor)
    states = [in_state] if in_state else ["ready", "leased", "dead"]
    created = created_between(created_from, created_to)
    found, following = await store.list_calls(merchant_of(request), states, created=created, before=before, limit=limit)
    messages = [to_json(shown(call, partial(message_view, order_id))) for order_id, call in found]
    return page_response(request, messages, following)


@post(
    "/api/outbox/{message_id:str}/redrive",
    tags=["Outbox"],
    status_code=202,
    response_description="Sent again",
    problems=["not-redrivable"],
)
async def redrive_message(
    request: Request[Any, Any, Any], message_id: FromPath[str], redrive_message: NamedDependency[RedriveMessage]
) -> Response[MessageView]:
    """Has a dead message sent again. The provider is asked first what it has, so nothing is done twice."""
    match await redrive_message(merchant_of(request), message_id):
        case Redriven(order_id, call):
            return json_response(to_json(message_view(order_id, call)), 202)
        case NoSuchMessage():
            raise ProblemError("not-found", "no such message")
        case NotRedrivable(call):
            raise ProblemError("not-redrivable", _why_not(call))
        case outcome:
            assert_never(outcome)


@post(
    WEBHOOKS_PATH,
    tags=["Webhooks"],
    public=True,
    raw_body=True,
    any_query=True,  # the provider calls what it was given, a token in the query and all
    status_code=200,
    response_description="Stored",
    responses={202: ResponseSpec(WebhookReceipt, description="Stored; of no order", generate_examples=False)},
    problems=["invalid-signature", "malformed-json", "unsupported-media-type", "body-too-large", "unavailable"],
)
async def receive_payment_webhook(request: Request[Any, Any, Any]) -> Response[WebhookReceipt]:
    """Takes an event of the provider, signed in `X-Signature`. 2xx means stored."""
    receive_webhook: ReceiveWebhook = request.app.state.receive_webhook
    require_no_coding(request)
    outcome = await receive_webhook(header_values(request, b"x-signature"), await request.body())
    return json_response(to_json(WebhookReceipt(outcome)), 202 if outcome == "unmatched" else 200)


@get("/api/webhooks/refused", tags=["Webhooks"])
async def list_refused_webhooks(
    request: Request[Any, Any, Any],
    refused_webhooks: NamedDependency[Recent | None],
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[RecentRequest]]:
    """A page of the latest webhooks that this process has refused, newest first, in development only. What is refused is
    stored nowhere.
    """
    return recent_page(request, refused_webhooks, limit, cursor)


@get("/api/stream", tags=["Orders"], media_type=EVENT_STREAM, response_description="Server-sent events")
async def stream_orders(request: Request[Any, Any, Any], watch: NamedDependency[Watch]) -> Response[Hint]:
    """Says which of your orders have changed, as it happens: server-sent events `{"id", "version"}`, and `event: more` where
    some were left out. Read the order itself for what has happened. A comment comes every 15 seconds.
    """
    return stream_hints(request, watch)


def _why_not(call: Call) -> str:
    if call.state != "dead":
        return f"it is {state_of(call)}"
    return f"it was redriven {call.redrives} times already" if call.redrives >= REDRIVES_MAX else ""


ROUTES = [
    *ORDER_ROUTES,
    *REFUND_ROUTES,
    list_messages,
    redrive_message,
    receive_payment_webhook,
    list_refused_webhooks,
    stream_orders,
]
