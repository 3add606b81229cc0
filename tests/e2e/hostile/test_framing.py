"""Where a message begins and ends, RFC 9112. In doubt the connection is refused: two readings are a smuggler's way in.

A refusal from here has no problem document: it comes from below the application.
"""

import pytest

from tests.e2e.hostile.raw import Connection, exchange
from tests.e2e.hostile.target import API_KEY, Case, Target

# What is sent is the whole request. <list> is where things are created and listed, <host> and <key> are good headers.
GETS = [
    Case("HTTP/1.0 without Host", b"GET <list> HTTP/1.0\r\n<key>\r\n", 200),
    Case("an empty line before the request", b"\r\nGET <list> HTTP/1.1\r\n<host><key>\r\n", 200),  # RFC 9112 §2.2
    Case("an empty header", b"GET <list> HTTP/1.1\r\n<host><key>X-Empty:\r\n\r\n", 200),
    Case("a hundred headers", b"GET <list> HTTP/1.1\r\n<host><key>" + b"X: y\r\n" * 100 + b"\r\n", 200),
    Case("a wish for HTTP/2", b"GET <list> HTTP/1.1\r\n<host><key>Connection: Upgrade, HTTP2-Settings\r\n"
         b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", 200),
    Case("a wish for a WebSocket", b"GET <list> HTTP/1.1\r\n<host><key>Connection: Upgrade\r\nUpgrade: websocket\r\n"
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", 200),
    Case("no Host", b"GET <list> HTTP/1.1\r\n<key>\r\n", 400),
    Case("two Hosts", b"GET <list> HTTP/1.1\r\n<host><key>Host: elsewhere\r\n\r\n", 400),
    Case("one Host twice", b"GET <list> HTTP/1.1\r\n<host><host><key>\r\n", 400),
    Case("a Host that is none", b"GET <list> HTTP/1.1\r\nHost: a b\r\n<key>\r\n", 400),
    Case("a Host with a path", b"GET <list> HTTP/1.1\r\nHost: a/b\r\n<key>\r\n", 400),
    Case("a Host with a user", b"GET <list> HTTP/1.1\r\nHost: user@test\r\n<key>\r\n", 400),
    Case("bare line feeds", b"GET <list> HTTP/1.1\nHost: test\n\n", 400),
    Case("one bare line feed", b"GET <list> HTTP/1.1\r\n<host><key>X-One: 1\nX-Two: 2\r\n\r\n", 400),
    Case("a bare line feed at the end", b"GET <list> HTTP/1.1\r\n<host><key>\n", 400),
    Case("a bare carriage return", b"GET <list> HTTP/1.1\r\n<host><key>X-One: 1\rX-Two: 2\r\n\r\n", 400),
    Case("a folded header", b"GET <list> HTTP/1.1\r\n<host><key>X-Folded: a\r\n b\r\n\r\n", 400),
    Case("a header folded with a tab", b"GET <list> HTTP/1.1\r\n<host><key>X-Folded: a\r\n\tb\r\n\r\n", 400),
    Case("a first header that is folded", b"GET <list> HTTP/1.1\r\n X: y\r\n<host><key>\r\n", 400),
    Case("a header without a colon", b"GET <list> HTTP/1.1\r\n<host><key>X-None\r\n\r\n", 400),
    Case("a header without a name", b"GET <list> HTTP/1.1\r\n<host><key>: x\r\n\r\n", 400),
    Case("a space before the colon", b"GET <list> HTTP/1.1\r\n<host><key>X-Space : x\r\n\r\n", 400),
    Case("a space in a name", b"GET <list> HTTP/1.1\r\n<host><key>X Space: x\r\n\r\n", 400),
    Case("a name that is not ASCII", b"GET <list> HTTP/1.1\r\n<host><key>X-\xe9: x\r\n\r\n", 400),
    Case("NUL in a name", b"GET <list> HTTP/1.1\r\n<host><key>X-\0: x\r\n\r\n", 400),
    Case("NUL in a value", b"GET <list> HTTP/1.1\r\n<host><key>X-Nul: a\0b\r\n\r\n", 400),
    Case("no version", b"GET <list>\r\n<host><key>\r\n", 400),
    Case("a version that is not", b"GET <list> HTTP/1.9\r\n<host><key>\r\n", 400),
    Case("a version in small letters", b"GET <list> http/1.1\r\n<host><key>\r\n", 400),
    Case("a version and more", b"GET <list> HTTP/1.1 x\r\n<host><key>\r\n", 400),
    Case("HTTP/2 in an HTTP/1 request", b"GET <list> HTTP/2.0\r\n<host><key>\r\n", 400),
    Case("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 400),
    Case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), 400),
    Case("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    Case("Redis", b"*1\r\n$4\r\nPING\r\n", 400),
    Case("NULs", b"\0" * 1_000, 400),
]  # fmt: skip

# What is sent is the headers that say how long the body is, and then the body. <body> creates one more, of <length> bytes.
POSTS = [
    Case("a length", b"Content-Length: <length>\r\n\r\n<body>", 201),
    Case("zeros before a length", b"Content-Length: 000<length>\r\n\r\n<body>", 201),  # RFC 9110 §8.6: 1*DIGIT
    Case("chunks", b"Transfer-Encoding: chunked\r\n\r\n<size>\r\n<body>\r\n0\r\n\r\n", 201),
    Case("chunks in capitals", b"Transfer-Encoding: CHUNKED\r\n\r\n<size>\r\n<body>\r\n0\r\n\r\n", 201),
    Case("a chunk with an extension", b"Transfer-Encoding: chunked\r\n\r\n<size>;a=b\r\n<body>\r\n0\r\n\r\n", 201),
    Case("a trailer", b"Transfer-Encoding: chunked\r\n\r\n<size>\r\n<body>\r\n0\r\nX-Sum: 1\r\n\r\n", 201),
    Case("no length at all", b"\r\n<body>", 400, "malformed-json"),  # RFC 9112 §6.3: then there is no body
    Case("a length of 0", b"Content-Length: 0\r\n\r\n", 400, "malformed-json"),
    Case("a length of 0 and a body", b"Content-Length: 0\r\n\r\n<body>", 400, "malformed-json"),
    Case("only the last chunk", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed-json"),
    Case("a length and chunks", b"Content-Length: <length>\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Case("chunks and a length", b"Transfer-Encoding: chunked\r\nContent-Length: <length>\r\n\r\n0\r\n\r\n", 400),
    Case("two lengths", b"Content-Length: <length>\r\nContent-Length: 1\r\n\r\n<body>", 400),
    Case("one length twice", b"Content-Length: <length>\r\nContent-Length: <length>\r\n\r\n<body>", 400),
    Case("a list of lengths", b"Content-Length: <length>, <length>\r\n\r\n<body>", 400),
    Case("a negative length", b"Content-Length: -1\r\n\r\n<body>", 400),
    Case("a length with a plus", b"Content-Length: +<length>\r\n\r\n<body>", 400),
    Case("a length in hexadecimal", b"Content-Length: 0x20\r\n\r\n<body>", 400),
    Case("a length with a fraction", b"Content-Length: <length>.0\r\n\r\n<body>", 400),
    Case("an empty length", b"Content-Length:\r\n\r\n<body>", 400),
    Case("a length of 2^64", b"Content-Length: 18446744073709551616\r\n\r\n<body>", 400),
    Case("a length and a space before the colon", b"Content-Length : <length>\r\n\r\n<body>", 400),
    Case("a coding that nobody knows", b"Transfer-Encoding: gzip\r\n\r\n<body>", 400),
    Case("a coding that starts like the right one", b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", 400),
    Case("a coding after the last", b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    Case("no coding by name", b"Transfer-Encoding: identity\r\n\r\n<body>", 400),
    Case("an empty coding", b"Transfer-Encoding:\r\n\r\n<body>", 400),
    Case("chunks twice over", b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    Case("two headers of codings", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", 400),
    Case("a chunk size that is none", b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n<body>\r\n0\r\n\r\n", 400),
    Case("an empty chunk size", b"Transfer-Encoding: chunked\r\n\r\n\r\n<body>\r\n0\r\n\r\n", 400),
    Case("a negative chunk size", b"Transfer-Encoding: chunked\r\n\r\n-1\r\n<body>\r\n0\r\n\r\n", 400),
    Case("a chunk size as C writes it", b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400),
    Case("a chunk size beyond 64 bits", b"Transfer-Encoding: chunked\r\n\r\n" + b"F" * 17 + b"\r\n<body>", 400),
    Case("a chunk longer than its size", b"Transfer-Encoding: chunked\r\n\r\n1\r\n<body>\r\n0\r\n\r\n", 400),
    Case("a chunk that ends in a bare line feed", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n", 400),
    Case("a chunk size that ends in one", b"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", 400),
    Case("a folded trailer", b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n", 400),
    Case("a trailer without a colon", b"Transfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n", 400),
]


def whole(target: Target, template: bytes) -> bytes:
    body = target.body()
    for name, value in {
        b"<list>": target.collection.encode(),
        b"<host>": b"Host: test\r\n",
        b"<key>": b"Authorization: Bearer %s\r\n" % API_KEY.encode(),
        b"<length>": b"%d" % len(body),
        b"<size>": b"%x" % len(body),
        b"<body>": body,
    }.items():
        template = template.replace(name, value)
    return template


def posted(target: Target, framing: bytes) -> bytes:
    head = target.post(headers={"Content-Length": []}).partition(b"\r\n\r\n")[0]
    return head + b"\r\n" + whole(target, framing)


@pytest.mark.parametrize("case", GETS, ids=lambda case: case.name)
async def test_a_head_has_one_reading(target: Target, case: Case) -> None:
    await target.expect(case, whole(target, case.sent))


@pytest.mark.parametrize("case", POSTS, ids=lambda case: case.name)
async def test_a_body_has_one_end(target: Target, case: Case) -> None:
    await target.expect(case, posted(target, case.sent))


@pytest.mark.parametrize(
    "case", [case for case in POSTS if case.status == 400 and not case.problem], ids=lambda case: case.name
)
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
