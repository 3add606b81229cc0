"""Where a merchant wants its events delivered. Pure."""

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
FAILED_AT_STEP = timedelta(hours=1)  # an endpoint that goes on failing is not written with each attempt
OVERLAP_SECONDS = 86400  # a day to bring the new secret to every instance of a receiver
OVERLAP_SECONDS_MAX = 7 * 86400
ENDPOINTS_MAX = 100  # of a merchant: each event makes so many deliveries at most
IN_FLIGHT_MAX = 64  # deliveries of one endpoint at once: a quarter of all that are, as shares.py has it
EXPIRES_SECONDS_MIN, EXPIRES_SECONDS_MAX = 10, 86400  # time to renew it; a listener that lives on renews it each day
KEYS_MAX = 100  # that one endpoint remembers: of its creation and its rotations within a day


class SigningSecret(Struct, frozen=True):
    """`expires_at` is None for the current secret; a rotated one signs along until then."""

    value: str
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return "SigningSecret('***')"


class Endpoint(Struct, frozen=True, kw_only=True):
    """A webhook endpoint. With no `event_types` it takes all. `secrets` are the current one, then the rotated ones, the
    latest first, those that sign before those that did. `failing_since` is when the first of the attempts was made that have
    all failed, and `failed_at` when the last was, give or take FAILED_AT_STEP.

    `generation` counts what makes it another for those who try to deliver: a new URL, new headers, enabling, disabling.
    `keys` are those of the requests that made it and rotated its secret. `announce` has a mark for each event of it that is
    not announced yet, and `due_at` is when the first of them was made. One that was deleted stays for its keys, until
    `gone_at`.

    `max_in_flight` bounds how many deliveries are under way at once, and `headers` go with each. `expires_at` is the real
    time at which it is deleted, None if never. C24

    `place` is one of the ENDPOINTS_MAX that a merchant has, each for one endpoint: a unique index makes the bound hold
    however many are made at once. One that was deleted has none.
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
    """The merchant has ENDPOINTS_MAX already."""


class PlaceTaken(Struct, frozen=True):
    """Another endpoint of the merchant has been given the place meanwhile."""


class TooManyRotations(Struct, frozen=True):
    """The endpoint remembers KEYS_MAX already."""


class Change(Struct, frozen=True):
    """The fields to change; those that are None stay as they are. An `expires_at` of None makes it stay for good."""

    url: str | None = None
    event_types: tuple[wire.EventType, ...] | None = None
    state: wire.EndpointState | None = None
    max_in_flight: int | None = None
    headers: tuple[Header, ...] | None = None
    expires_at: datetime | UnsetType | None = UNSET

    @property
    def fields(self) -> dict[str, Any]:
        """Those that replace a field of the endpoint as they are."""
        given = {name: getattr(self, name) for name in ("url", "event_types", "max_in_flight", "headers")}
        lasting = {} if self.expires_at is UNSET else {"expires_at": self.expires_at}
        return {name: value for name, value in given.items() if value is not None} | lasting


def new_endpoint(merchant: str, url: str, secret: str, *, now: datetime) -> Endpoint:
    return Endpoint(id=new_id("we"), merchant=merchant, url=url, secrets=(SigningSecret(secret),), created_at=now)


def configured_endpoint(merchant: str, url: str, secret: str, *, now: datetime) -> Endpoint:
    """The endpoint that the environment names. Its id follows from its URL, so that every replica means the same. C23"""
    digest = hashlib.sha256(f"{merchant}\0{url}".encode()).hexdigest()
    return replace(new_endpoint(merchant, url, str(secret), now=now), id=f"we_{digest[:32]}")


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def wants(endpoint: Endpoint, merchant: str, event_type: str) -> bool:
    right_type = not endpoint.event_types or event_type in endpoint.event_types
    takes_any = endpoint.state == "enabled" and endpoint.deleted_at is None
    return takes_any and endpoint.merchant == merchant and right_type


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


def rotate(
    endpoint: Endpoint | None, secret: str, key: Key, *, overlap: timedelta, now: datetime, read_at: datetime | None
) -> Verdict[Endpoint, Answer | KeyReused | NotFound | TooManyRotations]:
    """Gives it a secret, with the key of the request. `read_at` is the server's time of the read."""
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
    """The endpoint after the change. Enabling it forgets why it was disabled. Enabling it, a new URL and new headers each
    forget that it failed.
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


def deleted(endpoint: Endpoint | None, merchant: str, *, at: datetime) -> Verdict[Endpoint, bool]:
    """Whether the merchant had one. `at` is real time. It stays, shown to nobody, until the last of its keys has expired: a
    request that comes again then is answered as it was, and makes no second endpoint.
    """
    if endpoint is None or endpoint.merchant != merchant:
        return Verdict(answer=False, found=True)
    if endpoint.deleted_at is not None:
        return Verdict(answer=endpoint.deleted_at == at, found=True)
    gone_at = max([at, *(key.expires_at for key in endpoint.keys)])
    after = replace(endpoint, generation=endpoint.generation + 1, deleted_at=at, gone_at=gone_at, place=UNSET)
    return Verdict(answer=True, after=replace(after, headers=(), expires_at=None))


def expired(endpoint: Endpoint | None, *, read_at: datetime | None, at: datetime) -> Verdict[Endpoint, bool]:
    """Deletes an endpoint whose time is over, and says whether it was deleted so. One that was renewed meanwhile stays.
    `read_at` is the server's time of the read, and `at` is real time too.
    """
    if endpoint is None or read_at is None:
        return Verdict(answer=False, found=True)
    if endpoint.deleted_at is None and (endpoint.expires_at is None or endpoint.expires_at > read_at):
        return Verdict(answer=False, found=True)
    return deleted(endpoint, endpoint.merchant, at=at)


def announced(endpoint: Endpoint, ids: Collection[str]) -> Endpoint:
    """The endpoint when these of its marks have been announced."""
    left = without(endpoint.announce, ids)
    return replace(endpoint, announce=left, due_at=endpoint.due_at if left else None)


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
    return convert(endpoint, wire.WebhookEndpoint, from_attributes=True)
