"""Sends any body of a merchant as a webhook, signed with any secret for any time, or not signed. It stores nothing and never
tries again. The receiver's reply is in the answer.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from payment_gateway.webhooks.send import USUAL_HEADERS, Reply, SendWebhook
from payment_gateway.webhooks.target import URL_LENGTH_MAX
from shared.ids import new_id
from shared.signing import SecretError, check_secret, sign, sign_standard
from shared.times import utc_now
from shared.tracing import trace_headers

_JSON = msgspec.json.Encoder(decimal_format="number")  # writes numbers as they came

Headers = Annotated[dict[str, Annotated[str, Meta(max_length=4096)]], Meta(max_length=50)]


class SendWebhookRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A webhook to send: `body` goes unchanged if it is a string, otherwise as JSON. `secret` may be any string. Without one
    nothing is signed; Standard Webhooks needs a proper one. `timestamp` is in Unix seconds. `headers` replace those that
    would be sent.
    """

    url: Annotated[str, Meta(max_length=URL_LENGTH_MAX, examples=["http://127.0.0.1:9000/hooks"])]
    body: Annotated[Any, Meta(examples=[{"id": "evt_mine", "type": "payment.succeeded"}])]
    secret: Annotated[str, Meta(max_length=255, examples=["a-secret-of-yours"])] | UnsetType = UNSET
    timestamp: Annotated[int, Meta(ge=-(10**12), le=10**12, examples=[1614265330])] | UnsetType = UNSET
    id: Annotated[str, Meta(max_length=255, examples=["evt_mine"])] | UnsetType = UNSET
    headers: Annotated[Headers, Meta(examples=[{"X-Mine": "1"}])] = {}


class Sent(msgspec.Struct, frozen=True):
    """The request as it was sent."""

    headers: Annotated[Mapping[str, str], Meta(examples=[{"X-Mine": "1"}])]
    body: Annotated[str, Meta(examples=['{"id":"evt_mine","type":"payment.succeeded"}'])]


async def send_anything(send: SendWebhook, asked: SendWebhookRequest) -> tuple[Sent, Reply]:
    """Returns the request and the reply."""
    text = asked.body if isinstance(asked.body, str) else _JSON.encode(asked.body).decode()
    body = text.encode()
    given = {name.lower() for name in asked.headers}
    ours = {**USUAL_HEADERS, **_signatures(asked, body), **trace_headers()}
    headers = {**{name: value for name, value in ours.items() if name.lower() not in given}, **asked.headers}
    return Sent(headers, text), await send(asked.url, body, headers)


def _signatures(asked: SendWebhookRequest, body: bytes) -> Mapping[str, str]:
    """The headers of both schemes, as far as the secret allows: Standard Webhooks needs one in base64. They are for now,
    unless a `timestamp` says otherwise.
    """
    if asked.secret is UNSET:
        return {}
    timestamp = int(utc_now().timestamp()) if asked.timestamp is UNSET else asked.timestamp
    headers = {"X-Signature": sign(body, [asked.secret], timestamp)}
    try:
        check_secret(asked.secret)
    except SecretError:
        return headers
    return headers | sign_standard(body, [asked.secret], timestamp, asked.id or new_id("evt"))
