"""C9 where it is hard: the next primary does not know yet what a majority has."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from order_api.app import Application as OrderApi
from order_api.settings import Settings as OrderApiSettings
from payment_gateway.app import Application
from payment_gateway.settings import Settings
from payment_gateway.webhooks.deliver import FRESH_SECONDS
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared.env import Secret
from shared.forward import election_of, read_up_to_date
from shared.signing import DEVELOPMENT_SECRET
from tests.e2e.test_failover import FREEZE_SECONDS, set_view_held_back
from tests.http_double import HttpDouble, http_double
from tests.integration.order_api.conftest import place
from tests.integration.payment_gateway.conftest import SECRET, create
from tests.integration.payment_gateway.webhooks.test_endpoints import add
from tests.waiting import until
from tools.replica_set import Member, ReplicaSet, temporary_replica_set


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    with temporary_replica_set() as replica_set:
        yield replica_set
        assert replica_set.transactions == 0


@pytest.fixture
async def receiver() -> AsyncIterator[HttpDouble]:
    async with http_double() as double:
        yield double


@asynccontextmanager
async def gateway(replica_set: ReplicaSet, database: str, *, workers: bool = False) -> AsyncIterator[Application]:
    settings = Settings(
        mongodb_uri=Secret(replica_set.uri),
        app_env="development",
        payment_gateway_database=database,
        charge_delay_seconds=0,
        webhook_endpoint_secret=Secret(SECRET),
        webhook_timeout_seconds=2,
    )
    application = Application(settings)
    async with application.running(workers=workers):
        yield application


@dataclass
class Views:
    """Holds back the members that are not primary: they learn nothing new of what a majority has."""

    replica_set: ReplicaSet
    others: tuple[Member, ...] = ()

    async def hold_back(self) -> None:
        await asyncio.to_thread(self.replica_set.wait_until_whole)
        primary = await asyncio.to_thread(self.replica_set.wait_for_primary)
        self.others = tuple(member for member in self.replica_set.members if member is not primary)
        for member in self.others:
            set_view_held_back(member, held_back=True)
        await asyncio.to_thread(self.replica_set.freeze, FREEZE_SECONDS)

    async def change_primary(self, application: Application | OrderApi) -> None:
        """Returns when the application knows the new one, which was held back."""
        await asyncio.to_thread(self.replica_set.freeze, 0)
        await asyncio.to_thread(self.replica_set.step_down)
        new = await asyncio.to_thread(self.replica_set.wait_for_primary)
        assert new in self.others

        async def is_known() -> bool:
            election = election_of(application.store.client)
            return election is not None and "{}:{}".format(*election[0]) == new.address

        await until(is_known, "the application knows the new primary")

    def release(self) -> None:
        for member in self.others:
            set_view_held_back(member, held_back=False)


@pytest.fixture
def views(replica_set: ReplicaSet) -> Iterator[Views]:
    views = Views(replica_set)
    yield views
    views.release()


async def test_c9_an_endpoint_that_another_gateway_has_added_hears_of_a_charge_although_the_primary_is_new(
    replica_set: ReplicaSet, receiver: HttpDouble, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.money.settle.STORE_SECONDS", 30.0)
    async with (
        gateway(replica_set, "heard") as other,
        gateway(replica_set, "heard", workers=True) as one,
    ):
        await views.hold_back()
        endpoint = await add(other, f"{receiver.url}/hooks")
        await views.change_primary(one)
        endpoints_of, were_read = one.settle_charges._endpoints_of, asyncio.Event()

        async def noting(charges: Any) -> Any:
            endpoints = await endpoints_of(charges)
            were_read.set()
            return endpoints

        monkeypatch.setattr(one.settle_charges, "_endpoints_of", noting)
        charging = asyncio.create_task(create(one))
        # The primary cannot have shown all of them yet. One that did would have shown too few.
        await asyncio.wait([asyncio.create_task(were_read.wait())], timeout=2)
        views.release()
        await charging

        async def is_announced() -> bool:
            return await one.store.charges.count_documents({"due_at": None}) == 1

        await until(is_announced, "the charge to be announced")
        assert await one.store.deliveries.count_documents({"endpoint_id": endpoint.id}) == 1


async def test_c9_a_delivery_is_not_cancelled_because_a_new_primary_does_not_know_its_endpoint_yet(
    replica_set: ReplicaSet, receiver: HttpDouble, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(replica_set, "delivered", workers=True) as application:
        await views.hold_back()
        await add(application, f"{receiver.url}/hooks")
        deliveries = application.store.deliveries
        insert = deliveries.insert_many

        async def then_the_primary_changes(*of: Any, **how: Any) -> Any:
            inserted = await insert(*of, **how)
            monkeypatch.setattr(deliveries, "insert_many", insert)
            await views.change_primary(application)
            await asyncio.sleep(FRESH_SECONDS)  # so that its endpoint is read again
            asyncio.get_running_loop().call_later(1, views.release)
            return inserted

        monkeypatch.setattr(deliveries, "insert_many", then_the_primary_changes)
        await create(application)

        async def has_ended() -> bool:
            return await deliveries.count_documents({"state": {"$ne": "pending"}}) == 1

        await until(has_ended, "the delivery to end")
        [delivery] = await deliveries.find().to_list()
        assert (delivery["state"], len(receiver.asked)) == ("delivered", 1)


async def test_c9_a_read_that_meets_an_election_shows_what_was_acknowledged_before(
    replica_set: ReplicaSet, receiver: HttpDouble, views: Views
) -> None:
    async with gateway(replica_set, "read") as other, gateway(replica_set, "read") as one:
        await find_endpoints(one.store, {})  # so that it has passed a barrier of this primary
        await views.hold_back()
        endpoint = await add(other, f"{receiver.url}/hooks")
        has_changed = asyncio.Event()

        async def read(session: AsyncClientSession) -> Any:
            if not has_changed.is_set():
                await views.change_primary(one)
                has_changed.set()
            return await one.store.webhook_endpoints.find_one({"_id": endpoint.id}, session=session)

        await never_denied(views, lambda: read_up_to_date(one.store.database, read))


async def test_c17_an_order_that_a_new_primary_does_not_know_yet_was_not_withdrawn(
    replica_set: ReplicaSet, views: Views
) -> None:
    settings = OrderApiSettings(
        mongodb_uri=Secret(replica_set.uri),
        app_env="development",
        order_api_database="withdrawn",
        payment_gateway_url="http://127.0.0.1:9",
        webhook_secrets=(Secret(DEVELOPMENT_SECRET),),
    )
    application = OrderApi(settings)
    async with application.running(workers=False):
        await views.hold_back()
        order = await place(application)
        await views.change_primary(application)
        await never_denied(views, lambda: application.store.wants_charge(order.id))


async def never_denied(views: Views, ask: Callable[[], Awaitable[Any]]) -> None:
    """Asks until the answer is yes. While the view is held back there may be no answer, but never a no."""

    async def is_there() -> bool:
        try:
            assert await ask()
        except PyMongoError:
            return False
        finally:
            views.release()
        return True

    await until(is_there, "the primary knows it")
