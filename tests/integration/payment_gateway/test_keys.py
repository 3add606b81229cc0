"""C10: an expired key is taken off the charge or endpoint that was made with it, and nothing else of it."""

import json
from datetime import timedelta

from payment_gateway.app import Application
from payment_gateway.controls.forget_keys import forget_keys
from payment_gateway.webhooks.change_endpoints import NewEndpoint
from shared.idempotency import TTL, Answer
from shared.times import utc_now
from tests.integration.payment_gateway.conftest import asked, create


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


async def test_keys_that_are_forgotten_on_demand_make_new_things_and_other_merchants_keep_theirs(
    application: Application,
) -> None:
    async def charge(merchant: str) -> str:
        answer = await application.create_money.charge(merchant, "a-key", asked(reference="order-1"))
        assert isinstance(answer, Answer)
        return str(json.loads(answer.body)["id"])

    async def endpoint(merchant: str) -> str:
        answer = await application.change_endpoints.add(merchant, "a-key", NewEndpoint("http://127.0.0.1:1/hooks"))
        assert isinstance(answer, Answer)
        return str(json.loads(answer.body)["id"])

    store = application.store
    merchants = ("default", "other")
    first = {merchant: (await charge(merchant), await endpoint(merchant)) for merchant in merchants}
    assert {merchant: (await charge(merchant), await endpoint(merchant)) for merchant in merchants} == first
    versions = {one["_id"]: one["version"] async for one in store.charges.find()}
    await forget_keys(store, "default")
    assert {one["_id"]: one["version"] - versions[one["_id"]] async for one in store.charges.find()} == {
        first["default"][0]: 1,
        first["other"][0]: 0,
    }
    assert (await charge("other"), await endpoint("other")) == first["other"]
    again = (await charge("default"), await endpoint("default"))
    assert not set(again) & set(first["default"])
    assert (await charge("default"), await endpoint("default")) == again
