"""The steps of `make demo`. Each checks what it claims."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tools.demo_shop import Shop, expect, is_problem, slug
from tools.stack import Credentials

Say = Callable[[str], None]


async def _an_order_that_is_paid(shop: Shop, say: Say) -> None:
    status, order, _ = await shop.place("demo-1", {"orderNumber": "DEMO-1", "amount": 99.99, "currency": "USD"})
    expect(status == 201 and order["status"] == "Pending", "201 and Pending", f"{status} {order}")
    say(f"{status} {order['status']}, 99.99 USD")
    shop.paid = await shop.settled(order["id"])
    expect(shop.paid["status"] == "Paid", "the order is paid", f"it is {shop.paid}")
    say(f"{shop.paid['status']} by a signed webhook")


async def _an_order_that_is_declined(shop: Shop, say: Say) -> None:
    wanted = {"orderNumber": "DEMO-2", "amount": "5000", "currency": "JPY", "paymentMethod": "pm_card_declined"}
    status, order, _ = await shop.place("demo-2", wanted)
    expect(status == 201 and order["status"] == "Pending", "201 and Pending", f"{status} {order}")
    say(f"{status} {order['status']}, 5000 JPY")
    shop.declined = await shop.settled(order["id"])
    codes = [charge["failureCode"] for charge in shop.declined["charges"]]
    expect((shop.declined["status"], codes) == ("Failed", ["card_declined"]), "it failed", f"it is {shop.declined}")
    say(f"{shop.declined['status']}: {codes[0]}")


async def _one_request_five_times(shop: Shop, say: Say) -> None:
    wanted = {"orderNumber": "DEMO-3", "amount": "12.500", "currency": "KWD"}
    answers = await asyncio.gather(*(shop.place("demo-3", wanted) for _ in range(5)))
    bodies, replays = [body for _, body, _ in answers], sum(replayed for _, _, replayed in answers)
    same = all(status == 201 and body == bodies[0] for status, body, _ in answers)
    expect(same and replays == 4, "the same 201 five times, four of them replays", str(answers))
    say(f"5 x 201, one order; {replays} are replays")
    order = await shop.settled(bodies[0]["id"])
    orders, charges = await shop.orders_numbered("DEMO-3"), await shop.charges_of(order)
    counted = (order["status"], len(orders), len(charges))
    expect(counted == ("Paid", 1, 1), "one order, one charge, paid", f"{orders}, {charges}")
    say(f"{order['status']}: {len(orders)} order, {len(charges)} charge")


async def _the_same_key_for_another_body(shop: Shop, say: Say) -> None:
    status, problem, _ = await shop.place("demo-1", {"orderNumber": "DEMO-4", "amount": 1.00, "currency": "USD"})
    expect(is_problem(problem, status, 422, "idempotency-key-reused"), "422", f"{status} {problem}")
    orders = await shop.orders_numbered("DEMO-4")
    expect(not orders, "no order DEMO-4", str(orders))
    say(f"{status} {slug(problem)}")


async def _a_forged_webhook(shop: Shop, say: Say) -> None:
    claim = (await shop.event_bytes(shop.declined)).replace(b"payment.failed", b"payment.succeeded")
    claim = claim.replace(b'"failed"', b'"succeeded"')
    status, problem = await shop.send_webhook(claim, secret=Credentials.new().webhook_secret)
    expect(is_problem(problem, status, 401, "invalid-signature"), "401", f"{status} {problem}")
    order = await shop.order(shop.declined["id"])
    expect(order == shop.declined, "DEMO-2 unchanged", str(order))
    say(f"{status} {slug(problem)}; still {order['status']}")


async def _a_webhook_replayed(shop: Shop, say: Say) -> None:
    status, receipt = await shop.send_webhook(await shop.event_bytes(shop.paid), secret=shop.webhook_secret)
    expect((status, receipt) == (200, {"outcome": "duplicate"}), "200 duplicate", f"{status} {receipt}")
    order, events = await shop.order(shop.paid["id"]), await shop.events_of(shop.paid)
    expect(order == shop.paid and len(order["charges"]) == 1, "DEMO-1 unchanged, with one charge", str(order))
    expect([event["timesReceived"] for event in events] == [2], "one event, received twice", str(events))
    say(f"{status} {receipt['outcome']}; {order['status']}, {len(order['charges'])} charge")


async def _a_refund_in_two_parts(shop: Shop, say: Say) -> None:
    status, part = await shop.refund("demo-part", shop.paid, {"amount": 40.00})
    expect((status, part.get("state")) == (202, "requested"), "202 and requested", f"{status} {part}")
    order = await shop.once(shop.paid["id"], "it is refunded in part", lambda one: one["status"] == "PartiallyRefunded")
    say(f"{status} {part['state']}; {order['status']}: 40.00 USD")
    status, rest = await shop.refund("demo-rest", shop.paid, {})
    expect((status, rest.get("amount")) == (202, 59.99), "202 for the rest", f"{status} {rest}")
    order = await shop.once(shop.paid["id"], "it is refunded", lambda one: one["status"] == "Refunded")
    [charge] = await shop.charges_of(order)
    books = (order["refundedAmount"], charge["amountRefunded"])
    expect(books == (99.99, 9999), "both sides say that all was given back", str(books))
    say(f"{order['status']}: {order['refundedAmount']} USD, so say both sides")


async def _an_order_cancelled_in_flight(shop: Shop, say: Say) -> None:
    _, placed, _ = await shop.place("demo-5", {"orderNumber": "DEMO-5", "amount": 20.00, "currency": "USD"})
    await shop.once(placed["id"], "the provider has its charge", lambda one: bool(one["charges"]))
    status, order = await shop.cancel(placed)
    expect((status, order.get("status")) == (200, "Cancelled"), "200 and Cancelled", f"{status} {order}")
    say(f"{status} {order['status']}, the charge still {order['charges'][0]['state']}")
    order = await shop.once(
        placed["id"],
        "its charge succeeds and is given back",
        lambda one: [refund["state"] for refund in one["refunds"]] == ["succeeded"],
    )
    [charge], [refund] = await shop.charges_of(order), order["refunds"]
    books = (order["status"], refund["amount"], charge["status"], charge["amountRefunded"])
    expect(books == ("Cancelled", 20.00, "succeeded", 2000), "both sides say that it was given back", str(books))
    say(f"charged, and given back by itself; {order['status']}")


async def _an_order_whose_replies_are_lost(shop: Shop, say: Say) -> None:
    wanted = {
        "orderNumber": "DEMO-6",
        "amount": 7.5,
        "currency": "EUR",
        "paymentMethod": "pm_lost|pm_lost|pm_card_visa",
    }
    _, placed, _ = await shop.place("demo-6", wanted)
    shop.survivor = await shop.settled(placed["id"])
    moments, charges = await shop.timeline_of(shop.survivor), await shop.charges_of(shop.survivor)
    attempts = [moment["state"] for moment in moments if moment["kind"] == "attempt"]
    expect(attempts[:1] == ["unavailable"], "the first attempt got no answer", str(moments))
    expect((shop.survivor["status"], len(charges)) == ("Paid", 1), "paid, with one charge", str(shop.survivor))
    say(f"{attempts.count('unavailable')} replies lost; {shop.survivor['status']}: {len(charges)} charge")


async def _a_declined_order_paid_again(shop: Shop, say: Say) -> None:
    status, order = await shop.pay_again("demo-again", shop.declined, "pm_card_visa")
    expect((status, order.get("status")) == (202, "Pending"), "202 and Pending", f"{status} {order}")
    say(f"{status} {order['status']}, with another card")
    order = await shop.settled(order["id"])
    states = [payment["state"] for payment in order["payments"]]
    expect((order["status"], states) == ("Paid", ["failed", "succeeded"]), "the second payment paid it", str(order))
    say(f"{order['status']}: payments {states[0]}, {states[1]}; still order {order['orderNumber']}")


class Step(NamedTuple):
    title: str
    why: str
    play: Callable[[Shop, Say], Awaitable[None]]


STEPS = (
    Step(
        "An order that is paid",
        "Order, key and the call to the provider are one document: no crash splits them.",
        _an_order_that_is_paid,
    ),
    Step(
        "An order that is declined",
        "A decline is an answer, not an error: the order says Failed, and why.",
        _an_order_that_is_declined,
    ),
    Step(
        "One request, 5 times at once",
        "Whoever got no answer asks again with the same key: one order, one charge.",
        _one_request_five_times,
    ),
    Step(
        "The same key, another body",
        "One key, one request: any other answer would hide a client's mistake.",
        _the_same_key_for_another_body,
    ),
    Step(
        "A forged webhook",
        "Anybody can post to this URL: only the secret makes an order Paid.",
        _a_forged_webhook,
    ),
    Step(
        "A webhook replayed",
        "Providers deliver more than once: it counts once, and the trail shows both.",
        _a_webhook_replayed,
    ),
    Step(
        "A declined order, paid again",
        "The customer has another card: the same order, a new attempt with a reference of its own.",
        _a_declined_order_paid_again,
    ),
    Step(
        "A refund in two parts",
        "A refund reserves its amount first: however many at once, never more than was paid.",
        _a_refund_in_two_parts,
    ),
    Step(
        "An order cancelled in flight",
        "Too late to stop the charge: whatever it brings is given back by itself.",
        _an_order_cancelled_in_flight,
    ),
    Step(
        "An order whose replies are lost",
        "Without an answer the charge may have been made: it is asked for again with the same key.",
        _an_order_whose_replies_are_lost,
    ),
)
