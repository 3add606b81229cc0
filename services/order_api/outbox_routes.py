"""HTTP of the outbox: what is asked of the provider for a merchant, and sending a dead letter again."""

from typing import Annotated, Any, Literal, assert_never, get_args

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from order_api.outbox import REDRIVES_MAX, Message, State
from order_api.redrive_message import NoSuchMessage, NotRedrivable, RedriveMessage
from order_api.store import Store
from order_api.views import MessageView, message_view, to_json
from shared.edge.auth import merchant_of
from shared.edge.problems import ProblemError
from shared.edge.responses import json_response
from shared.pages import LIMIT_DEFAULT, LIMIT_MAX, Page, at_and_id, cut, decode_cursor


@get("/api/outbox", tags=["Outbox"])
async def list_messages(
    request: Request[Any, Any, Any],
    store: NamedDependency[Store],
    in_state: Annotated[State | Literal[""], QueryParameter(name="state")] = "",  # `state` is Litestar's own
    limit: Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    cursor: Annotated[str | None, QueryParameter(max_length=512)] = None,
) -> Response[Page[MessageView]]:
    """A page of the requests to the provider, newest first. Those in state `dead` wait for a person."""
    before = decode_cursor(cursor) if cursor else None
    states = [in_state] if in_state else get_args(State)
    found = await store.list_messages(merchant_of(request), states, before=before, limit=limit + 1)
    page, following = cut(found, limit, lambda message: at_and_id(message.created_at, message.id))
    return json_response(to_json(Page([message_view(message) for message in page], following)))


@post(
    "/api/outbox/{message_id:str}/redrive",
    tags=["Outbox"],
    status_code=202,
    response_description="Sent again",
    problems=["not-found", "not-redrivable"],
)
async def redrive_message(
    request: Request[Any, Any, Any],
    message_id: FromPath[str],
    redrive_message: NamedDependency[RedriveMessage],
) -> Response[MessageView]:
    """Has a dead message sent again. The provider is asked first what it has, so nothing is done twice."""
    match await redrive_message(merchant_of(request), message_id):
        case Message() as message:
            return json_response(to_json(message_view(message)), 202)
        case NoSuchMessage():
            raise ProblemError("not-found", "no such message")
        case NotRedrivable(message):
            raise ProblemError("not-redrivable", _why_not(message))
        case outcome:
            assert_never(outcome)


def _why_not(message: Message) -> str:
    if message.state != "dead":
        return f"it is {message.state}"
    return f"it was redriven {message.redrives} times already" if message.redrives >= REDRIVES_MAX else ""


OUTBOX_ROUTES = [list_messages, redrive_message]
