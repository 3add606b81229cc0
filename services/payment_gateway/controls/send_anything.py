"""Sending a merchant's own words as a webhook: any body, signed with any secret for any time, or not at all. Nothing is
stored, nothing is tried again; what the receiver said is the answer.
"""

from collections.abc import Mapping

import msgspec

from payment_gateway.webhooks.send import Reply, SendWebhook
from shared.ids import new_id
from shared.signing import SecretError, check_secret, sign, sign_standard
from shared.times import utc_now
from shared.tracing import trace_headers


class Anything(msgspec.Struct, frozen=True, kw_only=True):
    """What to send. Without a `secret` it is not signed; without a `timestamp`, in Unix seconds, it is signed for now."""

    url: str
    body: str
    secret: str | None = None
    timestamp: int | None = None
    id: str | None = None
    headers: Mapping[str, str] = {}


class Sent(msgspec.Struct, frozen=True):
    """What went out, and what came back."""

    headers: Mapping[str, str]
    body: str
    reply: Reply


async def send_anything(send: SendWebhook, anything: Anything) -> Sent:
    """The headers asked for replace those that would be sent."""
    body = anything.body.encode()
    given = {name.lower() for name in anything.headers}
    ours = {
        "Content-Type": "application/json",
        "User-Agent": "payment_gateway",
        **_signatures(anything, body),
        **trace_headers(),
    }
    headers = {**{name: value for name, value in ours.items() if name.lower() not in given}, **anything.headers}
    return Sent(headers, anything.body, await send(anything.url, body, headers))


def _signatures(anything: Anything, body: bytes) -> Mapping[str, str]:
    """Both schemes, where the secret allows: that of Standard Webhooks needs one in base64."""
    if anything.secret is None:
        return {}
    timestamp = int(utc_now().timestamp()) if anything.timestamp is None else anything.timestamp
    headers = {"X-Signature": sign(body, [anything.secret], timestamp)}
    try:
        check_secret(anything.secret)
    except SecretError:
        return headers
    return headers | sign_standard(body, [anything.secret], timestamp, anything.id or new_id("evt"))
