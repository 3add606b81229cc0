"""Changing a webhook endpoint, and removing it. What is pending for one that is disabled or gone is cancelled when due."""

from collections.abc import Mapping
from typing import Any

import msgspec
from pymongo import ReturnDocument

from payment_gateway.store import Store
from payment_gateway.webhooks.endpoint import Endpoint
from shared import wire


class Change(msgspec.Struct, frozen=True):
    """What is to be otherwise; None leaves it."""

    url: str | None = None
    event_types: tuple[wire.EventType, ...] | None = None
    state: wire.EndpointState | None = None


async def change_endpoint(store: Store, merchant: str, endpoint_id: str, change: Change) -> Endpoint | None:
    """The endpoint after the change; None if there is none. Enabling it forgets why it was disabled, and both that and a
    new URL that it failed.
    """
    condition = {"_id": endpoint_id, "merchant": merchant}
    if not (fields := _fields(change)):
        found = await store.webhook_endpoints.find_one(condition)
    else:
        found = await store.webhook_endpoints.find_one_and_update(
            condition, {"$set": fields}, return_document=ReturnDocument.AFTER
        )
    return msgspec.convert(found, Endpoint) if found else None


async def delete_endpoint(store: Store, merchant: str, endpoint_id: str) -> bool:
    """Whether there was one."""
    result = await store.webhook_endpoints.delete_one({"_id": endpoint_id, "merchant": merchant})
    return result.deleted_count == 1


_WORKING = {"failing_since": None, "failed_at": None}


def _fields(change: Change) -> Mapping[str, Any]:
    fields: dict[str, Any] = {}
    if change.url is not None:
        fields |= {"url": change.url, **_WORKING}
    if change.event_types is not None:
        fields["event_types"] = list(change.event_types)
    match change.state:
        case "enabled":
            fields |= {"state": "enabled", "disabled_reason": None, **_WORKING}
        case "disabled":
            fields |= {"state": "disabled", "disabled_reason": "merchant"}
    return fields
