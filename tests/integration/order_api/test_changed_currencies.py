"""Orders in a currency that ISO has withdrawn since, or that has other decimals now: they stay as they are."""

import httpx
import pytest

from order_api.app import Application
from order_api.order import Order
from shared import money
from tests.http_double import HttpDouble
from tests.integration.order_api.conftest import (
    accept_everything,
    charge_of,
    client_of,
    event_bytes,
    expire,
    received,
    refund_of,
    stored_order,
)
from tests.integration.order_api.test_orders_over_http import Json, body, get, listed, post


@pytest.fixture
async def withdrawn(application: Application, monkeypatch: pytest.MonkeyPatch) -> tuple[Order, Json, httpx.Response]:
    """An order, what was sent to place it under the key "placed" and what that was answered; then its currency went."""
    sent = body(currency="ZZZ", amount="7.125")
    with monkeypatch.context() as patch:
        patch.setitem(money._EXPONENTS, "ZZZ", 3)
        async with client_of(application) as client:
            answer = await post(client, "/api/orders", sent, key="placed")
    assert answer.status_code == 201
    order = await stored_order(application, answer.json()["id"])
    assert (order.amount_minor, order.exponent) == (7125, 3)
    return order, sent, answer


async def test_an_order_in_a_withdrawn_currency_is_read_listed_charged_and_refunded(
    application: Application, provider: HttpDouble, withdrawn: tuple[Order, Json, httpx.Response]
) -> None:
    order, _, _ = withdrawn
    provider.answer = accept_everything
    await application.dispatch_outbox.work.run_once()
    [charge] = (await stored_order(application, order.id)).charges
    assert await application.record_events(received(event_bytes(charge_of(order, id=charge.id)))) == "applied"
    async with client_of(application) as client:
        shown = await get(client, f"/api/orders/{order.id}")
        assert (shown["status"], shown["amount"], shown["currency"]) == ("Paid", 7.125, "ZZZ")
        assert await listed(client, status="Paid") == [order.id]
        answer = await post(client, f"/api/orders/{order.id}/refunds", {"amount": "1.025"})
        assert (answer.status_code, answer.json()["amount"]) == (202, 1.025)
        refused = await post(client, f"/api/orders/{order.id}/refunds", {"amount": "1.0001"})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/amount")
        refunded = refund_of(await stored_order(application, order.id))
        await application.record_events(received(event_bytes(refunded, "refund.succeeded")))
        shown = await get(client, f"/api/orders/{order.id}")
        assert (shown["status"], shown["refundedAmount"]) == ("PartiallyRefunded", 1.025)
        assert (await get(client, f"/api/orders/{order.id}/timeline"))["data"][0]["amount"] == 7.125


async def test_an_order_in_a_withdrawn_currency_is_cancelled_or_paid_again(
    application: Application, withdrawn: tuple[Order, Json, httpx.Response]
) -> None:
    order, _, _ = withdrawn
    failed = charge_of(order, status="failed", failure_code="card_declined")
    await application.record_events(received(event_bytes(failed, "payment.failed")))
    async with client_of(application) as client:
        answer = await post(client, f"/api/orders/{order.id}/payments", {"paymentMethod": "pm_card_amex"})
        assert (answer.status_code, answer.json()["status"]) == (202, "Pending")
        answer = await client.post(f"/api/orders/{order.id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "Cancelled")


async def test_placing_again_in_a_withdrawn_currency_is_answered_as_at_first_and_a_new_order_is_refused(
    application: Application, withdrawn: tuple[Order, Json, httpx.Response]
) -> None:
    order, sent, first = withdrawn
    await application.record_events(received(event_bytes(charge_of(order))))
    async with client_of(application) as client:
        for amount in ("7.125", "7.1250"):
            again = await post(client, "/api/orders", {**sent, "amount": amount}, key="placed")
            assert (again.status_code, again.content) == (201, first.content)
            assert again.headers["location"] == first.headers["location"]
            assert again.headers["idempotent-replayed"] == "true"
        other = await post(client, "/api/orders", {**sent, "amount": "7.126"}, key="placed")
        assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
        await expire(application, "placed")
        for key in ("placed", ""):
            new = await post(client, "/api/orders", body(currency="ZZZ"), key=key)
            assert (new.status_code, new.json()["errors"][0]["pointer"]) == (422, "/currency")
    assert await application.store.orders.count_documents({}) == 1


async def test_a_currency_that_has_other_decimals_now_changes_no_order(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = body(amount="99.99")
    async with client_of(application) as client:
        first = await post(client, "/api/orders", sent, key="placed")
        monkeypatch.setitem(money._EXPONENTS, "USD", 0)
        again = await post(client, "/api/orders", sent, key="placed")
        assert (again.status_code, again.content) == (201, first.content)
        assert (await get(client, f"/api/orders/{first.json()['id']}"))["amount"] == 99.99
        new = await post(client, "/api/orders", body(amount="99.99"))
        assert (new.status_code, new.json()["errors"][0]["pointer"]) == (422, "/amount")
