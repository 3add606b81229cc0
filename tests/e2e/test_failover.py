"""C9 and C11 where they are hard: three mongods, of which only the primary has the newest writes, and then it is killed; or
the next primary does not know yet what a majority has.

One story, told once: what is asked for while no majority can have it, and what comes of it afterwards.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pymongo import AsyncMongoClient

from order_api.dispatch_outbox import LEASE_SECONDS
from order_api.outbox import charge_call_id
from shared.ids import new_id
from shared.mongo import Client, Collection, Database, connect
from shared.signing import DEVELOPMENT_SECRET, sign
from shared.times import utc_now
from tests.e2e.conftest import Api, end_claims, make_due, order_body, place_until_acknowledged
from tests.http_double import Asked, HttpDouble, always, http_double
from tests.integration.order_api.conftest import accept_charges
from tests.waiting import DEADLINE_SECONDS, until
from tools.paid_charge import event_of, paid_charge
from tools.process import free_port
from tools.replica_set import COMMAND_SECONDS, Member, ReplicaSet, temporary_replica_set
from tools.stack import Service

KEY = "one-key-for-both"
FREEZE_SECONDS = 600  # longer than a test: it ends the freeze itself


@dataclass
class Story:
    """What was asked for while replication stood still, what was answered, and what there is in the end."""

    database: Database
    paid_id: str  # of the order whose payment was told meanwhile
    unsent_id: str  # of the order whose charge was due meanwhile
    acknowledged: list[str]
    body: dict[str, Any] = field(default_factory=order_body)
    placed: Sequence[int] = ()
    seen_meanwhile: Sequence[str] = ()  # the numbers of the orders that were shown
    status_meanwhile: str = ""
    denied: Mapping[str, int] = field(default_factory=dict)  # how it was answered meanwhile where the answer is no
    event: bytes = b""
    told: int = 0
    told_again: int = 0
    sent_meanwhile: Sequence[Asked] = ()
    sent_afterwards: Sequence[Asked] = ()
    again: tuple[int, dict[str, str], Any] = (0, {}, None)


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    with temporary_replica_set() as replica_set:
        yield replica_set
        assert replica_set.transactions == 0


@pytest.fixture(scope="module")
async def story(replica_set: ReplicaSet, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Story]:
    async with AsyncExitStack() as exits:
        provider = await exits.enter_async_context(http_double(accept_charges))
        http = await exits.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
        services = [order_api(replica_set.uri, provider, tmp_path_factory.mktemp("logs")) for _ in range(2)]
        for service in services:
            service.launch()
            exits.callback(service.stop)
        await asyncio.gather(*(asyncio.to_thread(service.wait_until_ready) for service in services))
        client = connect(replica_set.uri, app_name="tests")
        exits.push_async_callback(client.close)
        story = await begin(client["order_api"], provider, http, services)
        primary = replica_set.wait_for_primary()
        others = [member for member in replica_set.members if member is not primary]

        with paused(services):
            await make_due(story.database["orders"], {"reference": story.unsent_id, "state": "open"})
            await asyncio.gather(*(asyncio.to_thread(stop_replication, member) for member in others))
            await asyncio.to_thread(replica_set.freeze, FREEZE_SECONDS)
        await while_no_majority_has_it(story, primary, provider, http, services)

        await asyncio.to_thread(replica_set.freeze, 0)
        primary.kill()
        sent_before = len(provider.posts())
        for member in others:
            resume_replication(member)
        await asyncio.to_thread(replica_set.wait_for_primary)
        await afterwards(story, http, services)
        story.sent_afterwards = provider.posts()[sent_before:]
        primary.launch()
        await asyncio.to_thread(replica_set.wait_until_whole)
        yield story


def order_api(uri: str, provider: HttpDouble, logs: Path, database: str = "order_api") -> Service:
    port = free_port()
    environment = {
        "ORDER_API_DATABASE": database,
        "APP_ENV": "development",
        "MONGODB_URI": uri,
        "ORDER_API_PORT": str(port),
        "PAYMENT_GATEWAY_URL": provider.url,
        "PAYMENT_GATEWAY_API_KEY": "test-key",
        "RECONCILE_AFTER_SECONDS": "3600",
    }
    return Service("order_api", port, environment, logs / f"{port}.log")


async def serving(
    exits: AsyncExitStack, replica_set: ReplicaSet, provider: HttpDouble, logs: Path, database: str
) -> Service:
    """One that is ready, on the whole set, until `exits` end."""
    await asyncio.to_thread(replica_set.wait_until_whole)
    service = order_api(replica_set.uri, provider, logs, database)
    service.launch()
    exits.callback(service.stop)
    await asyncio.to_thread(service.wait_until_ready)
    return service


async def begin(
    database: Database, provider: HttpDouble, http: aiohttp.ClientSession, services: Sequence[Service]
) -> Story:
    """Orders that a majority has: some charged, and one whose charge the provider cannot take now."""
    one, other = services
    place = partial(place_until_acknowledged, http)
    acknowledged = [await place(lambda: one.url, order_body()) for _ in range(3)]
    await until(partial(all_done, database["orders"], 3), "the charges are taken")
    provider.answer = always(503, Retry_After="3600")
    unsent_id = await place(lambda: other.url, order_body())
    put_off = {"_id": unsent_id, "calls": {"$elemMatch": {"state": "open", "claim": None, "attempts": 1}}}
    await until(lambda: has(database["orders"], put_off), "the provider has put it off")
    provider.answer = accept_charges
    return Story(database, acknowledged[0], unsent_id, [*acknowledged, unsent_id])


async def while_no_majority_has_it(
    story: Story, primary: Member, provider: HttpDouble, http: aiohttp.ClientSession, services: Sequence[Service]
) -> None:
    one, other = (Api(http, service.url) for service in services)
    sent_before = len(provider.posts())
    story.event = payment_succeeded((await one.call("GET", f"/api/orders/{story.paid_id}"))[2])
    first = asyncio.create_task(one.place(story.body, KEY))
    telling = asyncio.create_task(tell(other, story.event))
    await until(partial(only_the_primary_has, primary, KEY), "the order is written")
    second = asyncio.create_task(other.place(story.body, KEY))
    story.seen_meanwhile = [order["orderNumber"] for order in (await one.call("GET", "/api/orders"))[2]["data"]]
    story.denied = await denied(one, story)
    story.told = await telling
    story.status_meanwhile = (await other.call("GET", f"/api/orders/{story.paid_id}"))[2]["status"]
    story.placed = [(await first)[0], (await second)[0]]
    story.sent_meanwhile = provider.posts()[sent_before:]


async def denied(api: Api, story: Story) -> Mapping[str, int]:
    """How it is answered where the answer is no as far as a majority knows."""
    paid, nobody = f"/api/orders/{story.paid_id}", f"/api/orders/{new_id('ord')}"
    asked: Mapping[str, tuple[str, str, Any]] = {
        "an order": ("GET", nobody, None),
        "an order number": ("GET", f"/api/orders?orderNumber={story.body['orderNumber']}", None),
        "a refund": ("POST", f"{paid}/refunds", {}),
        "a cancellation": ("POST", f"{nobody}/cancel", None),
        "a payment": ("POST", f"{paid}/payments", {"paymentMethod": "pm_card_visa"}),
        "a decision": ("POST", f"{paid}/reviews/second-charge/resolve", {"decision": "accept"}),
        "a redrive": ("POST", f"/api/outbox/{charge_call_id(story.paid_id)}/redrive", None),
    }
    headers = {"Idempotency-Key": "a-refund"}
    calls = [api.call(method, path, json=body, headers=headers) for method, path, body in asked.values()]
    return dict(zip(asked, [status for status, _, _ in await asyncio.gather(*calls)], strict=True))


async def afterwards(story: Story, http: aiohttp.ClientSession, services: Sequence[Service]) -> None:
    """The client asks again with its key, and the provider tells its event again."""
    one, other = (Api(http, service.url) for service in services)

    async def placed() -> bool:
        story.again = await other.place(story.body, KEY)
        return story.again[0] == 201

    async def told() -> bool:
        story.told_again = await tell(one, story.event)
        return story.told_again == 200

    await until(placed, "the retry is answered")
    await until(told, "the event is acknowledged")
    story.acknowledged.append(story.again[2]["id"])
    await until(partial(all_sent, story.database["orders"], 5), "all charges are sent")


def test_c9_what_no_majority_has_is_never_acknowledged(story: Story) -> None:
    assert {*story.placed} <= {409, 503}


async def test_c9_an_order_that_only_the_primary_has_is_not_acknowledged(
    replica_set: ReplicaSet, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with http_double(accept_charges) as provider, AsyncExitStack() as exits:
        service = await serving(exits, replica_set, provider, tmp_path, "only_the_primary")
        primary = await asyncio.to_thread(replica_set.wait_for_primary)
        for member in replica_set.members:
            if member is not primary:
                exits.callback(resume_replication, member)
                await asyncio.to_thread(stop_replication, member)
        exits.callback(replica_set.freeze, 0)
        await asyncio.to_thread(replica_set.freeze, FREEZE_SECONDS)
        status, _, _ = await Api(http, service.url).place(order_body(), KEY)
        assert status == 503


def test_c9_what_no_majority_has_is_shown_to_nobody(story: Story) -> None:
    assert story.body["orderNumber"] not in story.seen_meanwhile
    assert len(story.seen_meanwhile) == 4
    assert story.status_meanwhile == "Pending"


async def test_c9_the_same_key_then_creates_the_order_once(story: Story) -> None:
    status, headers, order = story.again
    assert (status, "idempotent-replayed" in headers) == (201, False)
    number = story.body["orderNumber"]
    assert await story.database["orders"].distinct("_id", {"order_number": number}) == [order["id"]]
    assert await story.database["orders"].distinct("_id", {"keys.value": KEY}) == [order["id"]]


async def test_c9_an_event_is_acknowledged_only_once_a_majority_has_it(story: Story) -> None:
    assert (story.told, story.told_again) == (503, 200)
    paid = await story.database["orders"].find_one({"_id": story.paid_id})
    assert paid is not None
    assert paid["status"] == "Paid"


def test_c9_that_there_is_no_such_order_is_not_said_without_a_majority(story: Story) -> None:
    """A primary that is cut off or new may lack what was acknowledged: a client would take its order for lost."""
    assert story.denied["an order"] == 503


def test_c9_that_nobody_has_an_order_number_is_not_said_without_a_majority(story: Story) -> None:
    """A client would place its order anew, under another key."""
    assert story.denied["an order number"] == 503


def test_c9_nothing_is_refused_without_a_majority(story: Story) -> None:
    """A primary that is cut off or new may lack the payment, the review or the dead letter."""
    refused = {what: status for what, status in story.denied.items() if not what.startswith("an order")}
    assert refused == dict.fromkeys(["a refund", "a cancellation", "a payment", "a decision", "a redrive"], 503)


async def test_c9_nothing_that_was_acknowledged_is_lost(story: Story) -> None:
    found = await story.database["orders"].distinct("_id", {"_id": {"$in": story.acknowledged}})
    assert sorted(found) == sorted(story.acknowledged)


def test_c11_nothing_is_sent_under_a_claim_that_no_majority_has(story: Story) -> None:
    assert story.sent_meanwhile == []


def test_c11_afterwards_each_charge_is_sent_once_under_its_key(story: Story) -> None:
    due = [story.unsent_id, story.again[2]["id"]]
    sent = sorted(asked.headers["Idempotency-Key"] for asked in story.sent_afterwards)
    assert sent == sorted(f"obx_{order_id.removeprefix('ord_')}" for order_id in due)


async def test_c9_a_new_primary_does_not_deny_what_was_acknowledged_before_it(
    replica_set: ReplicaSet, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Those who may become primary go on copying, but what they know a majority to have stands still."""
    async with http_double(accept_charges) as provider, AsyncExitStack() as exits:
        service = await serving(exits, replica_set, provider, tmp_path, "new_primary")
        api = Api(http, service.url)
        primary = await asyncio.to_thread(replica_set.wait_for_primary)
        others = [member for member in replica_set.members if member is not primary]
        for member in others:
            exits.callback(set_view_held_back, member, held_back=False)
            set_view_held_back(member, held_back=True)
        await asyncio.to_thread(replica_set.freeze, FREEZE_SECONDS)
        body = order_body()
        order_id = await place_until_acknowledged(http, lambda: service.url, body)
        await asyncio.to_thread(replica_set.freeze, 0)
        await asyncio.to_thread(replica_set.step_down)
        assert await asyncio.to_thread(replica_set.wait_for_primary) in others
        by_id, by_number = f"/api/orders/{order_id}", f"/api/orders?orderNumber={body['orderNumber']}"
        denied = await asyncio.gather(
            api.call("GET", by_id),
            api.call("GET", by_number),
            api.call("POST", f"{by_id}/cancel"),
            api.call("POST", f"/api/outbox/{charge_call_id(order_id)}/redrive"),
        )
        assert [status for status, _, _ in denied] == [503] * 4
        for member in others:
            set_view_held_back(member, held_back=False)

        async def is_found() -> bool:
            found = [await api.call("GET", path) for path in (by_id, by_number)]
            assert all(status in {200, 503} for status, _, _ in found), found
            return [status for status, _, _ in found] == [200, 200] and len(found[1][2]["data"]) == 1

        await until(is_found, "it is found again")


async def test_c9_what_was_shown_is_not_taken_back_by_a_new_primary(
    replica_set: ReplicaSet, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Nor by one that does not know yet how far a majority is."""
    async with http_double(accept_charges) as provider, AsyncExitStack() as exits:
        service = await serving(exits, replica_set, provider, tmp_path, "taken_back")
        api = Api(http, service.url)
        primary = await asyncio.to_thread(replica_set.wait_for_primary)
        others = [member for member in replica_set.members if member is not primary]
        body = order_body()
        placed: list[dict[str, Any]] = []

        async def is_charged() -> bool:
            placed[:] = [(await api.place(body, KEY))[2]]
            placed[:] = [(await api.call("GET", f"/api/orders/{placed[0].get('id')}"))[2]]
            return bool(placed[0].get("charges"))

        await until(is_charged, "its charge is taken")
        order_id = placed[0]["id"]
        for member in others:
            exits.callback(set_view_held_back, member, held_back=False)
            set_view_held_back(member, held_back=True)
        await asyncio.to_thread(replica_set.freeze, FREEZE_SECONDS)
        assert await tell(api, payment_succeeded(placed[0])) == 200
        by_id, by_number, trail = (
            f"/api/orders/{order_id}",
            f"/api/orders?orderNumber={body['orderNumber']}",
            f"/api/orders/{order_id}/events",
        )
        assert (await api.call("GET", by_id))[2]["status"] == "Paid"
        await asyncio.to_thread(replica_set.freeze, 0)
        await asyncio.to_thread(replica_set.step_down)
        assert await asyncio.to_thread(replica_set.wait_for_primary) in others

        async def seen() -> list[Any]:
            answers = await asyncio.gather(*(api.call("GET", path) for path in (by_id, by_number, trail)))
            return [json if status == 200 else status for status, _, json in answers]

        assert await seen() == [503] * 3
        assert (await api.place(body, KEY))[0] in {409, 503}
        for member in others:
            set_view_held_back(member, held_back=False)

        async def is_seen() -> bool:
            order, found, events = await seen()
            for shown in (order, *(found if found == 503 else found["data"])):
                assert shown == 503 or shown["status"] == "Paid", shown
            return 503 not in (order, found, events) and len(events["data"]) == 1

        await until(is_seen, "it is shown again")
        status, headers, again = await api.place(body, KEY)
        assert (status, headers["idempotent-replayed"], again["id"]) == (201, "true", order_id)


def set_view_held_back(member: Member, *, held_back: bool) -> None:
    mode = "alwaysOn" if held_back else "off"
    member.run({"configureFailPoint": "disableSnapshotting", "mode": mode}, seconds=COMMAND_SECONDS)


async def test_c11_a_process_stopped_for_longer_than_its_lease_changes_nothing_when_it_goes_on(
    mongodb_uri: str, mongo: Client, database_name: str, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The provider refuses for good what it asked, but it hears so when another has the message and was told 'later'."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def refuse_the_first(_asked: Asked) -> web.StreamResponse:
        if asked.is_set():
            return web.Response(status=503, headers={"Retry-After": "3600"})
        asked.set()
        await answer.wait()
        return web.Response(status=422, text='{"type": "/problems/invalid-fields"}')

    orders = mongo[database_name]["orders"]
    async with http_double(refuse_the_first) as provider, AsyncExitStack() as exits:
        slow, quick = (order_api(mongodb_uri, provider, tmp_path, database_name) for _ in range(2))
        for service in (slow, quick):
            exits.callback(service.stop)
        slow.launch()
        await asyncio.to_thread(slow.wait_until_ready)
        order_id = await place_until_acknowledged(http, lambda: slow.url, order_body())
        await asyncio.wait_for(asked.wait(), DEADLINE_SECONDS)
        with paused([slow]):
            await end_claims(orders)
            quick.launch()
            await asyncio.to_thread(quick.wait_until_ready)
            told = {"calls": {"$elemMatch": {"state": "open", "claim": None, "attempts": 2}}}
            await until(lambda: has(orders, told), "the other has taken over and was told")
            settled = await orders.find_one({})
            answer.set()
        await until(lambda: says(slow, "dispatched in vain"), "the first finds that it is too late")
        assert await orders.find_one({}) == settled
        assert await has(orders, {"_id": order_id, "status": "Pending", "reviews": []})


@contextmanager
def paused(services: Sequence[Service]) -> Iterator[None]:
    """They do nothing for a while, and know nothing of it."""
    for service in services:
        _signal(service, signal.SIGSTOP)
    yield
    for service in services:
        _signal(service, signal.SIGCONT)


def _signal(service: Service, number: signal.Signals) -> None:
    assert service.process is not None
    service.process.send_signal(number)


def stop_replication(member: Member) -> None:
    """Returns when it fetches nothing any more."""
    stop = {"configureFailPoint": "stopReplProducer", "mode": "alwaysOn"}
    before = member.run(stop, seconds=COMMAND_SECONDS)["count"]
    hit = {"waitForFailPoint": "stopReplProducer", "timesEntered": before + 1, "maxTimeMS": 50_000}
    member.run(hit, seconds=DEADLINE_SECONDS)


def resume_replication(member: Member) -> None:
    member.run({"configureFailPoint": "stopReplProducer", "mode": "off"}, seconds=COMMAND_SECONDS)


async def all_done(orders: Collection, count: int) -> bool:
    return await orders.count_documents({"calls.state": "done"}) == count


async def all_sent(orders: Collection, count: int) -> bool:
    """A claim whose reply the failover took is nobody's until its lease ends: the test does not wait that long."""
    await end_claims(orders, due_at={"$lt": utc_now() + timedelta(seconds=LEASE_SECONDS - 8)})
    return await all_done(orders, count)


async def has(collection: Collection, document: Mapping[str, Any]) -> bool:
    return await collection.find_one(document) is not None


async def says(service: Service, words: str) -> bool:
    return words in service.log_file.read_text()


async def only_the_primary_has(primary: Member, key: str) -> bool:
    """Whether a local read finds it there."""
    async with AsyncMongoClient[dict[str, Any]](primary.uri) as client:
        return await has(client["order_api"]["orders"], {"keys.value": key})


async def tell(api: Api, event: bytes) -> int:
    """How order_api answers the provider's webhook."""
    headers = {"X-Signature": sign(event, [DEVELOPMENT_SECRET], int(time.time()))}
    return (await api.call("POST", "/api/webhooks/payments", data=event, headers=headers))[0]


def payment_succeeded(order: dict[str, Any]) -> bytes:
    [charge] = order["charges"]
    told = paid_charge(
        order["id"],
        id=charge["id"],
        amount=round(charge["amount"] * 100),
        currency=order["currency"],
        payment_method=order["paymentMethod"],
    )
    return event_of(told)
