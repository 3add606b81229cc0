"""The rest of an order's life, with both services as real processes: refunds, cancelling in flight, dead letters."""

from typing import Any
from uuid import uuid4

import aiohttp

from shared.mongo import Database
from tests.e2e.conftest import Api, StartStack, ends, order_body

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
        assert charge["amount_refunded"] == charge["amount"] == 9999
        problem = (await cancel(api, order))[1]
        assert problem["type"] == "/problems/not-cancellable"
