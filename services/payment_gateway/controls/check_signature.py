"""Checks a signature for a developer who looks for a bug: says whether it is right, and if not, which mistake was made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.controls.send_anything import Headers
from payment_gateway.controls.signature_mistakes import Verdict, judge
from payment_gateway.store import Store
from payment_gateway.webhooks.endpoint import Endpoint, SigningSecret
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared.times import utc_now

TIME_MAX = 10**14  # milliseconds have fewer digits


class CheckSignatureRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A signature to check: `body` as it came, `secret` as it is configured, the `headers` of one scheme or both, and `at`,
    the time of the check in Unix seconds, by default now.
    """

    body: str
    secret: Annotated[str, Meta(min_length=1, max_length=255)]
    headers: Headers
    at: Annotated[int, Meta(ge=0, le=TIME_MAX)] | UnsetType = UNSET


async def check_signature(
    store: Store, clock: StoredClock, merchant: str, asked: CheckSignatureRequest
) -> list[Verdict]:
    """One verdict for each scheme that has headers here. Raises PyMongoError."""
    headers = {name.lower(): value.strip() for name, value in asked.headers.items()}
    at = int(utc_now().timestamp()) if asked.at is UNSET else asked.at
    others = await _own_secrets(store, clock, merchant)
    return judge(asked.body.encode(), asked.secret, headers, at=at, others=others)


async def _own_secrets(store: Store, clock: StoredClock, merchant: str) -> Mapping[str, str]:
    """Every secret of the merchant's endpoints, with words that say which it is."""
    now, secrets = await clock.now(), dict[str, str]()
    for endpoint in await find_endpoints(store, {"merchant": merchant}):
        for one in endpoint.secrets:
            secrets.setdefault(one.value, _whose(endpoint, one, now))
    return secrets


def _whose(endpoint: Endpoint, secret: SigningSecret, now: datetime) -> str:
    if secret.expires_at is None:
        return f"the current one of {endpoint.id}"
    still_signs = secret.expires_at > now
    return f"an earlier one of {endpoint.id}, which {'still signs' if still_signs else 'no longer signs'}"
