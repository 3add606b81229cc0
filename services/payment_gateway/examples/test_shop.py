"""What a service owes its customers, whatever the provider does."""

from conftest import Gateway, Service, until

ORDER = {"id": "order-1", "amount": 1000, "paymentMethod": "pm_card_visa"}


async def test_an_event_that_comes_three_times_counts_once(gateway: Gateway, service: Service) -> None:
    await gateway.misbehave(webhook_duplicated=1)
    assert await service.place_order(**ORDER) == 201
    await gateway.advance_clock(hours=1)
    assert len(await delivered(gateway)) == 3
    assert service.shop.paid == {"order-1": 1000}


async def test_a_reply_that_is_lost_charges_the_customer_once(gateway: Gateway, service: Service) -> None:
    # The first reply is lost after the charge was made; the second is true.
    assert await service.place_order(**{**ORDER, "paymentMethod": "pm_lost|pm_card_visa"}) == 201
    await gateway.advance_clock(hours=1)
    assert len((await gateway.call("GET", "/v1/charges?reference=order-1"))["data"]) == 1
    assert service.shop.paid == {"order-1": 1000}


async def test_after_72_hours_of_outage_nothing_is_missing(gateway: Gateway, service: Service) -> None:
    before = (await gateway.call("POST", "/v1/test/clock", {"action": "freeze"}))["now"]
    assert await service.place_order(**ORDER) == 201
    await service.stop()
    await gateway.advance_clock(hours=72)
    assert service.shop.paid == {"order-1": 0}
    await service.start()
    await gateway.call("POST", f"/v1/webhook-endpoints/{service.endpoint['id']}/resend", {"since": before})

    async def is_paid() -> bool:
        return service.shop.paid == {"order-1": 1000}

    await until(is_paid)


async def delivered(gateway: Gateway) -> list[object]:
    found: list[object] = (await gateway.call("GET", "/v1/deliveries?state=delivered"))["data"]
    return found
