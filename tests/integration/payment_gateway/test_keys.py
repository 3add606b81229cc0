"""C10: an expired key is taken off the charge or endpoint that was made with it, and nothing else of it."""

from datetime import timedelta

from payment_gateway.app import Application
from payment_gateway.webhooks.change_endpoints import NewEndpoint
from shared.idempotency import TTL
from shared.times import utc_now
from tests.integration.payment_gateway.conftest import create


async def test_c10_expired_keys_are_forgotten_and_others_are_kept(application: Application) -> None:
    store = application.store
    await application.change_endpoints.add("default", "a-key", NewEndpoint("http://127.0.0.1:1/hooks"))
    for _ in range(2):
        await create(application)
    later = utc_now() + TTL + timedelta(minutes=10)
    for collection, forget in zip((store.charges, store.webhook_endpoints), application.forget_keys, strict=True):
        expired = await collection.find_one({"keys.value": {"$exists": True}})
        assert expired is not None
        past = utc_now() - timedelta(seconds=1)
        await collection.update_one({"_id": expired["_id"]}, {"$set": {"keys.0.expires_at": past}})
        before = {one["_id"]: one async for one in collection.find()}
        assert await forget.run_once(later) == 1
        assert await forget.run_once(later) == 0
        after = {one["_id"]: one async for one in collection.find()}
        changed = after.pop(expired["_id"])
        assert after == {one: before[one] for one in after}
        assert changed == {
            **before[expired["_id"]],
            "keys": [],
            "version": expired["version"] + 1,
            "writer": changed["writer"],
        }
