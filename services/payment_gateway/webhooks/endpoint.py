"""A webhook endpoint: the address at which a merchant wants its events. Pure."""

import base64
import hashlib
import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from msgspec import UNSET, Struct, UnsetType, convert, field
from msgspec.structs import replace

from payment_gateway.webhooks.event import Mark, without
from payment_gateway.webhooks.header import Header
from shared import wire
from shared.documents import Verdict
from shared.idempotency import Answer, Key, KeyReused, entry_of, live
from shared.ids import new_id
from shared.not_found import NotFound
from shared.signing import SECRET_PREFIX, SIGNATURES_MAX

FAILING_MAX = timedelta(days=5)  # Svix's; longer than the retries of one event, and than a long weekend
FAILED_AT_STEP = timedelta(hours=1)  # so that an endpoint that goes on failing is not written at each attempt
OVERLAP_SECONDS = 86400  # a day, to bring the new secret to every instance of a receiver
OVERLAP_SECONDS_MAX = 7 * 86400
GONE_AFTER = timedelta(hours=1)  # or later: a delivery under way still finds it, and marks are announced
ENDPOINTS_MAX = 100  # for one merchant: an event makes no more deliveries
IN_FLIGHT_MAX = 64  # deliveries to one endpoint at once: a quarter of all slots, as in shares.py
EXPIRES_SECONDS_MIN, EXPIRES_SECONDS_MAX = 10, 86400  # long enough to renew it; a running listener renews it in time
KEYS_MAX = 100  # that one endpoint remembers: of its creation, and of its rotations within a day


class SigningSecret(Struct, frozen=True):
    """A secret that signs. `expires_at` is None for the current one; a rotated one signs too until then."""

    value: str
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return "SigningSecret('***')"


class Endpoint(Struct, frozen=True, kw_only=True):
    """A webhook endpoint. An empty `event_types` means all. `secrets` has the current one, then the rotated ones, the latest
    first, with those that still sign before the others. If all recent attempts failed, `failing_since` is the time of the
    first of them and `failed_at` that of the last, give or take FAILED_AT_STEP.

    `generation` counts the changes after which earlier attempts say nothing: a new URL, new headers, enabling, disabling.
    `keys` are those of the requests that made it and rotated its secret. `announce` has a mark for each of its events that
    is not announced yet, and `due_at` is when the first of them was made. A deleted endpoint stays until `gone_at`.

    `max_in_flight` bounds the deliveries under way at once, and `headers` go with each. `expires_at` is the real time at
    which it is deleted, or None. C24: the test clock does not move it.

    `place` is one of a merchant's ENDPOINTS_MAX places. A unique index gives each to one endpoint, so the bound holds
    however many are added at once. A deleted endpoint has no place.
    """

    id: str = field(name="_id")
    merchant: str
    url: str
    event_types: tuple[wire.EventType, ...] = ()
    state: wire.EndpointState = "enabled"
    disabled_reason: wire.DisabledReason | None = None
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    max_in_flight: int = IN_FLIGHT_MAX
    headers: tuple[Header, ...] = ()
    expires_at: datetime | None = None
    secrets: tuple[SigningSecret, ...]
    created_at: datetime
    generation: int = 0
    keys: tuple[Key, ...] = ()
    announce: tuple[Mark, ...] = ()
    due_at: datetime | None = None
    deleted_at: datetime | None = None
    gone_at: datetime | None = None
    place: int | UnsetType = UNSET
    version: int = 0

    @property
    def header_names(self) -> list[str]:
        return [one.name for one in self.headers]


class TooManyEndpoints(Struct, frozen=True):
    """The merchant already has ENDPOINTS_MAX."""


class PlaceTaken(Struct, frozen=True):
    """Another endpoint of the merchant has taken the place meanwhile."""


class TooManyRotations(Struct, frozen=True):
    """The endpoint already remembers KEYS_MAX."""


class Change(Struct, frozen=True):
    """The fields to change. Those that are None stay as they are; an `expires_at` of None means that it never expires."""

    url: str | None = None
    event_types: tuple[wire.EventType, ...] | None = None
    state: wire.EndpointState | None = None
    max_in_flight: int | None = None
    headers: tuple[Header, ...] | None = None
    expires_at: datetime | UnsetType | None = UNSET

    @property
    def fields(self) -> dict[str, Any]:
        """The changes that replace a field of the endpoint directly."""
        given = {name: getattr(self, name) for name in ("url", "event_types", "max_in_flight", "headers")}
        lasting = {} if self.expires_at is UNSET else {"expires_at": self.expires_at}
        return {name: value for name, value in given.items() if value is not None} | lasting


def new_endpoint(merchant: str, url: str, secret: str, *, now: datetime) -> Endpoint:
    return Endpoint(id=new_id("we"), merchant=merchant, url=url, secrets=(SigningSecret(secret),), created_at=now)


def configured_endpoint(merchant: str, url: str, secret: str, *, now: datetime) -> Endpoint:
    """The endpoint named in the environment. C23: its id follows from its URL, so all replicas make the same one."""
    digest = hashlib.sha256(f"{merchant}\0{url}".encode()).hexdigest()
    return replace(new_endpoint(merchant, url, str(secret), now=now), id=f"we_{digest[:32]}")


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def wants(endpoint: Endpoint, merchant: str, event_type: str) -> bool:
    right_type = not endpoint.event_types or event_type in endpoint.event_types
    takes_any = endpoint.state == "enabled" and endpoint.deleted_at is None
    return takes_any and endpoint.merchant == merchant and right_type


def who_hears(endpoints: Iterable[Endpoint], merchant: str, event_type: str) -> tuple[str, ...]:
    """The ids of the endpoints that want such an event."""
    return tuple(one.id for one in endpoints if wants(one, merchant, event_type))


def rotated(endpoint: Endpoint, secret: str, *, overlap: timedelta, now: datetime) -> Endpoint:
    """The endpoint with `secret` as its current one; the old one signs too for `overlap`. It keeps no more secrets than a
    receiver accepts signatures, and drops those first that no longer sign.
    """
    current, *earlier = endpoint.secrets
    secrets = (SigningSecret(secret), SigningSecret(current.value, now + overlap), *earlier)
    signing_first = sorted(secrets, key=lambda one: one.expires_at is not None and one.expires_at <= now)
    return replace(endpoint, secrets=tuple(signing_first[:SIGNATURES_MAX]))


def rotate(
    endpoint: Endpoint | None, secret: str, key: Key, *, overlap: timedelta, now: datetime, read_at: datetime | None
) -> Verdict[Endpoint, Answer | KeyReused | NotFound | TooManyRotations]:
    """Gives it a secret, and stores the key of the request. `read_at` is the server's time of the read."""
    if endpoint is None or read_at is None or endpoint.deleted_at is not None:
        return Verdict(NotFound("webhook endpoint"), found=True)
    if key in endpoint.keys:  # our own effect
        return Verdict(key.answer, found=True)
    keys = live(endpoint.keys, read_at)
    if known := entry_of(keys, key.value):
        return Verdict(known.replayed_for(key), found=True)
    if len(keys) >= KEYS_MAX:
        return Verdict(TooManyRotations(), found=True)
    return Verdict(key.answer, replace(rotated(endpoint, secret, overlap=overlap, now=now), keys=(*keys, key)))


def changed(endpoint: Endpoint | None, merchant: str, change: Change) -> Verdict[Endpoint, Endpoint | NotFound]:
    """The changed endpoint. Enabling it clears the reason why it was disabled. Enabling, a new URL and new headers each
    clear its failures.
    """
    if endpoint is None or endpoint.merchant != merchant or endpoint.deleted_at is not None:
        return Verdict(NotFound("webhook endpoint"), found=True)
    after = replace(endpoint, **change.fields)
    if change.state == "disabled":
        after = disabled(after, "merchant")
    if change.state == "enabled":
        after = replace(after, state="enabled", disabled_reason=None)
    is_called_anew = change.url is not None or change.headers is not None
    if change.state == "enabled" or is_called_anew:
        after = replace(after, failing_since=None, failed_at=None)
    if change.state is not None or is_called_anew:
        after = replace(after, generation=endpoint.generation + 1)
    return Verdict(after, after if after != endpoint else None, found=True)


def deleted(
    endpoint: Endpoint | None, merchant: str, *, read_at: datetime | None, at: datetime
) -> Verdict[Endpoint, bool]:
    """Deletes an endpoint, and says whether the merchant had it. `read_at` is the server's time of the read; `at` is real
    time too. The document stays, shown to nobody, for GONE_AFTER and until its last key has expired. A repeated request then
    gets its first answer, and makes no second endpoint.
    """
    if endpoint is None or read_at is None or endpoint.merchant != merchant:
        return Verdict(answer=False, found=True)
    if endpoint.deleted_at is not None:
        return Verdict(answer=endpoint.deleted_at == at, found=True)
    gone_at = max([read_at + GONE_AFTER, *(key.expires_at for key in endpoint.keys)])
    after = replace(endpoint, generation=endpoint.generation + 1, deleted_at=at, gone_at=gone_at, place=UNSET)
    return Verdict(answer=True, after=replace(after, headers=(), expires_at=None))


def expired(endpoint: Endpoint | None, *, read_at: datetime | None, at: datetime) -> Verdict[Endpoint, bool]:
    """Deletes an endpoint whose time is over, and says whether it did. One that was renewed meanwhile stays."""
    if endpoint is None or read_at is None:
        return Verdict(answer=False, found=True)
    if endpoint.deleted_at is None and (endpoint.expires_at is None or endpoint.expires_at > read_at):
        return Verdict(answer=False, found=True)
    return deleted(endpoint, endpoint.merchant, read_at=read_at, at=at)


def announced(endpoint: Endpoint, ids: Collection[str]) -> Endpoint:
    """The endpoint after these of its marks have been announced."""
    left = without(endpoint.announce, ids)
    return replace(endpoint, announce=left, due_at=endpoint.due_at if left else None)


def signing_secrets(endpoint: Endpoint, *, now: datetime) -> list[str]:
    """Every secret that signs at `now`."""
    return [one.value for one in endpoint.secrets if one.expires_at is None or one.expires_at > now]


def retired_secret(endpoint: Endpoint, *, now: datetime) -> str:
    """The secret that stopped signing last. If there is none, a fixed secret that never signed. A secret that was brought
    back signs again.
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
    """The endpoint after an attempt made at `at`: it is gone, has failed for too long, or works. After a pause of more than
    `pause_max` without attempts nobody knows whether it failed all the time, so failing starts anew.
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
    """The endpoint without its secrets, which are shown only in the answer to the request that made them."""
    return convert(endpoint, wire.WebhookEndpoint, from_attributes=True)
