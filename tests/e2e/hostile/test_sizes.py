"""How large a request may be: a body of 64 KiB, a head of 32 KiB, a target of 8 KiB. More is not even taken in."""

import pytest

from tests.e2e.hostile.raw import Connection, exchange
from tests.e2e.hostile.target import Target
from tests.hostile.requests import Case

KIB = 1024
BODY_MAX = 64 * KIB
TOO_LARGE = (413, "body-too-large")


def body_of(target: Target, size: int) -> bytes:
    """A body that would be accepted, made up to `size` with spaces."""
    return target.body().ljust(size)


def in_chunks(target: Target, body: bytes, size: int, extension: bytes = b"") -> bytes:
    head = target.post(headers={"Content-Length": []}).partition(b"\r\n\r\n")[0]
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces)
    return head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("size", "status", "problem"), [(BODY_MAX, 201, ""), (BODY_MAX + 1, *TOO_LARGE), (10 * BODY_MAX, *TOO_LARGE)]
)
async def test_a_body_of_64_kib_is_taken_and_one_byte_more_is_not(
    target: Target, size: int, status: int, problem: str
) -> None:
    await target.expect(Case("", None, status, problem), target.post(body_of(target, size)))


@pytest.mark.parametrize("chunk", [1_000, BODY_MAX, 100 * BODY_MAX])
@pytest.mark.parametrize(
    ("size", "status", "problem"), [(BODY_MAX, 201, ""), (BODY_MAX + 1, *TOO_LARGE), (10 * BODY_MAX, *TOO_LARGE)]
)
async def test_chunks_come_to_64_kib_and_no_more(
    target: Target, chunk: int, size: int, status: int, problem: str
) -> None:
    await target.expect(Case("", None, status, problem), in_chunks(target, body_of(target, size), chunk))


async def test_a_chunk_for_each_byte_is_a_body(target: Target) -> None:
    await target.expect(Case("", None, 201), in_chunks(target, target.body(), 1))


@pytest.mark.parametrize("where", ["extensions", "a trailer"])
async def test_what_comes_with_chunks_is_bounded_too(target: Target, where: str) -> None:
    """Of which a parser tells nobody: one byte of body could cost any amount of bandwidth."""
    large = b"x" * 2 * KIB * KIB
    if where == "extensions":
        sent = in_chunks(target, target.body(), 1_000, b";" + large)
    else:
        sent = in_chunks(target, target.body(), 1_000).removesuffix(b"\r\n") + b"X: " + large + b"\r\n\r\n"
    await target.expect(Case("", None, 413), sent)


@pytest.mark.parametrize("length", [BODY_MAX + 1, 10_000_000_000, 2**63 - 1], ids=["64 KiB + 1", "10 GB", "2^63 - 1"])
async def test_a_body_that_says_it_is_too_large_is_not_waited_for(target: Target, length: int) -> None:
    sent = target.post(headers={"Content-Length": [b"%d" % length]}).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    async with await Connection.open(target.port) as connection:
        await connection.send(sent)
        assert (await connection.answer()).problem == "body-too-large"


async def test_a_body_is_not_asked_for_that_would_be_too_large(target: Target) -> None:
    """RFC 9110 §10.1.1: a final answer in place of `100 Continue`."""
    sent = target.post(headers={"Content-Length": [b"65537"], "Expect": [b"100-continue"]})
    async with await Connection.open(target.port) as connection:
        await connection.send(sent.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        assert (await connection.answer()).problem == "body-too-large"


async def test_a_body_without_end_is_refused_while_it_comes(target: Target) -> None:
    before = target.resident_kib()
    head = in_chunks(target, b"", 1).removesuffix(b"0\r\n\r\n")
    chunk = b"10000\r\n" + b" " * BODY_MAX + b"\r\n"
    async with await Connection.open(target.port) as connection:
        await connection.send(head)
        taken = 0
        while taken < 1_000 and await connection.send(chunk):
            taken += 1
        assert (await connection.answer()).problem == "body-too-large"
    assert taken < 1_000
    assert target.resident_kib() - before < 8 * KIB


@pytest.mark.parametrize("size", [200 * KIB, 10_000 * KIB])
async def test_a_body_on_a_get_is_not_even_kept(target: Target, size: int) -> None:
    before = target.resident_kib()
    head = target.get(f"{target.collection}?limit=1", {"Content-Length": [b"%d" % size]})
    await target.expect(Case("", None, 200), head + b" " * size)
    assert target.resident_kib() - before < 8 * KIB


HEADS = [
    Case("a header of 20 KiB", b"X-Large: " + b"x" * 20 * KIB, 200),
    Case("a header of 40 KiB", b"X-Large: " + b"x" * 40 * KIB, 431),
    Case("a header of 1 MiB", b"X-Large: " + b"x" * KIB * KIB, 431),
    Case("5,000 headers", b"\r\n".join(b"X-%d: y" % number for number in range(5_000)), 431),
    Case("20,000 empty headers of one letter", b"\r\n".join([b"x:"] * 20_000), 431),
    Case("a header's name of 40 KiB", b"x" * 40 * KIB + b": y", 431),
    Case("10,000 cookies", b"Cookie: " + b"a=b; " * 10_000, 431),
    Case("a key of 40 KiB", b"Idempotency-Key: " + b"k" * 40 * KIB, 431),
]


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
async def test_a_head_has_32_kib(target: Target, case: Case) -> None:
    head = target.get(f"{target.collection}?limit=1").removesuffix(b"\r\n")
    await target.expect(case, head + case.sent + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("start", "unit"),
    [(b"", b"G"), (b"GET ", b"/"), (b"GET / HTTP/1.1\r\n", b"x"), (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"y")],
    ids=["a method", "a target", "a header's name", "a header's value"],
)
async def test_what_never_ends_is_refused_while_it_comes(target: Target, start: bytes, unit: bytes) -> None:
    before = target.resident_kib()
    async with await Connection.open(target.port) as connection:
        await connection.send(start)
        taken = 0
        while taken < 1_000 and await connection.send(unit * BODY_MAX):
            taken += 1
        assert (await connection.answer()).status in {400, 414, 431}
    assert taken < 1_000
    assert target.resident_kib() - before < 8 * KIB
    await target.assert_serving()


TARGETS = [
    Case("a path of 8,000 bytes", "<list>/" + "x" * 7_900, 404, "not-found"),
    Case("a path of 9,000 bytes", "<list>/" + "x" * 9_000, 414),
    Case("a path of 100,000 bytes", "<list>/" + "x" * 100_000, 414),
    Case("a query of 8,000 bytes", "<list>?unknown=" + "x" * 7_900, 422, "invalid-fields"),
    Case("a query of 9,000 bytes", "<list>?unknown=" + "x" * 9_000, 414),
    Case("a query of 3,000 characters encoded", "<list>?unknown=" + "%C3%A9" * 3_000, 414),
]


@pytest.mark.parametrize("case", TARGETS, ids=lambda case: case.name)
async def test_a_target_has_8_kib(target: Target, case: Case) -> None:
    await target.expect(case, target.get(case.sent.replace("<list>", target.collection)))


async def test_a_pipeline_of_requests_is_not_kept_in_memory(target: Target) -> None:
    """100,000 requests on one connection: those that were taken in are answered, then it is told why it ends."""
    before = target.resident_kib()
    requests = target.get("/health/live") * 100_000
    async with await Connection.open(target.port) as connection, connection.sending(requests):
        answers = [await connection.answer()]
        while answers[-1].status == 200:
            answers.append(await connection.answer())
        assert (answers[-1].status, answers[-1].body) == (429, b"more than 64 pipelined requests")
    assert target.resident_kib() - before < 8 * KIB
    await target.assert_serving()


async def test_different_queries_are_not_kept_in_memory(target: Target) -> None:
    """Litestar remembers what it parsed the last thousand queries to."""
    before = target.resident_kib()
    for number in range(1_500):
        query = "&".join(f"p{number}{name}=" for name in range(500))
        assert (await exchange(target.port, target.get(f"{target.collection}?{query}"))).status == 422
    assert target.resident_kib() - before < 32 * KIB


async def test_400_connections_that_say_nothing_keep_nobody_out(target: Target) -> None:
    connections = [await Connection.open(target.port) for _ in range(400)]
    try:
        await target.assert_serving()
    finally:
        for connection in connections:
            connection.close()
