"""Where a merchant wants its events delivered. Pure."""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from shared import wire
from shared.ids import new_id
from shared.signing import SECRET_PREFIX, SIGNATURES_MAX

FAILING_MAX = timedelta(days=5)  # Svix's; longer than the retries of one event, and than a long weekend
FAILED_AT_STEP = timedelta(hours=1)  # an endpoint that goes on failing is not written with each attempt
OVERLAP_SECONDS = 86400  # a day to bring the new secret to every instance of a receiver
OVERLAP_SECONDS_MAX = 7 * 86400


class SigningSecret(msgspec.Struct, frozen=True):
    """`expires_at` is None for the current secret; a rotated one signs along until then."""

    value: str
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return "SigningSecret('***')"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint. With no `event_types` it takes all. `secrets` are the current one, then the rotated ones, the
    latest first, those that sign before those that did. `failing_since` is when the first of the attempts was made that have
    all failed, and `failed_at` when the last was, give or take FAILED_AT_STEP.
    """

    id: str = msgspec.field(name="_id")
    merchant: str
    url: str
    event_types: tuple[wire.EventType, ...] = ()
    state: wire.EndpointState = "enabled"
    disabled_reason: wire.DisabledReason | None = None
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    secrets: tuple[SigningSecret, ...]
    created_at: datetime


def new_endpoint(
    merchant: str, url: str, event_types: tuple[wire.EventType, ...], secret: str, *, now: datetime
) -> Endpoint:
    return Endpoint(
        id=new_id("we"),
        merchant=merchant,
        url=url,
        event_types=event_types,
        secrets=(SigningSecret(secret),),
        created_at=now,
    )


def configured_endpoint(merchant: str, url: str, secret: str, *, now: datetime) -> Endpoint:
    """The endpoint that the environment names. Its id follows from its URL, so that every replica means the same. C23"""
    digest = hashlib.sha256(f"{merchant}\0{url}".encode()).hexdigest()
    return Endpoint(
        id=f"we_{digest[:32]}", merchant=merchant, url=url, secrets=(SigningSecret(str(secret)),), created_at=now
    )


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def wants(endpoint: Endpoint, merchant: str, event_type: str) -> bool:
    right_type = not endpoint.event_types or event_type in endpoint.event_types
    return endpoint.state == "enabled" and endpoint.merchant == merchant and right_type


def who_hears(endpoints: Iterable[Endpoint], merchant: str, event_type: str) -> tuple[str, ...]:
    """The ids of those that want such an event."""
    return tuple(one.id for one in endpoints if wants(one, merchant, event_type))


def rotated(endpoint: Endpoint, secret: str, *, overlap: timedelta, now: datetime) -> Endpoint:
    """With `secret` for its current one; the one before signs along for `overlap`. No more are kept than a receiver looks
    at, and of those that sign no longer only what there is room for.
    """
    current, *earlier = endpoint.secrets
    secrets = (SigningSecret(secret), SigningSecret(current.value, now + overlap), *earlier)
    signing_first = sorted(secrets, key=lambda one: one.expires_at is not None and one.expires_at <= now)
    return replace(endpoint, secrets=tuple(signing_first[:SIGNATURES_MAX]))


def signing_secrets(endpoint: Endpoint, *, now: datetime) -> list[str]:
    """Every secret that signs at `now`."""
    return [one.value for one in endpoint.secrets if one.expires_at is None or one.expires_at > now]


def retired_secret(endpoint: Endpoint, *, now: datetime) -> str:
    """The secret that signed last and does no longer; one that never did, always the same, if there is none. One that was
    brought back signs again.
    """
    signing = signing_secrets(endpoint, now=now)
    retired = [one for one in endpoint.secrets if one.expires_at is not None and one.value not in signing]
    if retired:
        return max(retired, key=lambda one: one.expires_at or now).value
    never = hashlib.sha256(f"retired\0{endpoint.id}".encode()).digest()
    return SECRET_PREFIX + base64.b64encode(never).decode()


def disabled(endpoint: Endpoint, reason: wire.DisabledReason) -> Endpoint:
    return replace(endpoint, state="disabled", disabled_reason=reason)


def after_attempt(endpoint: Endpoint, *, delivered: bool, gone: bool, at: datetime, pause_max: timedelta) -> Endpoint:
    """What an attempt made at `at` means for it: it is gone, or failing for too long, or works again. After more than
    `pause_max` without an attempt nobody knows that it was failing all the while: it begins anew.
    """
    if endpoint.state == "disabled":
        return endpoint
    if delivered:
        return replace(endpoint, failing_since=None, failed_at=None) if endpoint.failing_since else endpoint
    since, last = endpoint.failing_since or at, endpoint.failed_at or at
    since = at if at - last > pause_max else min(since, at)
    failing = endpoint
    if since != endpoint.failing_since or endpoint.failed_at is None or at - endpoint.failed_at >= FAILED_AT_STEP:
        failing = replace(endpoint, failing_since=since, failed_at=max(last, at))
    if gone:
        return disabled(failing, "gone")
    return disabled(failing, "failing") if at - since >= FAILING_MAX else failing


def on_the_wire(endpoint: Endpoint) -> wire.WebhookEndpoint:
    """Without its secrets, which are shown to whoever makes them and to nobody else."""
    return wire.WebhookEndpoint(
        id=endpoint.id,
        url=endpoint.url,
        event_types=list(endpoint.event_types),
        state=endpoint.state,
        disabled_reason=endpoint.disabled_reason,
        failing_since=endpoint.failing_since,
        created_at=endpoint.created_at,
    )
