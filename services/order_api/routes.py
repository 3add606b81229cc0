"""HTTP of the outbox, of webhooks and of the stream of changes; and the list of all routes."""

from functools import partial
from typing import Annotated, Literal, TypeAlias, get_args

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from order_api.event import Outcome
from order_api.order_routes import ORDER_ROUTES
from order_api.receive_webhook import ReceiveWebhook
from order_api.redrive_message import RedriveMessage, Redriven
from order_api.refund_routes import REFUND_ROUTES
from order_api.store import Store
from order_api.views import MessageView, message_view, shown, to_json
from shared.edge.auth import merchant_of
from shared.edge.lists import Cursor, Limit, page_response
from shared.edge.problems import RefusedError
from shared.edge.recent import Recent, RecentRequest, recent_page
from shared.edge.requests import header_values, require_no_coding
from shared.edge.responses import json_response
from shared.edge.stream import EVENT_STREAM, stream_hints
from shared.edge.types import Request
from shared.pages import LIMIT_DEFAULT, Page, Paging
from shared.watch import Hint, Watch

WEBHOOKS_PATH = "/api/webhooks/payments"

ListedState: TypeAlias = Literal["ready", "leased", "dead"]


class WebhookReceipt(Struct):
    """The answer to a webhook: what became of its event."""

    outcome: Annotated[Outcome, Meta(examples=["applied"])]


@get("/api/outbox", tags=["Outbox"])
async def list_messages(
    request: Request,
    in_state: Annotated[ListedState | None, QueryParameter(name="state")] = None,  # `state` is Litestar's own
    *,
    paging: NamedDependency[Paging],
) -> Response[Page[MessageView]]:
    """A page of the requests to the provider that are not done. They are listed by order, the newest order first. A request
    in state `dead` waits for a person.
    """
    store: Store = request.app.state.store
    states = [in_state] if in_state else get_args(ListedState)
    found = await store.list_calls(merchant_of(request), states, paging)
    return page_response(request, found, lambda one: to_json(shown(one[1], partial(message_view, one[0]))))


@post(
    "/api/outbox/{message_id:str}/redrive",
    tags=["Outbox"],
    status_code=202,
    response_description="Sent again",
    problems=["not-redrivable"],
)
async def redrive_message(
    request: Request, message_id: FromPath[str], redrive_message: NamedDependency[RedriveMessage]
) -> Response[MessageView]:
    """Sends a dead message again. The provider is asked first what it has, so nothing is done twice."""
    outcome = await redrive_message(merchant_of(request), message_id)
    if isinstance(outcome, Redriven):
        return json_response(to_json(message_view(outcome.order_id, outcome.call)), 202)
    raise RefusedError(outcome)


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
async def receive_payment_webhook(request: Request) -> Response[WebhookReceipt]:
    """Takes an event of the provider, signed in `X-Signature`. The answer is 2xx once it is stored."""
    receive_webhook: ReceiveWebhook = request.app.state.receive_webhook
    require_no_coding(request)
    outcome = await receive_webhook(header_values(request, b"x-signature"), await request.body())
    return json_response(to_json(WebhookReceipt(outcome)), 202 if outcome == "unmatched" else 200)


@get("/api/webhooks/refused", tags=["Webhooks"])
async def list_refused_webhooks(
    request: Request,
    refused_webhooks: NamedDependency[Recent | None],
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[RecentRequest]]:
    """A page of the latest webhooks that this process has refused, newest first, in development only. They are in its memory
    only: a refused webhook is not stored.
    """
    return recent_page(request, refused_webhooks, limit, cursor)


@get("/api/stream", tags=["Orders"], media_type=EVENT_STREAM, response_description="Server-sent events")
async def stream_orders(request: Request, watch: NamedDependency[Watch]) -> Response[Hint]:
    """Says at once which of your orders have changed, by server-sent events `{"id", "version"}`. `event: more` says that
    some were left out. Read the order itself to see what has happened. A comment comes every 15 seconds.
    """
    return stream_hints(request, watch)


ROUTES = [
    *ORDER_ROUTES,
    *REFUND_ROUTES,
    list_messages,
    redrive_message,
    receive_payment_webhook,
    list_refused_webhooks,
    stream_orders,
]
