"""Orders as the HTTP API takes and shows them, with a real database behind it."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import httpx
import pytest

from order_api.app import Application
from order_api.order import Order
from shared.times import rfc3339
from tests.integration.conftest import FailCommand
from tests.integration.order_api.conftest import (
    charge_of,
    client_of,
    dispute_of,
    document_of,
    event_bytes,
    expire,
    paid,
    place,
    received,
)
from tests.scraping import profiled, value

Json = dict[str, Any]
_UNAUTHORIZED = 13
UNREADABLE = "order_api_unreadable_documents_total"


def body(**changes: Any) -> Json:
    return {"orderNumber": f"ORD-{uuid4().hex[:12]}", "amount": 99.99, "currency": "USD", **changes}


async def post(client: httpx.AsyncClient, path: str, sent: Json, *, key: str = "") -> httpx.Response:
    return await client.post(path, json=sent, headers={"Idempotency-Key": key or uuid4().hex})


async def get(client: httpx.AsyncClient, path: str, **query: str) -> Json:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    shown: Json = answer.json()
    return shown


async def listed(client: httpx.AsyncClient, **query: str) -> list[str]:
    return [order["id"] for order in (await get(client, "/api/orders", **query))["data"]]


async def spoil(application: Application, order: Order) -> None:
    unset = {"$unset": {"currency": ""}}
    await application.store.orders.update_one({"_id": order.id}, unset, bypass_document_validation=True)


# What the database refuses


@pytest.mark.parametrize(
    ("command", "method", "path"),
    [
        ("insert", "POST", "/api/orders"),
        ("aggregate", "POST", "/api/orders/{id}/cancel"),
        ("find", "GET", "/api/orders/{id}"),
        ("aggregate", "GET", "/api/orders"),
    ],
)
async def test_c7_what_the_database_refuses_for_good_is_500_with_the_requests_id(
    application: Application, fail_command: FailCommand, command: str, method: str, path: str
) -> None:
    async with client_of(application) as client:
        order = (await post(client, "/api/orders", body())).json()
        refused = value("database_errors_total", kind="refused")
        await fail_command("order_api", [command], times="always", errorCode=_UNAUTHORIZED)
        sent = body() if path == "/api/orders" and method == "POST" else None
        answer = await client.request(
            method, path.format(**order), json=sent, headers={"Idempotency-Key": "k"} if sent else {}
        )
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal")
    assert answer.json()["instance"] == answer.headers["x-request-id"]
    assert "retry-after" not in answer.headers
    assert value("database_errors_total", kind="refused") > refused


# Order numbers


@pytest.mark.parametrize("number", ["Order 7", "a b c", "№ 尺 寸", "2026/11 28"])
async def test_single_spaces_may_stand_in_an_order_number(application: Application, number: str) -> None:
    async with client_of(application) as client:
        answer = await post(client, "/api/orders", body(orderNumber=number))
        assert (answer.status_code, answer.json()["orderNumber"]) == (201, number)
        assert await listed(client, orderNumber=number) == [answer.json()["id"]]


@pytest.mark.parametrize("number", ["a  b", " a", "a ", " ", "a \u00a0b", "a\u2003b", "a\tb", "a \u0301b", "a\u200b b"])
async def test_other_spaces_in_an_order_number_are_refused(application: Application, number: str) -> None:
    async with client_of(application) as client:
        answer = await post(client, "/api/orders", body(orderNumber=number))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/orderNumber")


# Lists by the time of placing


async def placed_apart(application: Application, number: int) -> list[Order]:
    orders = []
    for _ in range(number):
        orders.append(await place(application))
        await asyncio.sleep(0.005)
    return orders


async def test_orders_are_listed_from_a_time_on_and_before_another(application: Application) -> None:
    orders = await placed_apart(application, 4)
    first, second, third, fourth = (order.id for order in orders)
    at = [rfc3339(order.created_at) for order in orders]
    async with client_of(application) as client:
        assert await listed(client, createdFrom=at[1], createdTo=at[3]) == [third, second]
        assert await listed(client, createdFrom=at[1]) == [fourth, third, second]
        assert await listed(client, createdTo=at[1]) == [first]
        assert await listed(client, createdFrom=at[2], createdTo=at[2]) == []
        assert await listed(client, createdFrom=at[3], createdTo=at[0]) == []
        days = [await listed(client, createdFrom=one, createdTo=other) for one, other in pairwise(at)]
        assert days == [[first], [second], [third]], "what ends one list begins the next"
        offset = rfc3339(orders[1].created_at + timedelta(hours=1)).replace("Z", "+01:00")
        assert await listed(client, createdFrom=offset) == [fourth, third, second]


async def test_a_list_of_a_time_is_filtered_and_paged_like_any_other(application: Application) -> None:
    orders = await placed_apart(application, 5)
    await application.record_events(received(event_bytes(charge_of(orders[2]))))
    between = {"createdFrom": rfc3339(orders[1].created_at), "createdTo": rfc3339(orders[4].created_at)}
    async with client_of(application) as client:
        assert await listed(client, status="Paid", **between) == [orders[2].id]
        seen, cursor = [], ""
        while True:
            page = await get(client, "/api/orders", limit="1", **between, **({"cursor": cursor} if cursor else {}))
            seen += [order["id"] for order in page["data"]]
            if (cursor := page["nextCursor"]) is None:
                break
        assert seen == [orders[3].id, orders[2].id, orders[1].id]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-28",
        "2026-11-28T12:00:00",
        "2026-13-01T00:00:00Z",
        "2026-11-28T12:00:00 01:00",
        "1767225600",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "$gt",
    ],
)
@pytest.mark.parametrize("name", ["createdFrom", "createdTo"])
async def test_a_bound_that_is_no_time_with_its_zone_is_refused_by_name(
    application: Application, name: str, text: str
) -> None:
    async with client_of(application) as client:
        answer = await client.get("/api/orders", params={name: text})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/invalid-fields")
    assert name in problem["errors"][0]["pointer"]


@pytest.mark.parametrize("query", [{}, {"status": "Pending"}, {"review": "event-mismatch"}])
async def test_an_index_serves_a_list_of_a_time(application: Application, query: Json) -> None:
    """It is read between two ids, and nothing beside it."""
    orders = await placed_apart(application, 6)
    if "review" in query:
        for order in orders:
            await application.record_events(received(event_bytes(charge_of(order, amount=1))))
    database = application.store.database
    between = {"createdFrom": rfc3339(orders[2].created_at), "createdTo": rfc3339(orders[4].created_at)}
    async with client_of(application) as client:
        await database.command("profile", 2)
        assert len(await listed(client, **between, **query)) == 2
        await database.command("profile", 0)
    [found] = await database["system.profile"].find({"command.aggregate": "orders"}).to_list()
    assert (found["keysExamined"], found["docsExamined"]) == (2, 2), found["planSummary"]
    command = {"aggregate": "orders", "pipeline": found["command"]["pipeline"], "cursor": {}}
    explained = await database.command("explain", command)
    assert [stage for stage in explained["stages"] if "$sort" in stage] == []
    plan = explained["stages"][0]["$cursor"]["queryPlanner"]["winningPlan"]
    scan = innermost(plan)
    assert (scan["stage"], plan["stage"] == "SORT") == ("IXSCAN", False)
    [bounds] = scan["indexBounds"]["_id"]
    assert bounds.startswith(('["ord_', '("ord_')), bounds
    assert bounds.count("ord_") == 2


async def test_the_calls_of_the_outbox_are_listed_between_two_times(application: Application) -> None:
    orders = await placed_apart(application, 4)
    at = [rfc3339(order.created_at) for order in orders]
    async with client_of(application) as client:
        page = await get(client, "/api/outbox", createdFrom=at[1], createdTo=at[3], limit="1")
        rest = await get(
            client, "/api/outbox", createdFrom=at[1], createdTo=at[3], limit="1", cursor=page["nextCursor"]
        )
    assert [one["orderId"] for one in page["data"] + rest["data"]] == [orders[2].id, orders[1].id]
    assert rest["nextCursor"] is None


async def test_the_audit_trail_of_an_order_is_read_between_two_times_by_an_index(application: Application) -> None:
    order = await place(application)
    events = [received(event_bytes(charge_of(order))) for _ in range(6)]
    began, trail = order.created_at, application.store.payment_events
    for number, event in enumerate(events):
        await application.record_events(event)
        await trail.update_one({"_id": event.id}, {"$set": {"received_at": began + timedelta(minutes=number)}})
    between = {"createdFrom": rfc3339(began + timedelta(minutes=2)), "createdTo": rfc3339(began + timedelta(minutes=4))}
    database = application.store.database
    async with client_of(application) as client:
        await database.command("profile", 2)
        page = await get(client, f"/api/orders/{order.id}/events", **between)
        await database.command("profile", 0)
        refused = await client.get(f"/api/orders/{order.id}/events", params={"createdTo": "yesterday"})
    assert [one["id"] for one in page["data"]] == [events[3].id, events[2].id]
    [read] = await database["system.profile"].find({"command.aggregate": "payment_events"}).to_list()
    assert read["docsExamined"] == 2, read["planSummary"]
    assert refused.json()["errors"][0]["pointer"] == "createdTo"


def innermost(plan: Json) -> Json:
    plan = plan.get("queryPlan", plan)
    while "inputStage" in plan:
        plan = plan["inputStage"]
    return plan


# What cannot be shown


async def test_an_order_that_does_not_decode_is_named_in_the_list_and_counted(application: Application) -> None:
    orders = [await place(application) for _ in range(3)]
    await spoil(application, orders[1])
    before = value(UNREADABLE)
    async with client_of(application) as client:
        page = await get(client, "/api/orders")
        assert [order["id"] for order in page["data"]] == [order.id for order in reversed(orders)]
        assert page["data"][1] == {"id": orders[1].id, "unreadable": True}
        assert [order["status"] for order in page["data"][::2]] == ["Pending", "Pending"]
        assert value(UNREADABLE) == before + 1
        seen, query = [], {"limit": "1"}
        while True:
            page = await get(client, "/api/orders", **query)
            seen += [order["id"] for order in page["data"]]
            if page["nextCursor"] is None:
                break
            query["cursor"] = page["nextCursor"]
        assert seen == [order.id for order in reversed(orders)], "a page may begin and end with it"


async def test_an_event_that_does_not_decode_is_named_in_the_trail_and_counted(application: Application) -> None:
    order = await place(application)
    events = [received(event_bytes(charge_of(order))) for _ in range(3)]
    for event in events:
        await application.record_events(event)
        await asyncio.sleep(0.002)
    unset = {"$unset": {"source": ""}}
    stored = application.store.payment_events
    await stored.update_one({"_id": events[1].id}, unset, bypass_document_validation=True)
    before = value(UNREADABLE)
    async with client_of(application) as client:
        trail = await get(client, f"/api/orders/{order.id}/events")
        assert [event["id"] for event in trail["data"]] == [event.id for event in reversed(events)]
        assert trail["data"][1] == {"id": events[1].id, "unreadable": True}
        assert value(UNREADABLE) == before + 1
        page = await get(client, f"/api/orders/{order.id}/events", limit="2")
        rest = await get(client, f"/api/orders/{order.id}/events", cursor=page["nextCursor"])
        assert [event["id"] for event in rest["data"]] == [events[0].id]
        timeline = await get(client, f"/api/orders/{order.id}/timeline")
        kept = [one["id"] for one in timeline["data"] if one["kind"] == "event"]
        assert sorted(kept) == [events[0].id, events[2].id]


# Refund numbers and decisions


async def test_a_refund_number_is_shown_and_a_taken_one_is_refused_by_name(application: Application) -> None:
    order = await paid(application)
    path = f"/api/orders/{order.id}/refunds"
    async with client_of(application) as client:
        first = await post(client, path, {"amount": 1, "refundNumber": "R 1"}, key="key")
        assert (first.status_code, first.json()["number"]) == (202, "R 1")
        assert (await get(client, first.headers["location"]))["number"] == "R 1"
        assert (await post(client, path, {"amount": 1, "refundNumber": "R 1"}, key="key")).content == first.content
        await expire(application, "key")
        for key in ("key", ""):
            taken = await post(client, path, {"amount": 1, "refundNumber": "R 1"}, key=key)
            problem = taken.json()
            assert (taken.status_code, problem["type"]) == (409, "/problems/refund-number-taken")
            assert problem["errors"] == [{"pointer": "/refundNumber", "detail": "taken"}]
        assert "The refund number is taken" in (await client.get(problem["type"])).text
        unnumbered = await post(client, path, {"amount": 1})
        assert unnumbered.json()["number"] is None
        for number in ("", "R  1", " R1", "R\u202e1", "x" * 65, 1):
            refused = await post(client, path, {"refundNumber": number})
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/refundNumber"), number


async def test_a_decision_must_say_which_review_it_is_about_where_several_are_open(application: Application) -> None:
    order = await paid(application)
    charge = charge_of(order, id=order.charges[0].id)
    disputes = [dispute_of(charge, amount=amount) for amount in (1, 2)]
    for dispute in disputes:
        await application.record_events(received(event_bytes(dispute, "dispute.created")))
    path = f"/api/orders/{order.id}/reviews/dispute/resolve"
    async with client_of(application) as client:
        answer = await client.post(path, json={"decision": "accept"})
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (409, "/problems/review-not-named")
        assert all(dispute.id in problem["detail"] for dispute in disputes)
        answer = await client.post(path, json={"decision": "accept", "eventId": disputes[0].id})
        assert answer.status_code == 200
        decisions = {review["eventId"]: review["decision"] for review in answer.json()["reviews"]}
        assert decisions == {disputes[0].id: "accept", disputes[1].id: None}
        answer = await client.post(path, json={"decision": "accept", "eventId": "dp_none"})
        assert answer.status_code == 404
        shown = await get(client, f"/api/orders/{order.id}")
        assert (shown["disputedAmount"], [one["state"] for one in shown["disputes"]]) == (0.03, ["open", "open"])
        assert await listed(client, review="dispute") == [order.id]


async def test_the_list_of_open_reviews_reads_no_order_whose_reviews_are_closed(application: Application) -> None:
    kept = [await in_review(application) for _ in range(2)]
    for _ in range(5):
        closed = await in_review(application)
        await application.resolve_review("default", closed, "dispute", "accept")
    async with client_of(application) as client:
        for asked in ({"review": "open"}, {"review": "dispute"}, {"review": "dispute", "status": "Paid"}):
            async with profiled(application.store.database) as queries:
                assert await listed(client, **asked) == kept[::-1]
            assert sum(query["docsExamined"] for query in queries) == len(kept), (asked, queries)


async def in_review(application: Application) -> str:
    """The id of an order with an open dispute, which a person must look at."""
    order = await paid(application)
    await application.record_events(
        received(event_bytes(dispute_of(charge_of(order, id=order.charges[0].id), amount=1), "dispute.created"))
    )
    return order.id


async def test_more_than_may_be_refunded_of_a_disputed_charge_is_refused_and_says_why(
    application: Application,
) -> None:
    order = await paid(application)
    dispute = dispute_of(charge_of(order, id=order.charges[0].id), amount=9000)
    await application.record_events(received(event_bytes(dispute, "dispute.created")))
    async with client_of(application) as client:
        answer = await post(client, f"/api/orders/{order.id}/refunds", {"amount": "10"})
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (409, "/problems/exceeds-paid")
        assert problem["detail"] == f"9.99 USD can still be refunded of one charge; disputed by {dispute.id}"
        assert (await post(client, f"/api/orders/{order.id}/refunds", {})).json()["amount"] == 9.99


async def test_orders_of_before_the_new_fields_are_read_and_changed(application: Application) -> None:
    """Of an older version: without disputes, and without the references of charges."""
    order = await paid(application)
    async with client_of(application) as client:
        await post(client, f"/api/orders/{order.id}/refunds", {"amount": 1})
        gone = ("disputes", "charges.0.reference", "asks_left")
        await application.store.orders.update_one({"_id": order.id}, {"$unset": dict.fromkeys(gone, "")})
        assert "disputes" not in await document_of(application, order)
        shown = await get(client, f"/api/orders/{order.id}")
        assert (shown["status"], shown["disputes"], shown["disputedAmount"]) == ("Paid", [], 0)
        assert [(one["paymentMethod"], one["state"]) for one in shown["payments"]] == [("pm_card_visa", "succeeded")]
        assert (await post(client, f"/api/orders/{order.id}/refunds", {"amount": 1})).status_code == 202
        dispute = dispute_of(charge_of(order, id=order.charges[0].id), amount=1)
        assert await application.record_events(received(event_bytes(dispute, "dispute.created"))) == "applied"
