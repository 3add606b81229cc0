"""The rest of an order's life, with both services as real processes: refunds, cancelling in flight, dead letters."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, cast
from uuid import uuid4

import aiohttp

from order_api.calls import ATTEMPTS_MAX
from shared.mongo import Database
from shared.times import rfc3339, utc_now
from tests.e2e.conftest import Api, StartStack, ends, order_body, put_faults, set_clock
from tests.programs import order_api
from tests.waiting import until

Databases = tuple[Database, Database]
Json = dict[str, Any]


async def refund(api: Api, order: Json, body: Json, key: str = "") -> tuple[int, dict[str, str], Json]:
    headers = {"Idempotency-Key": key or uuid4().hex}
    return await api.call("POST", f"/api/orders/{order['id']}/refunds", json=body, headers=headers)


async def cancel(api: Api, order: Json) -> tuple[int, Json]:
    status, _, body = await api.call("POST", f"/api/orders/{order['id']}/cancel")
    return status, body


async def test_a_paid_order_is_refunded_in_part_and_then_the_rest(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        api = Api(http, stack.order_apis[0].url)
        order = await ends(api, (await api.place(order_body()))[2]["id"], "Paid")
        status, headers, asked = await refund(api, order, {"amount": 10.00}, "part")
        assert (status, asked["state"], asked["amount"], asked["cause"]) == (202, "requested", 10.00, "merchant")
        assert (await refund(api, order, {"amount": "10"}, "part"))[1]["idempotent-replayed"] == "true"
        await ends(api, order["id"], "PartiallyRefunded")
        status, _, shown = await api.call("GET", headers["location"])
        assert (status, shown["id"], shown["state"]) == (200, asked["id"], "succeeded")
        assert (await refund(api, order, {"amount": 90}))[0] == 409
        assert (await refund(api, order, {}))[2]["amount"] == 89.99
        order = await ends(api, order["id"], "Refunded")
        assert order["refundedAmount"] == 99.99
        [charge] = await databases[1]["charges"].find().to_list()
        assert sum(one["amount"] for one in charge["refunds"]) == charge["amount"] == 9999
        problem = (await cancel(api, order))[1]
        assert problem["type"] == "/problems/not-cancellable"


async def charged(api: Api, order: Json) -> Json:
    """The order, once the provider is known to have its charge."""
    found: Json = {}

    async def has_charge() -> bool:
        found.update((await api.call("GET", f"/api/orders/{order['id']}"))[2])
        return bool(found["charges"])

    await until(has_charge, f"{order['id']} is charged")
    return found


async def given_back(api: Api, databases: Databases, order: Json) -> Json:
    """The cancelled order, once all that was taken for it is given back, as both sides tell it."""

    async def is_given_back() -> bool:
        shown = (await api.call("GET", f"/api/orders/{order['id']}"))[2]
        return [refund["state"] for refund in shown["refunds"]] == ["succeeded"]

    await until(is_given_back, f"{order['id']} is given back")
    shown: Json = (await api.call("GET", f"/api/orders/{order['id']}"))[2]
    [charge] = await databases[1]["charges"].find({"reference": order["id"]}).to_list()
    assert sum(one["amount"] for one in charge["refunds"]) == charge["amount"] == 9999
    [refund] = shown["refunds"]
    assert (shown["status"], refund["cause"], refund["amount"]) == ("Cancelled", "cancelled", 99.99)
    return shown


async def test_c2_an_order_that_is_cancelled_while_it_is_charged_ends_cancelled_with_the_money_given_back(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        set_clock(stack, "freeze")
        api = Api(http, stack.order_apis[0].url)
        order = await charged(api, (await api.place(order_body()))[2])
        status, cancelled = await cancel(api, order)
        assert (status, cancelled["status"]) == (200, "Cancelled")
        set_clock(stack, "resume")
        await given_back(api, databases, order)
        assert (await cancel(api, order))[0] == 200
        assert (await refund(api, order, {}))[2]["type"] == "/problems/not-refundable"


async def test_a_declined_order_is_paid_again_under_the_same_number(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        api = Api(http, stack.order_apis[0].url)
        order = await ends(api, (await api.place(order_body(paymentMethod="pm_card_declined")))[2]["id"], "Failed")
        path, key = f"/api/orders/{order['id']}/payments", {"Idempotency-Key": "again"}
        for method, replayed in (("pm_card_visa", None), ("pm_card_visa", "true")):
            status, headers, again = await api.call("POST", path, json={"paymentMethod": method}, headers=key)
            assert (status, again["status"], headers.get("idempotent-replayed")) == (202, "Pending", replayed)
        status, _, problem = await api.call("POST", path, json={"paymentMethod": "pm_card_amex"}, headers=key)
        assert (status, problem["type"]) == (422, "/problems/idempotency-key-reused")
        order = await ends(api, order["id"], "Paid")
        assert [(one["state"], one["failureCode"]) for one in order["payments"]] == [
            ("failed", "card_declined"),
            ("succeeded", None),
        ]
        charges = await databases[1]["charges"].find().sort("_id").to_list()
        assert [(one["reference"], one["status"]) for one in charges] == [
            (order["id"], "failed"),
            (f"{order['id']}.2", "succeeded"),
        ]
        assert (await refund(api, order, {}))[0] == 202
        order = await ends(api, order["id"], "Refunded")
        assert (await api.call("POST", path, json={"paymentMethod": "pm_card_visa"}))[2]["status"] == 400
        key = {"Idempotency-Key": "once-more"}
        problem = (await api.call("POST", path, json={"paymentMethod": "pm_card_visa"}, headers=key))[2]
        assert (problem["type"], problem["detail"]) == ("/problems/not-payable", "the order is Refunded")


async def test_c22_with_every_webhook_dropped_reconciliation_alone_settles_payment_refund_and_cancellation(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    with start_stack(RECONCILE_AFTER_SECONDS="1") as stack:
        put_faults(stack, {"rates": {"webhook_dropped": 1}})
        set_clock(stack, "freeze")
        api = Api(http, stack.order_apis[0].url)
        paid, in_flight = [(await api.place(order_body()))[2] for _ in range(2)]
        await cancel(api, await charged(api, in_flight))
        set_clock(stack, "resume")
        await ends(api, paid["id"], "Paid")
        assert (await refund(api, paid, {}))[0] == 202
        await ends(api, paid["id"], "Refunded")
        await given_back(api, databases, in_flight)
        sources = await databases[0]["payment_events"].distinct("source")
        assert sources == ["reconcile"]


async def test_c22_what_the_provider_does_unasked_is_heard_of_though_its_webhook_is_lost_for_ever(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    began = utc_now()
    with start_stack(RECONCILE_AFTER_SECONDS="1") as stack:
        put_faults(stack, {"rates": {"webhook_dropped": 1}})
        api, gateway = Api(http, stack.order_apis[0].url), stack.gateways[0].url
        disputed, refunded = [await ends(api, (await api.place(order_body()))[2]["id"], "Paid") for _ in range(2)]

        async def provider(path: str, body: Json) -> Json:
            headers = {"Authorization": f"Bearer {stack.api_key}", "Idempotency-Key": uuid4().hex}
            async with http.post(f"{gateway}/v1/{path}", json=body, headers=headers) as response:
                assert response.status in {200, 201}, await response.text()
                return cast("Json", await response.json())

        [charge] = disputed["charges"]
        dispute = await provider(f"test/charges/{charge['id']}/dispute", {"amount": 4000})
        [charge] = refunded["charges"]
        await provider(f"charges/{charge['id']}/refunds", {"amount": 1000, "reference": "by-hand"})
        await until(announced(databases[1], "dispute.created", "refund.succeeded"), "the provider has told nobody")
        assert [(await shown(api, one["id"]))["disputes"] for one in (disputed, refunded)] == [[], []]

        async def sweep() -> None:
            swept = await order_api("sweep", "--since", rfc3339(began), **stack.order_apis[0].environment)
            assert (swept.returncode, swept.stderr) == (0, "")

        await sweep()
        order = await ends(api, refunded["id"], "PartiallyRefunded")
        assert [(one["cause"], one["amount"]) for one in order["refunds"]] == [("provider", 10.00)]
        order = await shown(api, disputed["id"])
        assert (order["disputedAmount"], [one["state"] for one in order["disputes"]]) == (40.00, ["open"])
        assert (await refund(api, order, {"amount": 60}))[2]["detail"].endswith(f"disputed by {dispute['id']}")

        await provider(f"test/disputes/{dispute['id']}/close", {"outcome": "won"})

        async def is_over() -> bool:
            reviews = (await shown(api, disputed["id"]))["reviews"]
            return [one["resolvedAt"] is None for one in reviews] == [False]

        await until(is_over, "the review closes by itself")
        assert (await refund(api, order, {}))[2]["amount"] == 99.99


async def shown(api: Api, order_id: str) -> Json:
    found: Json = (await api.call("GET", f"/api/orders/{order_id}"))[2]
    return found


def announced(gateway: Database, *types: str) -> Callable[[], Awaitable[bool]]:
    async def are_there() -> bool:
        return {*types} <= {*await gateway["events"].distinct("type")}

    return are_there


async def test_c13_a_dead_letter_whose_reply_was_lost_is_redriven_into_the_one_charge_that_is_there(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    """The provider has even forgotten the key: it is asked for the charge before anything is posted."""
    orders, gateway = databases
    with start_stack(RECONCILE_AFTER_SECONDS="3600") as stack:
        put_faults(stack, {"rates": {"reply_lost": 1}})
        set_clock(stack, "freeze")  # the event of the charge would end the message
        api = Api(http, stack.order_apis[0].url)
        order = (await api.place(order_body()))[2]

        async def is_dead() -> bool:
            tried = {"calls": {"$elemMatch": {"state": "open", "claim": None, "attempts": {"$gt": 0}}}}
            last = {"$set": {"calls.0.attempts": ATTEMPTS_MAX - 1}, "$inc": {"version": 1}}
            await orders["orders"].update_one(tried, last)
            return bool((await api.call("GET", "/api/outbox?state=dead"))[2]["data"])

        await until(is_dead, "the message is dead")
        put_faults(stack, {"rates": {}})
        await gateway["charges"].update_many({}, {"$set": {"keys": []}})  # as a day later
        [message] = (await api.call("GET", "/api/outbox?state=dead"))[2]["data"]
        assert message["orderId"] == order["id"]
        assert "may have been charged" in message["explanation"]
        status, _, redriven = await api.call("POST", f"/api/outbox/{message['id']}/redrive")
        assert (status, redriven["state"], redriven["redrives"]) == (202, "ready", 1)
        shown = await charged(api, order)
        assert [(review["code"], review["decision"]) for review in shown["reviews"]] == [("dead-letter", "redriven")]
        assert (await api.call("POST", f"/api/outbox/{message['id']}/redrive"))[0] == 409
        assert await gateway["charges"].count_documents({}) == 1


async def test_c15_a_wrong_api_key_for_a_while_loses_no_order_and_kills_no_message(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        order_api = stack.order_apis[0]
        order_api.stop()
        right = order_api.environment["PAYMENT_GATEWAY_API_KEY"]
        order_api.environment["PAYMENT_GATEWAY_API_KEY"] = "wrong"
        order_api.start()
        api = Api(http, order_api.url)
        placed = [(await api.place(order_body()))[2]["id"] for _ in range(3)]

        async def is_refused() -> bool:
            return await databases[0]["orders"].count_documents({"calls.tries.outcome": "unavailable"}) == 3

        await until(is_refused, "every message has met the wrong key")
        order_api.stop()
        order_api.environment["PAYMENT_GATEWAY_API_KEY"] = right
        order_api.start()
        for order_id in placed:
            assert (await ends(api, order_id, "Paid"))["reviews"] == []
        assert await databases[1]["charges"].count_documents({}) == 3


async def test_a_merchant_sees_and_changes_nothing_of_anothers(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    keys = ",".join(f"{name}:{sha256(name.encode()).hexdigest()}" for name in ("mine", "yours"))
    with start_stack(ORDER_API_KEYS=keys) as stack:
        api = Api(http, stack.order_apis[0].url)
        mine, yours = ({"Authorization": f"Bearer {name}"} for name in ("mine", "yours"))
        order = (await api.place(order_body(), **mine))[2]
        order = await ends(api, order["id"], "Paid", headers=mine)
        path = f"/api/orders/{order['id']}"
        key = {"Idempotency-Key": "key"}
        asked = (await api.call("POST", f"{path}/refunds", json={"amount": 1}, headers={**mine, **key}))[2]
        [message, *_] = (await api.call("GET", "/api/outbox", headers=mine))[2]["data"]
        assert (await api.call("GET", "/api/outbox", headers=yours))[2]["data"] == []
        for method, theirs, body in (
            ("POST", f"{path}/cancel", None),
            ("POST", f"{path}/refunds", {}),
            ("POST", f"{path}/payments", {"paymentMethod": "pm_card_visa"}),
            ("GET", f"{path}/refunds/{asked['id']}", None),
            ("POST", f"{path}/reviews/second-charge/resolve", {"decision": "accept"}),
            ("POST", f"/api/outbox/{message['id']}/redrive", None),
        ):
            status, _, problem = await api.call(method, theirs, json=body, headers={**yours, **key})
            assert (status, problem["type"]) == (404, "/problems/not-found"), theirs
