import asyncio
from typing import Any

import pytest
from litestar.types import ASGIApp, Message, Receive, Send

from shared.edge.exchange import SECURITY_HEADERS, exchanging
from shared.edge.problems import allow
from tests.scraping import value


def answering(status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"body") -> ASGIApp:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        scope["path_template"] = "/orders/{id}"
        await send({"type": "http.response.start", "status": status, "headers": headers})
        content: bytes = scope["method"].encode() + body
        await send({"type": "http.response.body", "body": content, "more_body": False})

    return app


async def asked(app: ASGIApp, method: str, path: str = "/orders/1") -> tuple[int, dict[bytes, bytes], bytes, Any]:
    """Status, headers, body, and the scope as the server sees it afterwards."""
    scope: Any = {"type": "http", "method": method, "path": path, "headers": []}
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    await exchanging(app)(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message["body"] for message in sent[1:]), scope


async def test_a_head_is_answered_as_a_get_without_its_body() -> None:
    status, headers, body, scope = await asked(answering(200, [(b"content-length", b"7")]), "HEAD")
    assert (status, headers[b"content-length"], body) == (200, b"7", b"")
    assert scope["method"] == "HEAD"


async def test_a_head_counts_as_one_under_its_route() -> None:
    labels = {"method": "HEAD", "route": "/orders/{id}", "status": "200"}
    before = value("http_requests_total", **labels)
    await asked(answering(200, []), "HEAD")
    assert value("http_requests_total", **labels) == before + 1


async def test_options_says_what_is_allowed_where_there_is_something() -> None:
    refused = [(b"allow", b"GET, HEAD, OPTIONS"), (b"content-type", b"application/problem+json")]
    status, headers, body, _ = await asked(answering(405, refused), "OPTIONS")
    assert (status, headers[b"allow"], body) == (204, b"GET, HEAD, OPTIONS", b"")
    assert b"content-type" not in headers


async def test_options_of_nothing_is_not_found() -> None:
    status, _, body, _ = await asked(answering(404, []), "OPTIONS")
    assert status == 404
    assert body


async def test_options_of_the_server_itself_has_no_content() -> None:
    assert (await asked(answering(404, []), "OPTIONS", "*"))[0] == 204


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
async def test_every_answer_has_the_security_headers(method: str) -> None:
    _, headers, _, _ = await asked(answering(200, []), method)
    assert headers.items() >= dict(SECURITY_HEADERS).items()


async def test_an_answer_keeps_what_it_says_itself() -> None:
    _, headers, _, _ = await asked(answering(200, [(b"cache-control", b"max-age=60")]), "GET")
    assert headers[b"cache-control"] == b"max-age=60"
    assert b"x-content-type-options" in headers


@pytest.mark.parametrize("method", ["POST", "HEAD"])
async def test_a_place_at_work_is_given_back_when_the_answer_starts_and_only_then(method: str) -> None:
    told: list[str] = []

    async def app(scope: Any, _receive: Receive, send: Send) -> None:
        scope["at_work"] = lambda: told.append("given back")
        told.append("worked")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        told.append("started")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    await asked(app, method)
    assert told == ["worked", "given back", "started"]


async def test_a_place_at_work_is_given_back_by_a_request_that_is_cancelled() -> None:
    given_back, working = [], asyncio.Event()

    async def app(scope: Any, _receive: Receive, _send: Send) -> None:
        scope["at_work"] = lambda: given_back.append(True)
        working.set()
        await asyncio.Event().wait()

    request = asyncio.create_task(asked(app, "POST"))
    await working.wait()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert given_back == [True]


def test_what_can_be_got_has_a_head_too() -> None:
    assert allow("POST, GET") == "GET, HEAD, OPTIONS, POST"
    assert allow("POST") == "OPTIONS, POST"
