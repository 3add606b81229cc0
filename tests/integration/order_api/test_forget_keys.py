"""C10: an expired key is taken off its order, and nothing else of it."""

from datetime import timedelta

from order_api.app import Application
from shared.idempotency import TTL
from shared.times import utc_now
from tests.integration.order_api.conftest import place


async def test_c10_expired_keys_are_forgotten_and_others_are_kept(application: Application) -> None:
    expired, kept = [await place(application) for _ in range(2)]
    orders = application.store.orders
    [key] = (await orders.find_one({"_id": expired.id}) or {})["keys"]
    live = {**key, "value": "of-a-refund"}
    gone = {**key, "expires_at": utc_now() - timedelta(seconds=1)}
    await orders.update_one({"_id": expired.id}, {"$set": {"keys": [gone, live]}})
    before = {one["_id"]: one async for one in orders.find()}
    later = utc_now() + TTL + timedelta(minutes=10)
    assert await application.forget_keys.run_once(later) == 1
    assert await application.forget_keys.run_once(later) == 0
    after = {one["_id"]: one async for one in orders.find()}
    assert after[kept.id] == before[kept.id]
    changed = {name for name in before[expired.id] if before[expired.id][name] != after[expired.id][name]}
    assert changed == {"keys", "version", "writer"}
    assert (after[expired.id]["keys"], after[expired.id]["version"]) == ([live], before[expired.id]["version"] + 1)


async def test_keys_of_orders_whose_day_has_not_ended_are_not_looked_at(application: Application) -> None:
    order = await place(application)
    orders = application.store.orders
    await orders.update_one({"_id": order.id}, {"$set": {"keys.0.expires_at": utc_now() - timedelta(seconds=1)}})
    assert await application.forget_keys.run_once(utc_now()) == 0
