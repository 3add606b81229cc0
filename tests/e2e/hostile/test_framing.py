"""Where a message begins and ends, RFC 9112. In doubt the connection is refused: two readings are a smuggler's way in.

A refusal from here has no problem document: it comes from below the application.
"""

import pytest

from tests.e2e.hostile.raw import Connection, exchange
from tests.e2e.hostile.target import Target
from tests.hostile.framing import GETS, IN_DOUBT, POSTS, posted, whole
from tests.hostile.requests import API_KEY, Case, end_to_end, name_of

SOME_HEADS = end_to_end(GETS, "no Host", "one bare line feed", "a folded header", "a space before the colon", "TLS")
SOME_BODIES = end_to_end(
    POSTS, "a length of 0", "a length and chunks", "two lengths", "chunks twice over", "a chunk longer than its size"
)
SOME_IN_DOUBT = [
    case for case in IN_DOUBT if case.name in {"chunks and a length", "one length twice", "a folded trailer"}
]


@pytest.mark.parametrize("case", SOME_HEADS, ids=name_of)
async def test_a_head_has_one_reading(target: Target, case: Case) -> None:
    await target.expect(case, whole(target, case.sent))


@pytest.mark.parametrize("case", SOME_BODIES, ids=name_of)
async def test_a_body_has_one_end(target: Target, case: Case) -> None:
    await target.expect(case, posted(target, case.sent))


@pytest.mark.parametrize("case", SOME_IN_DOUBT, ids=name_of)
async def test_nothing_is_read_behind_a_frame_that_is_in_doubt(target: Target, case: Case) -> None:
    """Else what follows, which another's proxy took for a body, would be a request of its own."""
    async with await Connection.open(target.port) as connection:
        await connection.send(posted(target, case.sent) + target.get(target.collection))
        assert (await connection.answer()).status == 400
        assert await connection.is_closed()


async def test_chunks_under_http_1_0_are_not_trusted(target: Target) -> None:
    """RFC 9112 §6.1: the framing is faulty, whatever else the message says."""
    sent = posted(target, b"Transfer-Encoding: chunked\r\n\r\n<size>\r\n<body>\r\n0\r\n\r\n").replace(b"1.1", b"1.0", 1)
    await target.expect(Case("HTTP/1.0", None, 400), sent)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("Idempotency-Key", Case("key", b"a-key-in-a-trailer", 400, "idempotency-key-missing")),
        ("Authorization", Case("authorization", b"Bearer " + API_KEY.encode(), 401, "unauthenticated")),
        ("Content-Type", Case("type", b"application/json", 415, "unsupported-media-type")),
    ],
)
async def test_a_trailer_is_no_header(target: Target, name: str, case: Case) -> None:
    """RFC 9110 §6.5.1"""
    head = target.post(headers={"Content-Length": [], name: []}).partition(b"\r\n\r\n")[0]
    body = target.body()
    trailer = b"%s: %s" % (name.encode(), case.sent)
    chunks = b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(body), body, trailer)
    await target.expect(case, head + chunks)


async def test_requests_in_one_go_are_answered_in_their_order(target: Target) -> None:
    names = [b"%d" % number for number in range(50)]
    async with await Connection.open(target.port) as connection:
        await connection.send(
            b"".join(target.get(f"{target.collection}?limit=1", {"X-Request-Id": [name]}) for name in names)
        )
        answers = [await connection.answer() for _ in names]
    assert [answer.headers["x-request-id"].encode() for answer in answers] == names
    assert {answer.status for answer in answers} == {200}


async def test_garbage_does_not_take_the_answer_of_the_request_before_it(target: Target) -> None:
    """RFC 9112 §9.3.2. Somebody who reads 400 for what was created would create it again under another key."""
    async with await Connection.open(target.port) as connection:
        await connection.send(target.post() + b"\0garbage\r\n\r\n")
        assert (await connection.answer()).status == 201
    await target.assert_serving()


async def test_a_request_that_comes_byte_by_byte_is_a_request(target: Target) -> None:
    async with await Connection.open(target.port) as connection:
        for byte in target.post():
            await connection.send(bytes([byte]))
        assert (await connection.answer()).status == 201


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.9, 0.99])
async def test_a_request_that_is_never_finished_is_none(target: Target, share: float) -> None:
    before = await target.stored()
    sent = target.post()
    async with await Connection.open(target.port) as connection:
        await connection.send(sent[: int(len(sent) * share)])
    await target.assert_serving()
    assert await target.stored() == before


async def test_headers_of_the_request_are_not_in_the_next_one(target: Target) -> None:
    async with await Connection.open(target.port) as connection:
        await connection.send(target.get(target.collection))
        assert (await connection.answer()).status == 200
        await connection.send(target.get(target.collection, {"Authorization": []}))
        assert (await connection.answer()).problem == "unauthenticated"


async def test_a_response_cannot_be_split(target: Target) -> None:
    sent = target.get("/problems/x%0d%0aX-Injected:%201", {"X-Request-Id": [b"a\xc2\x85X-Injected: 1"]})
    answer = await exchange(target.port, sent)
    assert "x-injected" not in answer.headers
    assert answer.headers["x-request-id"].startswith("req_")
