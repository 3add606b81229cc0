"""Where a merchant wants its events delivered. Pure."""

import base64
import hashlib
from datetime import datetime
from typing import Literal

import msgspec

from shared.signing import SECRET_PREFIX


class SigningSecret(msgspec.Struct, frozen=True):
    """`expires_at` is None for the current secret; a rotated one signs along until then."""

    value: str
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return "SigningSecret('***')"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint. With no `event_types` it takes all. `held` are deliveries that wait for its next event."""

    id: str = msgspec.field(name="_id")
    merchant: str
    url: str
    event_types: tuple[str, ...] = ()
    state: Literal["enabled", "disabled"] = "enabled"
    secrets: tuple[SigningSecret, ...]
    held: tuple[str, ...] = ()
    created_at: datetime


def configured_endpoint(merchant: str, url: str, secret: str, *, now: datetime) -> Endpoint:
    """The endpoint that the environment names. Its id follows from its URL, so that every replica means the same. C23"""
    digest = hashlib.sha256(f"{merchant}\0{url}".encode()).hexdigest()
    return Endpoint(
        id=f"we_{digest[:32]}", merchant=merchant, url=url, secrets=(SigningSecret(str(secret)),), created_at=now
    )


def wants(endpoint: Endpoint, merchant: str, event_type: str) -> bool:
    right_type = not endpoint.event_types or event_type in endpoint.event_types
    return endpoint.state == "enabled" and endpoint.merchant == merchant and right_type


def signing_secrets(endpoint: Endpoint, *, now: datetime) -> list[str]:
    """Every secret that signs at `now`."""
    return [one.value for one in endpoint.secrets if one.expires_at is None or one.expires_at > now]


def retired_secret(endpoint: Endpoint, *, now: datetime) -> str:
    """The secret that expired last; where none ever did, one that was never valid."""
    expired = [one for one in endpoint.secrets if one.expires_at is not None and one.expires_at <= now]
    if expired:
        return max(expired, key=lambda one: one.expires_at or now).value
    return SECRET_PREFIX + base64.b64encode(hashlib.sha256(endpoint.id.encode()).digest()).decode()
