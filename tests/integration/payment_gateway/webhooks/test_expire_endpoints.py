"""C24: an endpoint that was to last for a while is gone after it, by real time, unless it was renewed."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from payment_gateway.app import Application
from payment_gateway.clock import clock as clocks
from payment_gateway.webhooks.change_endpoints import expiry
from payment_gateway.webhooks.endpoint import ENDPOINTS_MAX, Change, Endpoint
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared.times import rfc3339, utc_now
from tests.http_double import HttpDouble
from tests.integration.payment_gateway.conftest import MakeApplication, client_of, create
from tests.integration.payment_gateway.webhooks.test_deliver import deliver
from tests.integration.payment_gateway.webhooks.test_endpoints import settle_and_deliver
from tests.integration.payment_gateway.webhooks.test_own_headers import added, changed
from tests.waiting import until


async def lasting(application: Application, receiver: HttpDouble, **asked: Any) -> str:
    """The id of an endpoint for a listener."""
    async with client_of(application) as client:
        endpoint = await added(client, f"{receiver.url}/listener", **{"expiresInSeconds": 60, **asked})
        return str(endpoint["id"])


async def its_time_is_over(application: Application, endpoint_id: str) -> None:
    past = utc_now() - timedelta(seconds=1)
    await application.store.webhook_endpoints.update_one({"_id": endpoint_id}, {"$set": {"expires_at": past}})


async def expire(application: Application) -> None:
    await application.expire_endpoints.work.run_once()


async def listed(application: Application) -> list[str]:
    async with client_of(application) as client:
        return [one["id"] for one in (await client.get("/v1/webhook-endpoints")).json()["data"]]


async def test_it_shows_when_it_expires_and_a_permanent_one_shows_null(application: Application) -> None:
    async with client_of(application) as client:
        before, made = utc_now(), await added(client, "http://127.0.0.1:1/", expiresInSeconds=60)
        expires_at = datetime.fromisoformat(made["expiresAt"])
        assert before <= expires_at - timedelta(seconds=60) <= utc_now()
        assert (await client.get(f"/v1/webhook-endpoints/{made['id']}")).json()["expiresAt"] == rfc3339(expires_at)
        assert (await added(client, "http://127.0.0.1:1/"))["expiresAt"] is None


async def test_before_its_time_it_hears_everything_and_stays(application: Application, receiver: HttpDouble) -> None:
    endpoint_id = await lasting(application, receiver)
    await expire(application)
    await create(application)
    await settle_and_deliver(application)
    assert {one.path for one in receiver.asked} == {"/hooks", "/listener"}
    assert endpoint_id in await listed(application)


async def test_after_its_time_it_is_as_if_it_was_deleted(application: Application, receiver: HttpDouble) -> None:
    endpoint_id = await lasting(application, receiver)
    await create(application)
    await application.settle_charges.run_once()
    await its_time_is_over(application, endpoint_id)
    await expire(application)
    await deliver(application)
    await create(application)
    await settle_and_deliver(application)
    assert {one.path for one in receiver.asked} == {"/hooks"}, "what was pending for it is cancelled"
    [pending] = await application.store.deliveries.find({"endpoint_id": endpoint_id}).to_list()
    assert pending["state"] == "cancelled"
    assert endpoint_id not in await listed(application)
    async with client_of(application) as client:
        path = f"/v1/webhook-endpoints/{endpoint_id}"
        assert (await client.get(path)).status_code == 404
        assert (await client.patch(path, json={"expiresInSeconds": 60})).status_code == 404
        assert (await client.delete(path)).status_code == 404


async def test_its_place_is_free_then(application: Application, receiver: HttpDouble) -> None:
    endpoint_id = await lasting(application, receiver)
    async with client_of(application) as client:
        for _ in range(ENDPOINTS_MAX - len(await find_endpoints(application.store, {}))):
            await added(client, "http://127.0.0.1:1/")
        body, headers = {"url": "http://127.0.0.1:1/"}, {"Idempotency-Key": uuid4().hex}
        assert (await client.post("/v1/webhook-endpoints", json=body, headers=headers)).status_code == 409
        await its_time_is_over(application, endpoint_id)
        await expire(application)
        assert (await client.post("/v1/webhook-endpoints", json=body, headers=headers)).status_code == 201


async def test_it_is_renewed_and_made_permanent(application: Application, receiver: HttpDouble) -> None:
    endpoint_id = await lasting(application, receiver)
    async with client_of(application) as client:
        first = (await client.get(f"/v1/webhook-endpoints/{endpoint_id}")).json()["expiresAt"]
        assert (await changed(client, endpoint_id, expiresInSeconds=3600))["expiresAt"] > first
        assert (await changed(client, endpoint_id, eventTypes=[]))["expiresAt"] > first
        assert (await changed(client, endpoint_id, expiresInSeconds=None))["expiresAt"] is None


async def test_of_a_renewal_and_the_expiry_the_first_counts(application: Application, receiver: HttpDouble) -> None:
    """A renewal that is acknowledged keeps it; one that comes after the deletion finds nothing."""
    for _ in range(5):
        endpoint_id = await lasting(application, receiver)
        await its_time_is_over(application, endpoint_id)
        renewal = Change(expires_at=expiry(60))
        _, renewed = await asyncio.gather(
            expire(application), application.change_endpoints.change("default", endpoint_id, renewal)
        )
        assert (endpoint_id in await listed(application)) is isinstance(renewed, Endpoint)
        await application.change_endpoints.delete("default", endpoint_id)


async def test_what_was_found_expired_and_is_renewed_meanwhile_stays(
    application: Application, receiver: HttpDouble
) -> None:
    endpoint_id = await lasting(application, receiver)
    await its_time_is_over(application, endpoint_id)
    [found] = await application.expire_endpoints._over(10)
    await application.change_endpoints.change("default", endpoint_id, Change(expires_at=expiry(60)))
    await application.expire_endpoints._expire(found)
    assert endpoint_id in await listed(application)


async def test_the_test_clock_does_not_move_it(make_application: MakeApplication, receiver: HttpDouble) -> None:
    async with make_application() as application:
        endpoint_id = await lasting(application, receiver)
        await application.clock.change(lambda clock: clocks.frozen(clock, real=utc_now() + timedelta(days=2)))
        await expire(application)
        assert endpoint_id in await listed(application)


async def test_two_gateways_that_expire_it_at_once_delete_it_once(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application() as one, make_application() as other:
        endpoint_id = await lasting(one, receiver)
        await its_time_is_over(one, endpoint_id)
        before = await one.store.webhook_endpoints.find_one({"_id": endpoint_id})
        await asyncio.gather(expire(one), expire(other))
        after = await one.store.webhook_endpoints.find_one({"_id": endpoint_id})
        assert before is not None
        assert after is not None
        assert after["version"] == before["version"] + 1
        assert "place" not in after


async def test_a_gateway_at_work_deletes_it_by_itself(make_application: MakeApplication, receiver: HttpDouble) -> None:
    async with make_application(workers=True) as application:
        endpoint_id = await lasting(application, receiver)
        await its_time_is_over(application, endpoint_id)

        async def gone() -> bool:
            return endpoint_id not in await listed(application)

        await until(gone, "it is deleted")


async def test_a_look_for_expired_endpoints_reads_none_that_stays_for_good(
    application: Application, receiver: HttpDouble
) -> None:
    async with client_of(application) as client:
        for _ in range(5):
            await added(client, "http://127.0.0.1:1/")
    await its_time_is_over(application, await lasting(application, receiver))
    database = application.store.database
    await database.command("profile", 2)
    assert len(await application.expire_endpoints._over(10)) == 1
    await database.command("profile", 0)
    [read] = await database["system.profile"].find({"command.find": "webhook_endpoints"}).to_list()
    assert read["docsExamined"] == 1, read["planSummary"]
