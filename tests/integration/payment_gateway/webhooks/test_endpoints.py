"""Webhook endpoints: their keys, event types, secrets and rotations, and how many a merchant may have."""

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import standardwebhooks
import stripe

from payment_gateway.app import Application
from payment_gateway.clock import clock as clocks
from payment_gateway.webhooks.change_endpoints import NewEndpoint, Rotation
from payment_gateway.webhooks.endpoint import (
    ENDPOINTS_MAX,
    Change,
    TooManyEndpoints,
    TooManyRotations,
)
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from payment_gateway.webhooks.views import WebhookEndpointWithSecretView
from shared import wire
from shared.env import Secret
from shared.idempotency import Answer, KeyReused
from shared.not_found import NotFound
from shared.times import utc_now
from tests.http_double import Asked, HttpDouble
from tests.integration.payment_gateway.conftest import SECRET, MakeApplication, asked, create


async def add(
    application: Application, url: str, *event_types: wire.EventType, merchant: str = "default"
) -> WebhookEndpointWithSecretView:
    answer = await application.change_endpoints.add(merchant, uuid4().hex, NewEndpoint(url, event_types))
    assert isinstance(answer, Answer)
    return msgspec.json.decode(answer.body, type=WebhookEndpointWithSecretView)


async def rotate(application: Application, endpoint_id: str, **asked: Any) -> WebhookEndpointWithSecretView:
    answer = await application.change_endpoints.rotate_secret("default", uuid4().hex, endpoint_id, Rotation(**asked))
    assert isinstance(answer, Answer)
    return msgspec.json.decode(answer.body, type=WebhookEndpointWithSecretView)


async def configured_id(application: Application) -> str:
    [endpoint] = await application.store.webhook_endpoints.find().to_list()
    return str(endpoint["_id"])


async def settle_and_deliver(application: Application) -> None:
    await application.settle_charges.run_once()
    await application.deliver_webhooks.work.run_once()


async def deliver_one(application: Application, receiver: HttpDouble) -> Asked:
    """What is sent of one more charge."""
    receiver.asked.clear()
    await create(application)
    await settle_and_deliver(application)
    [sent] = receiver.asked
    return sent


def verified_by(sent: Asked) -> set[str]:
    """Which of the official libraries accept it with SECRET."""
    return {name for name, verify in _LIBRARIES.items() if _accepts(verify, sent, SECRET)}


def _stripe(sent: Asked, secret: str) -> None:
    stripe.Webhook.construct_event(sent.body, sent.headers["X-Signature"], secret)


def _standard(sent: Asked, secret: str) -> None:
    standardwebhooks.Webhook(secret).verify(sent.body, dict(sent.headers))


_LIBRARIES = {"stripe": _stripe, "standardwebhooks": _standard}
BOTH = set(_LIBRARIES)


def _accepts(verify: Any, sent: Asked, secret: str) -> bool:
    try:
        verify(sent, secret)
    except (stripe.SignatureVerificationError, standardwebhooks.WebhookVerificationError):
        return False
    return True


async def test_creating_an_endpoint_a_hundred_times_with_one_key_makes_one(application: Application) -> None:
    asked, key = NewEndpoint("http://127.0.0.1:1/hooks"), uuid4().hex
    answers = await asyncio.gather(*(application.change_endpoints.add("default", key, asked) for _ in range(100)))
    assert {answer.body for answer in answers if isinstance(answer, Answer)} == {answers[0].body}  # type: ignore[union-attr]
    assert await application.store.webhook_endpoints.count_documents({"url": asked.url}) == 1


async def test_a_key_is_for_one_endpoint(application: Application) -> None:
    key = uuid4().hex
    await application.change_endpoints.add("default", key, NewEndpoint("http://127.0.0.1:1/hooks"))
    other = await application.change_endpoints.add("default", key, NewEndpoint("http://127.0.0.1:1/other"))
    assert other == KeyReused()


async def test_an_endpoint_gets_the_types_that_it_names(application: Application, receiver: HttpDouble) -> None:
    await add(application, f"{receiver.url}/failures", "payment.failed")
    await create(application)
    await create(application, payment_method="pm_card_declined")
    await settle_and_deliver(application)
    [sent] = [json.loads(one.body)["type"] for one in receiver.asked if one.path == "/failures"]
    assert sent == "payment.failed"


async def test_an_endpoint_gets_no_other_merchants_events(application: Application, receiver: HttpDouble) -> None:
    await add(application, f"{receiver.url}/elsewhere", merchant="other")
    await create(application)
    await settle_and_deliver(application)
    assert [one.path for one in receiver.asked] == ["/hooks"]


async def test_during_a_rotation_both_libraries_verify_with_the_old_secret_and_with_the_new(
    application: Application, receiver: HttpDouble
) -> None:
    rotated = await rotate(application, await configured_id(application))
    sent = await deliver_one(application, receiver)
    assert verified_by(sent) == BOTH
    for verify in _LIBRARIES.values():
        verify(sent, rotated.secret)


async def test_after_the_overlap_both_libraries_refuse_the_old_secret(
    application: Application, receiver: HttpDouble
) -> None:
    rotated = await rotate(application, await configured_id(application), overlap_seconds=3600)
    assert verified_by(await deliver_one(application, receiver)) == BOTH
    await application.clock.change(lambda clock: clocks.frozen(clock, real=utc_now() + timedelta(seconds=3601)))
    sent = await deliver_one(application, receiver)
    assert verified_by(sent) == set()
    for verify in _LIBRARIES.values():
        verify(sent, rotated.secret)


async def test_a_rotation_without_overlap_takes_the_old_secret_away_at_once(
    application: Application, receiver: HttpDouble
) -> None:
    await rotate(application, await configured_id(application), overlap_seconds=0)
    assert verified_by(await deliver_one(application, receiver)) == set()


async def test_rotations_at_once_on_two_replicas_lose_no_secret(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as two:
        endpoint_id = await configured_id(one)
        rotated = await asyncio.gather(*(rotate(replica, endpoint_id) for replica in (one, two) * 3))
        [endpoint] = await one.store.webhook_endpoints.find().to_list()
        kept = [secret["value"] for secret in endpoint["secrets"]]
        assert sorted(kept) == sorted([SECRET, *(each.secret for each in rotated)])
        assert [secret["expires_at"] is None for secret in endpoint["secrets"]] == [True, *[False] * 6]


async def test_rotating_again_with_the_same_key_shows_the_same_secret_and_changes_nothing(
    application: Application,
) -> None:
    endpoint_id, key = await configured_id(application), uuid4().hex
    answers = [
        await application.change_endpoints.rotate_secret("default", key, endpoint_id, Rotation()) for _ in range(2)
    ]
    assert [isinstance(answer, Answer) and answer.replayed for answer in answers] == [False, True]
    [endpoint] = await application.store.webhook_endpoints.find().to_list()
    assert len(endpoint["secrets"]) == 2


@pytest.mark.parametrize("merchant", ["default", "other"])
async def test_what_is_not_there_or_not_yours_cannot_be_rotated(application: Application, merchant: str) -> None:
    endpoint_id = "we_nothing" if merchant == "default" else await configured_id(application)
    answer = await application.change_endpoints.rotate_secret(merchant, uuid4().hex, endpoint_id, Rotation())
    assert answer == NotFound("webhook endpoint")


async def test_the_endpoint_of_the_environment_gets_the_events_of_the_only_merchant(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    hashed = Secret(f"alice:{hashlib.sha256(b'sk_1').hexdigest()}")
    async with make_application(payment_gateway_api_keys=(hashed,)) as application:
        assert isinstance(await application.create_money.charge("alice", "key", asked()), Answer)
        await settle_and_deliver(application)
    assert len(receiver.asked) == 1


async def test_a_deleted_endpoint_answers_its_key_and_is_shown_to_nobody(application: Application) -> None:
    """A request that comes again makes no second endpoint."""
    asked, key = NewEndpoint("http://127.0.0.1:1/hooks"), uuid4().hex
    answer = await application.change_endpoints.add("default", key, asked)
    assert isinstance(answer, Answer)
    endpoint_id = answer.resource_id
    assert await application.change_endpoints.delete("default", endpoint_id)
    assert not await application.change_endpoints.delete("default", endpoint_id)
    again = await application.change_endpoints.add("default", key, asked)
    assert isinstance(again, Answer)
    assert (again.body, again.replayed) == (answer.body, True)
    change, gone = application.change_endpoints, NotFound("webhook endpoint")
    assert await change.change("default", endpoint_id, Change(state="enabled")) == gone
    assert await change.rotate_secret("default", "k", endpoint_id, Rotation()) == gone
    [left] = await find_endpoints(application.store, {"merchant": "default"})
    assert left.id != endpoint_id
    stored = await application.store.webhook_endpoints.find_one({"_id": endpoint_id})
    assert stored is not None
    assert stored["gone_at"] == stored["keys"][0]["expires_at"]


async def test_the_endpoint_of_the_environment_comes_back_at_the_next_start(make_application: MakeApplication) -> None:
    async with make_application() as one:
        assert await one.change_endpoints.delete("default", await configured_id(one))
        assert await find_endpoints(one.store, {}) == []
    async with make_application() as later:
        [endpoint] = await find_endpoints(later.store, {})
        assert (endpoint.state, endpoint.gone_at, endpoint.generation) == ("enabled", None, 2)


async def test_a_merchant_has_a_hundred_endpoints_at_most(application: Application) -> None:
    await application.change_endpoints.delete("default", await configured_id(application))
    made = [await add(application, f"http://127.0.0.1:1/{number}") for number in range(ENDPOINTS_MAX)]
    asked, key = NewEndpoint("http://127.0.0.1:1/more"), uuid4().hex
    assert await application.change_endpoints.add("default", key, asked) == TooManyEndpoints()
    await add(application, "http://127.0.0.1:1/other", merchant="other")
    await application.change_endpoints.delete("default", made[0].id)
    assert isinstance(await application.change_endpoints.add("default", key, asked), Answer)


@pytest.mark.parametrize("there", [0, ENDPOINTS_MAX - 1])
async def test_endpoints_that_are_made_at_once_on_two_replicas_are_a_hundred_at_most(
    make_application: MakeApplication, there: int
) -> None:
    async with make_application(webhook_endpoint_url=None) as one, make_application(webhook_endpoint_url=None) as other:
        await asyncio.gather(*(add(one, f"http://127.0.0.1:1/{number}") for number in range(there)))
        asked, more = NewEndpoint("http://127.0.0.1:1/more"), ENDPOINTS_MAX - there + 20
        replicas = [(one, other)[number % 2] for number in range(more)]
        keys = [uuid4().hex for _ in replicas]

        async def ask() -> list[str | None]:
            """The body of each answer; None where there are too many."""
            pairs = zip(replicas, keys, strict=True)
            made = await asyncio.gather(*(one.change_endpoints.add("default", key, asked) for one, key in pairs))
            return [outcome.body if isinstance(outcome, Answer) else None for outcome in made]

        bodies = await ask()
        assert len(await find_endpoints(one.store, {"merchant": "default"})) == ENDPOINTS_MAX
        assert bodies.count(None) == 20
        assert await ask() == bodies, "each key has its answer, though there is no place left"


async def test_endpoints_of_an_earlier_version_and_that_of_the_environment_count(
    make_application: MakeApplication, application: Application
) -> None:
    """They are given a place at a start; until then they count, but not for what is made at the same moment."""
    for number in range(ENDPOINTS_MAX - 1):
        await add(application, f"http://127.0.0.1:1/{number}")
    asked = NewEndpoint("http://127.0.0.1:1/more")
    await application.store.webhook_endpoints.update_many({}, {"$unset": {"place": ""}})
    assert await application.change_endpoints.add("default", uuid4().hex, asked) == TooManyEndpoints()
    async with make_application(), make_application():
        endpoints = await find_endpoints(application.store, {"merchant": "default"})
    assert {one.place for one in endpoints} == {*range(ENDPOINTS_MAX)}


async def test_a_full_merchant_has_the_endpoint_of_the_environment_besides(
    make_application: MakeApplication,
) -> None:
    """The operator says so, and a start must not fail of what merchants have made."""
    async with make_application(webhook_endpoint_url=None) as one:
        await asyncio.gather(*(add(one, f"http://127.0.0.1:1/{number}") for number in range(ENDPOINTS_MAX)))
    async with make_application() as later:
        assert len(await find_endpoints(later.store, {"merchant": "default"})) == ENDPOINTS_MAX + 1


async def test_endpoints_and_their_rotations_have_one_name_space_of_keys(application: Application) -> None:
    key, endpoint = uuid4().hex, await add(application, "http://127.0.0.1:1/one")
    asked = NewEndpoint("http://127.0.0.1:1/other")
    assert isinstance(await application.change_endpoints.add("default", key, asked), Answer)
    assert await application.change_endpoints.rotate_secret("default", key, endpoint.id, Rotation()) == KeyReused()
    past = {"$set": {"keys.$[].expires_at": utc_now() - timedelta(seconds=1)}}
    await application.store.webhook_endpoints.update_many({"keys.0": {"$exists": True}}, past)
    assert isinstance(await application.change_endpoints.rotate_secret("default", key, endpoint.id, Rotation()), Answer)
    assert await application.change_endpoints.add("default", key, asked) == KeyReused()


async def test_an_endpoint_remembers_a_hundred_requests(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.webhooks.endpoint.KEYS_MAX", 3)
    endpoint = await add(application, "http://127.0.0.1:1/one")
    for _ in range(2):
        await rotate(application, endpoint.id)
    assert (
        await application.change_endpoints.rotate_secret("default", "more", endpoint.id, Rotation())
        == TooManyRotations()
    )
