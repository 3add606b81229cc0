"""The list of recent requests: what is in it, and what never is."""

from typing import Any

from shared.edge.exchange import exchanging
from shared.edge.recent import KEPT_MAX, TEXT_MAX, Recent, RecentRequest

told: list[str] = []


async def ask(
    recent: Recent,
    *,
    method: str = "POST",
    path: str = "/v1/charges",
    headers: dict[str, str] | None = None,
    body: bytes = b"{}",
    answer: bytes = b"{}",
    answer_headers: dict[str, str] | None = None,
    status: int | None = 201,
    **scope: Any,
) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if status is not None:
            await send({"type": "http.response.start", "status": status, "headers": _raw(answer_headers or {})})
            await send({"type": "http.response.body", "body": answer, "more_body": False})

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_message: Any) -> None:
        """Nobody reads it."""

    asked = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": _raw(headers or {}),
        **scope,
    }
    await exchanging(app, recent)(asked, receive, send)  # type: ignore[arg-type]


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def everything() -> Recent:
    return Recent(lambda _method, _path, _status: True, told.append)


def kept(recent: Recent, merchant: str = "shop") -> list[RecentRequest]:
    return [*recent.page(merchant, None, KEPT_MAX)[0]]


async def test_it_shows_key_replay_fault_and_both_bodies() -> None:
    recent = everything()
    await ask(
        recent,
        headers={"idempotency-key": "k1"},
        body=b'{"amount": 1}',
        answer=b'{"id": "ch_1"}',
        answer_headers={"idempotent-replayed": "true"},
        fault="slow",
        query_string=b"limit=1",
    )
    [one] = kept(recent)
    assert (one.key, one.replayed, one.fault, one.status) == ("k1", True, "slow", 201)
    assert (one.path, one.request_body, one.response_body) == (
        "/v1/charges?limit=1",
        '{"amount": 1}',
        '{"id": "ch_1"}',
    )
    assert told[-1] == one.id


async def test_no_secret_is_kept() -> None:
    recent = everything()
    await ask(
        recent,
        headers={"authorization": "Bearer sk_1", "x-other": "whsec_abc123"},
        body=rb'{"secret" : "a \" b", "url": "http://x"}',
        answer=b'{"note": "whsec_QUJD", "secret": "cut in the mid',
    )
    [one] = kept(recent)
    shown = f"{one.request_headers} {one.request_body} {one.response_body}"
    for secret in ("sk_1", "abc123", "a \\", "QUJD", "cut in"):
        assert secret not in shown
    assert '"url": "http://x"' in one.request_body


async def test_no_value_of_a_header_that_a_body_has_is_kept() -> None:
    recent = everything()
    whole = rb'{"headers": {"X-A": "a \" } b", "X-B": "hunter2"}, "url": "http://x"}'
    await ask(recent, body=whole, answer=b'{"headers":{"X-C":"hunter2')
    [one] = kept(recent)
    assert one.request_body == '{"headers": "...", "url": "http://x"}'
    assert one.response_body == '{"headers":"..."'


async def test_a_request_without_an_answer_has_status_0() -> None:
    recent = everything()
    await ask(recent, status=None)
    assert kept(recent)[0].status == 0


async def test_what_a_page_of_ours_reads_is_not_in_it_and_what_it_does_is() -> None:
    recent = everything()
    own = {"sec-fetch-site": "same-origin"}
    await ask(recent, method="GET", headers=own)
    await ask(recent, method="POST", headers=own)
    assert [one.method for one in kept(recent)] == ["POST"]


async def test_nobody_sees_the_requests_of_another_merchant() -> None:
    recent = everything()
    for merchant in ("shop", "other", None):
        await ask(recent, merchant=merchant, path=f"/v1/{merchant}")
    assert [one.path for one in kept(recent)] == ["/v1/None", "/v1/shop"]


async def test_the_latest_thousand_are_kept_and_each_page_goes_on_where_the_last_ended() -> None:
    recent = everything()
    for number in range(KEPT_MAX + 5):
        await ask(recent, path=f"/v1/{number}")
    paths, before = [], None
    while True:
        shown, before = recent.page("shop", before, 100)
        paths += [one.path for one in shown]
        if before is None:
            break
    assert paths == [f"/v1/{number}" for number in reversed(range(5, KEPT_MAX + 5))]


async def test_a_body_is_kept_up_to_a_bound() -> None:
    recent = everything()
    await ask(recent, body=b"x" * 100_000)
    assert len(kept(recent)[0].request_body) == TEXT_MAX
