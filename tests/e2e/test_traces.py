"""One trace shows an order's whole life in both services, and one id finds every line about it in both logs."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp
import pytest

from shared.mongo import Client, Database
from tests.collector import Collected, Collector, collector
from tests.e2e.conftest import StartStack, all_paid, order_body, running_stack
from tests.logs import logged
from tests.traces import Trace, new_trace, stored_trace
from tests.waiting import until
from tools.stack import Stack

Databases = tuple[Database, Database]

# Each the parent of the next.
LIFE = [
    ("order_api", "POST /api/orders", "server"),
    ("order_api", "dispatch charge", "client"),
    ("payment_gateway", "POST /v1/charges", "server"),
    ("payment_gateway", "settle charge", "internal"),
    ("payment_gateway", "deliver webhook", "client"),
    ("order_api", "POST /api/webhooks/payments", "server"),
    ("order_api", "record event", "internal"),
]
LINES = {
    ("order_api", "request", "/api/orders"),
    ("order_api", "dispatched", None),
    ("payment_gateway", "request", "/v1/charges"),
    ("payment_gateway", "charge settled", None),
    ("payment_gateway", "delivered", None),
    ("order_api", "event recorded", None),
    ("order_api", "request", "/api/webhooks/payments"),
}
NO_EXTRA = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


async def place(http: aiohttp.ClientSession, stack: Stack, trace: Trace) -> str:
    headers = {"Idempotency-Key": uuid4().hex, **trace.headers}
    async with http.post(f"{stack.order_apis[0].url}/api/orders", json=order_body(), headers=headers) as response:
        assert response.status == 201, await response.text()
        return str((await response.json())["id"])


def lines_of(stack: Stack) -> list[dict[str, Any]]:
    return [line for service in stack.services for line in logged(service.log_file)]


def stop(stack: Stack) -> list[int]:
    return [service.stop() for service in stack.services]


class Observed(NamedTuple):
    stack: Stack
    collecting: Collector
    http: aiohttp.ClientSession
    databases: Databases

    async def place_and_pay(self, trace: Trace) -> str:
        order_id = await place(self.http, self.stack, trace)

        async def paid() -> bool:
            return await self.databases[0]["orders"].count_documents({"_id": order_id, "status": "Paid"}) == 1

        await until(paid, "paid")
        return order_id

    async def spans_of(self, trace: Trace) -> list[Collected]:
        """The spans of a trace, once an order's whole life is among them."""

        async def all_collected() -> bool:
            return {*LIFE} <= names_of(spans_in(self.collecting, trace))

        await until(all_collected, "all spans of the order")
        return spans_in(self.collecting, trace)


@pytest.fixture(scope="module")
async def observed(
    mongo: Client, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Observed]:
    """Both services with a collector, for all tests of this file that need no other; each looks at its own orders."""
    name = f"test_{uuid4().hex[:16]}"
    async with collector() as collecting, aiohttp.ClientSession() as http:
        with running_stack(
            mongodb_uri,
            name,
            tmp_path_factory.mktemp("logs"),
            OTEL_EXPORTER_OTLP_ENDPOINT=collecting.url,
            OTEL_BSP_SCHEDULE_DELAY="100",
            RECONCILE_AFTER_SECONDS="3600",
            CHARGE_DELAY_SECONDS="1",  # an event comes after the answer to its charge, also on a slow machine
        ) as stack:
            yield Observed(stack, collecting, http, (mongo[name], mongo[f"{name}_gateway"]))
    for database in (name, f"{name}_gateway"):
        await mongo.drop_database(database)


async def test_one_trace_shows_the_whole_life_of_an_order(observed: Observed) -> None:
    trace, other = new_trace(), new_trace()
    order_id, _ = await asyncio.gather(*(place(observed.http, observed.stack, one) for one in (trace, other)))
    spans = await observed.spans_of(trace)
    ids = {span.span_id for span in spans}
    assert [span for span in spans if span.parent_id not in {*ids, trace.span_id}] == [], "a span without its parent"
    [recorded] = [span for span in spans if span.name == "record event"]
    way = way_to(recorded, spans)
    assert [(span.service, span.name, span.kind) for span in way] == LIFE
    assert way[0].parent_id == trace.span_id
    assert {span.attributes.get("order_id") or span.attributes.get("reference") for span in way} == {order_id}
    assert not any(span.failed for span in spans)
    assert way[0].attributes["http.response.status_code"] == 201
    assert "place order" in {span.name for span in spans if span.parent_id == way[0].span_id}


async def test_a_trace_that_is_not_sampled_goes_on_but_is_not_recorded(observed: Observed) -> None:
    trace, recorded = new_trace(flags=0), new_trace()
    order_id = await observed.place_and_pay(trace)
    await observed.place_and_pay(recorded)
    assert await observed.spans_of(recorded)
    assert spans_in(observed.collecting, trace) == []
    for document in (
        await observed.databases[0]["payment_events"].find_one({"order_id": order_id}),
        await observed.databases[1]["events"].find_one({"reference": order_id}),
    ):
        assert document is not None
        found = stored_trace(document["trace"])
        assert (found.trace_id, found.flags & 1) == (trace.trace_id, 0)


async def test_without_the_extra_both_services_run_and_the_trace_goes_on(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text(NO_EXTRA)
    trace = new_trace()
    async with collector() as collecting:
        with start_stack(PYTHONPATH=str(tmp_path / "blocked"), OTEL_EXPORTER_OTLP_ENDPOINT=collecting.url) as stack:
            await place(http, stack, trace)
            await until(all_paid(databases, 1), "paid")
        lines = lines_of(stack)
        assert collecting.spans() == []
    told = [line["service"] for line in lines if line["event"] == "no traces: install the extra `otel`"]
    assert sorted(told) == ["order_api", "payment_gateway"]
    assert found_by(trace.trace_id, lines) >= LINES


async def test_one_id_finds_every_line_about_an_order_in_both_services_and_no_other(observed: Observed) -> None:
    traces = [new_trace() for _ in range(8)]
    order_ids = await asyncio.gather(*(observed.place_and_pay(trace) for trace in traces))

    async def all_are_logged() -> bool:
        lines = lines_of(observed.stack)
        return all(found_by(order_id, lines) >= LINES for order_id in order_ids)

    await until(all_are_logged, "every line of every order")
    lines = lines_of(observed.stack)
    for trace, order_id in zip(traces, order_ids, strict=True):
        assert found_by(order_id, lines) == LINES
        by_id, by_trace = ([line for line in lines if one in json.dumps(line)] for one in (order_id, trace.trace_id))
        assert by_id == by_trace
        assert {line.get("order_id") or line.get("reference") for line in by_id} == {order_id}


async def test_looking_at_an_order_is_logged_under_its_id_too(observed: Observed) -> None:
    order_id = await place(observed.http, observed.stack, new_trace())
    request_ids = [uuid4().hex, uuid4().hex]
    for path, request_id in zip([order_id, f"{order_id}/events"], request_ids, strict=True):
        url = f"{observed.stack.order_apis[0].url}/api/orders/{path}"
        async with observed.http.get(url, headers={"X-Request-Id": request_id}) as response:
            assert response.status == 200

    async def both_are_logged() -> bool:
        found = {line.get("request_id") for line in lines_of(observed.stack) if line.get("order_id") == order_id}
        return found >= {*request_ids}

    await until(both_are_logged, "two lines with the order's id")


async def test_a_request_leaves_nothing_behind_for_the_next_on_its_connection(observed: Observed) -> None:
    trace, ids = new_trace(), [uuid4().hex for _ in range(3)]
    body = json.dumps(order_body())
    place_one = (
        f"POST /api/orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nIdempotency-Key: {ids[0]}\r\n"
        f"X-Request-Id: {ids[0]}\r\ntraceparent: {trace.traceparent}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    look = f"GET /api/orders HTTP/1.1\r\nHost: a\r\nX-Request-Id: {ids[1]}\r\n\r\n"
    malformed = trace.traceparent.upper()
    last = f"GET /api/orders HTTP/1.1\r\nHost: a\r\nX-Request-Id: {ids[2]}\r\ntraceparent: {malformed}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", observed.stack.order_apis[0].port)
    writer.write((place_one + look + last).encode())  # all at once: pipelined

    async def all_are_logged() -> bool:
        return {line.get("request_id") for line in lines_of(observed.stack)} >= {*ids}

    await until(all_are_logged, "three requests in the log")
    assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    writer.close()
    await writer.wait_closed()
    by_request = {line["request_id"]: line for line in lines_of(observed.stack) if line.get("request_id") in ids}
    placed, *following = (by_request[one] for one in ids)
    assert placed["trace_id"] == trace.trace_id
    assert placed["order_id"].startswith("ord_")
    assert [line["status"] for line in following] == [200, 200]
    assert not any("order_id" in line for line in following)
    assert len({line["trace_id"] for line in by_request.values()}) == 3


async def test_what_is_not_exported_yet_is_exported_at_the_end(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    trace = new_trace()
    async with collector() as collecting:
        with start_stack(OTEL_EXPORTER_OTLP_ENDPOINT=collecting.url, OTEL_BSP_SCHEDULE_DELAY="3600000") as stack:
            await place(http, stack, trace)
            await until(all_paid(databases, 1), "paid")
            assert collecting.spans() == []
            assert await asyncio.to_thread(stop, stack) == [0, 0]
        assert {*LIFE} <= names_of(spans_in(collecting, trace))


def spans_in(collecting: Collector, trace: Trace) -> list[Collected]:
    return [span for span in collecting.spans() if span.trace_id == trace.trace_id]


def names_of(spans: list[Collected]) -> set[tuple[str, str, str]]:
    return {(span.service, span.name, span.kind) for span in spans}


def way_to(span: Collected, spans: list[Collected]) -> list[Collected]:
    """From the first of its ancestors to `span`."""
    by_id = {one.span_id: one for one in spans}
    way = [span]
    while parent := by_id.get(way[0].parent_id):
        way.insert(0, parent)
    return way


def found_by(one_id: str, lines: list[dict[str, Any]]) -> set[tuple[str, str, str | None]]:
    """What a search for an id finds in the logs: service, event, and path of a request."""
    return {(line["service"], line["event"], line.get("path")) for line in lines if one_id in json.dumps(line)}
